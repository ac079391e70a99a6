# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Interfaces of a running container: plugged in, taken out, moved to another bridge, connected and disconnected."""

from dataclasses import replace
from typing import Final

from covirt.common.errors import Error
from covirt.common.undo import undo_on_failure
from covirt.virtocid.driver.device_config import detached, replaced, words_for
from covirt.virtocid.driver.device_errors import DeviceFixed
from covirt.virtocid.driver.domain_xml.model_devices import Interface
from covirt.virtocid.driver.domain_xml.run_names import with_run_names
from covirt.virtocid.driver.network import require_own_names
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services

_FOR_LATER: Final = "it is running; detach it and attach another one, or change the definition (--config)"


class HotInterfaces:
    """See HotPart."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._network = services.network
        self._addressing = services.addressing

    def added(self, run: Run, device: Interface) -> tuple[Run, Interface]:
        """Raises NoSuchNetwork, BridgeNotAllowed, HostNameInUse, InterfaceNameTaken."""
        bridge = self._network.bridge_of(device)
        alone = replace(run.config, interfaces=(device,))
        require_own_names(alone, (domain.next_config for domain in self._services.domains.all()))
        named = self._network.complete(alone, owner=run.container_id).interfaces[0]
        config = with_run_names(replace(run.config, interfaces=(*run.config.interfaces, named)))
        return replace(run.with_config(config), bridges=(*run.bridges, bridge)), config.interfaces[-1]

    def forget(self, device: Interface) -> None:
        self._network.release_name(device.target or "")

    def plug(self, run: Run, device: Interface) -> Run:
        """Raises what the plugging of a new container's interfaces raises."""
        number = run.config.interfaces.index(device)
        with undo_on_failure() as undo:
            self._network.plug(run, number)
            undo.add(f"unplug {device.target}", lambda: self._network.unplug(run, number))
            self._addressing.attach(run, number)
        return run

    def unplug(self, run: Run, device: Interface) -> Run:
        number = run.config.interfaces.index(device)
        bridges = (*run.bridges[:number], *run.bridges[number + 1 :])
        after = replace(run.with_config(detached(run.config, device)), bridges=bridges)
        self._addressing.detach(after, device.target or "")
        try:
            self._network.unplug(run, number)
        except (Error, OSError):
            self._addressing.attach(run, number)
            raise
        return after

    def updated(self, run: Run, device: Interface, wanted: Interface) -> tuple[Run, Interface]:
        """Another bridge, link state or filter; what ``wanted`` leaves away stays. Raises DeviceFixed for others."""
        changed = _updated(device, wanted)
        number = run.config.interfaces.index(device)
        bridges = list(run.bridges)
        bridges[number] = self._network.bridge_of(changed)
        return replace(run.with_config(replaced(run.config, device, changed)), bridges=tuple(bridges)), changed

    def apply(self, run: Run, device: Interface) -> None:
        """Raises NoSuchBridge, InterfaceFailed, SpoofFilterFailed."""
        self._network.apply(run, run.config.interfaces.index(device))
        self._addressing.moved(run)


def _updated(present: Interface, wanted: Interface) -> Interface:
    for what, old, new in (
        ("MAC address", present.mac, wanted.mac),
        ("host-side name (<target dev=…>)", present.target, wanted.target),
        ("name inside (<guest dev=…>)", present.guest_actual, wanted.guest_name),
        ("MTU", present.mtu, wanted.mtu),
        ("addresses", present.addresses, wanted.addresses),
        ("routes", present.routes, wanted.routes),
    ):
        if new and new != old:
            raise DeviceFixed(what=f"the {what} of the {words_for(present)}", reason=_FOR_LATER)
    return with_changes(present, wanted)


def with_changes(present: Interface, wanted: Interface) -> Interface:
    """``present`` with all that can be changed of an interface as in ``wanted``."""
    return replace(
        present,
        type=wanted.type,
        source=wanted.source,
        link_up=wanted.link_up,
        filter_off=wanted.filter_off,
        kept=wanted.kept,
    )
