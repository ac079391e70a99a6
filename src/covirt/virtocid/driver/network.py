# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A domain's interfaces on this host: names, bridges, plugs and the spoof filter."""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from covirt.common.errors import Conflict
from covirt.common.process import CommandMissing
from covirt.common.root import Root
from covirt.common.undo import undo_on_failure
from covirt.oci.interface import (
    VethRequest,
    free_host_name,
    linux_bridges,
    move_port,
    plug,
    require_absent,
    set_link,
    unplug,
)
from covirt.oci.isolation_errors import ForeignInterface, SpoofFilterFailed
from covirt.oci.spoof_filter import FilterEntry, SpoofFilter
from covirt.virtocid.driver.domain_xml.model import DomainConfig, Interface
from covirt.virtocid.driver.errors import BridgeNotAllowed, NoSuchNetwork
from covirt.virtocid.driver.host_libvirt import LibvirtAbsent, NetworkUnusable, bridge_of_network
from covirt.virtocid.driver.leases import given
from covirt.virtocid.driver.run import Run

log = logging.getLogger(__name__)


# The host's own libvirt, which serves a second installation of virtocid (--root) as well.
_HOST_LIBVIRT: Final = Path("/run/libvirt")


class HostNameInUse(Conflict):
    template = (
        "the interface name '{name}' is used by {owner} already; choose another one for <target dev=...>, "
        "or leave it out"
    )


class HostNetwork(Protocol):
    """What the rest of the driver asks of the network."""

    def bridge_of(self, interface: Interface) -> str:
        """The Linux bridge behind an interface. Raises NoSuchNetwork, BridgeNotAllowed."""

    def complete(self, config: DomainConfig, *, owner: str) -> DomainConfig:
        """Give every interface a host-side name, which is the owner's (a container id) until release().

        Raises HostNameInUse, InterfaceNameTaken for a name in the XML that cannot be its own.
        """

    def release(self, owner: str) -> None:
        """The names that complete() gave this owner may be given out again."""

    def release_name(self, name: str) -> None:
        """The same of one name, whose interface is unplugged."""

    def adopt(self, runs: Iterable[Run]) -> None:
        """Take over what an earlier daemon plugged for these runs."""

    def restore_filter(self) -> None:
        """Put the spoof filter back if another program removed it. Raises what its loading raises."""

    def plug(self, run: Run, number: int) -> None:
        """Connect one interface of a run that is being made."""

    def unplug(self, run: Run, number: int) -> None:
        """Disconnect and forget one interface of a run; absent, or another run's, is fine."""

    def apply(self, run: Run, number: int) -> None:
        """Make bridge, link and filter of a plugged interface what the run says; may be repeated."""

    def admit(self, run: Run, interface: Interface, leased: Sequence[str]) -> None:
        """From now on a plugged interface may use these addresses that it got by DHCP, beside those of its XML."""


class Network:
    """Plugs interfaces into Linux bridges. Thread-safe."""

    def __init__(self, root: Root, *, allowed_bridges: tuple[str, ...]) -> None:
        self._root = root
        self._allowed = allowed_bridges
        self._filter = SpoofFilter(root.id)
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}  # host-side name -> owner

    def bridge_of(self, interface: Interface) -> str:
        """The Linux bridge behind an interface. Raises NoSuchNetwork, BridgeNotAllowed."""
        if interface.type == "bridge":
            bridge = interface.source
        else:
            try:
                bridge = bridge_of_network((self._root.libvirt_dir, _HOST_LIBVIRT), interface.source)
            except (LibvirtAbsent, NetworkUnusable) as error:
                bridges = ", ".join(linux_bridges()) or "none"
                raise NoSuchNetwork(network=interface.source, reason=error, bridges=bridges) from error
        if self._allowed and bridge not in self._allowed:
            raise BridgeNotAllowed(bridge=bridge, allowed=", ".join(self._allowed))
        return bridge

    def complete(self, config: DomainConfig, *, owner: str) -> DomainConfig:
        """Give every interface a host-side name, which is the owner's (a container id) until release().

        Raises HostNameInUse, InterfaceNameTaken for a name in the XML that cannot be its own.
        """
        with self._lock:
            names = dict(self._names)
            interfaces = []
            for interface in config.interfaces:
                name = interface.target or free_host_name(self._root.id, frozenset(names))
                if name in names:
                    raise HostNameInUse(name=name, owner=f"container {names[name]}")
                require_absent(name)
                names[name] = owner
                interfaces.append(replace(interface, target=name))
            self._names = names
            return replace(config, interfaces=tuple(interfaces))

    def release(self, owner: str) -> None:
        """The names that complete() gave this owner may be given out again."""
        with self._lock:
            self._names = {name: each for name, each in self._names.items() if each != owner}

    def release_name(self, name: str) -> None:
        """The same of one name, whose interface is unplugged."""
        with self._lock:
            self._names = {each: owner for each, owner in self._names.items() if each != name}

    def adopt(self, runs: Iterable[Run]) -> None:
        """Take over what an earlier daemon plugged: names, and the filter as it must be now."""
        entries = []
        for run in runs:
            self._names.update(dict.fromkeys(run.interface_names, run.container_id))
            entries += [_entry(run, interface) for interface in run.config.interfaces if not interface.filter_off]
        try:
            self._filter.reconcile(entries)
        except (SpoofFilterFailed, CommandMissing) as error:
            # Interfaces cannot be plugged without it, so this daemon only serves containers that have none.
            log.error("No spoof filter, so no container with an interface can start: %s", error)

    def restore_filter(self) -> None:
        """Put the spoof filter back if another program removed it. Raises what its loading raises."""
        self._filter.restore()

    def plug(self, run: Run, number: int) -> None:
        """Connect one interface: filter first, so that nothing is ever forwarded unfiltered."""
        interface = run.config.interfaces[number]
        name = interface.target or ""
        require_absent(name)  # or the filter would be put on an interface of somebody else
        with undo_on_failure() as undo:
            self._set_filter(run, interface)
            undo.add(f"remove the filter of {name}", lambda: self._filter.remove(name, owner=run.container_id))
            plug(
                VethRequest(
                    bridge=run.bridges[number],
                    host_name=name,
                    mac=interface.mac or "",
                    owner=self._owner(run),
                    guest_name=inside_name(interface, number),
                    mtu=interface.mtu,
                    addresses=tuple(address.cidr for address in interface.addresses),
                    routes=tuple(
                        (route.destination, route.gateway)
                        if route.metric is None
                        else (route.destination, route.gateway, route.metric)
                        for route in interface.routes
                    ),
                    link_up=interface.link_up,
                ),
                run.network_namespace,
            )

    def unplug(self, run: Run, number: int) -> None:
        """Disconnect and forget one interface of a run; absent, or another run's, is fine."""
        interface = run.config.interfaces[number]
        name = interface.target or ""
        try:
            unplug(name, owner=self._owner(run), mac=interface.mac or "")
        except ForeignInterface:
            log.warning("An interface of somebody else is left alone domain=%s interface=%s", run.config.name, name)
        self._filter.remove(name, owner=run.container_id)

    def apply(self, run: Run, number: int) -> None:
        """Make bridge, link and filter of a plugged interface what the run says; may be repeated."""
        interface = run.config.interfaces[number]
        name = interface.target or ""
        self._set_filter(run, interface)
        move_port(name, run.bridges[number])
        set_link(name, up=interface.link_up)

    def _set_filter(self, run: Run, interface: Interface) -> None:
        entry = _entry(run, interface)
        if interface.filter_off:
            log.warning("The spoof filter is off domain=%s interface=%s", run.config.name, entry.host_name)
            self._filter.remove(entry.host_name, owner=entry.owner)
        else:
            self._allow(entry)

    def _allow(self, entry: FilterEntry) -> None:
        self._filter.allow(entry.host_name, entry.mac, entry.addresses, known=entry.known, owner=entry.owner)

    def admit(self, run: Run, interface: Interface, leased: Sequence[str]) -> None:
        """From now on a plugged interface may use these addresses that it got by DHCP, beside those of its XML."""
        if not interface.filter_off:
            self._allow(_entry(run, interface, leased))

    def _owner(self, run: Run) -> str:
        return f"{self._root.id}:{run.container_id}"


def require_own_names(config: DomainConfig, others: Iterable[DomainConfig]) -> None:
    """Raise HostNameInUse when the XML gives an interface a name that another domain's has."""
    used = {
        interface.target: f"domain '{other.name}'"
        for other in others
        if other.uuid != config.uuid
        for interface in other.interfaces
    }
    for interface in config.interfaces:
        if interface.target and interface.target in used:
            raise HostNameInUse(name=interface.target, owner=used[interface.target])


def inside_name(interface: Interface, number: int) -> str:
    """The name of a run's interface inside the container."""
    return interface.guest_actual or interface.guest_name or f"eth{number}"


def _entry(run: Run, interface: Interface, leased: Sequence[str] | None = None) -> FilterEntry:
    """One that asks by DHCP may claim nothing until it has got an answer. ``leased`` None: as recorded."""
    asks = run.config.asks_dhcp(interface)
    if leased is None:
        leased = given(run, interface.target or "").addresses if asks else ()
    return FilterEntry(
        owner=run.container_id,
        host_name=interface.target or "",
        mac=interface.mac or "",
        addresses=(*(address.address for address in interface.addresses if address.family == "ipv4"), *leased),
        known=asks,
    )
