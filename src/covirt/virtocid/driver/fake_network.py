# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A network for tests: it remembers what would be plugged where, and touches no interface."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace

from covirt.oci.isolation_errors import NoSuchBridge
from covirt.virtocid.driver.domain_xml.model import DomainConfig, Interface
from covirt.virtocid.driver.errors import NoSuchNetwork
from covirt.virtocid.driver.network import HostNameInUse
from covirt.virtocid.driver.run import Run


class FakeNetwork:
    """A host with these Linux bridges, and these libvirt networks on top of them."""

    def __init__(self, *, bridges: Iterable[str] = ("br0",), networks: dict[str, str] | None = None) -> None:
        self._bridges = tuple(bridges)
        self._networks = networks or {}
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}  # host-side name -> owner
        self._owners: dict[str, str] = {}  # of what is plugged
        self.plugged: dict[str, str] = {}  # host-side name -> bridge
        self.links: dict[str, bool] = {}  # host-side name -> up, where it was changed
        self.admitted: dict[str, tuple[str, ...]] = {}  # host-side name -> leased addresses

    def bridge_of(self, interface: Interface) -> str:
        """Raises NoSuchNetwork."""
        if interface.type == "bridge":
            return interface.source
        try:
            return self._networks[interface.source]
        except KeyError as error:
            bridges = ", ".join(self._bridges) or "none"
            raise NoSuchNetwork(network=interface.source, reason="there is none", bridges=bridges) from error

    def complete(self, config: DomainConfig, *, owner: str) -> DomainConfig:
        """Raises HostNameInUse."""
        with self._lock:
            names = dict(self._names)
            interfaces = []
            for interface in config.interfaces:
                name = interface.target or next(
                    name for number in range(len(names) + 1) if (name := f"fake{number}") not in names
                )
                if name in names:
                    raise HostNameInUse(name=name, owner=f"container {names[name]}")
                names[name] = owner
                interfaces.append(replace(interface, target=name))
            self._names = names
            return replace(config, interfaces=tuple(interfaces))

    def release(self, owner: str) -> None:
        with self._lock:
            self._names = {name: each for name, each in self._names.items() if each != owner}

    def release_name(self, name: str) -> None:
        with self._lock:
            self._names = {each: owner for each, owner in self._names.items() if each != name}

    def adopt(self, runs: Iterable[Run]) -> None:
        with self._lock:
            for run in runs:
                self._names.update(dict.fromkeys(run.interface_names, run.container_id))
                self.plugged.update(zip(run.interface_names, run.bridges, strict=True))
                self._owners.update(dict.fromkeys(run.interface_names, run.container_id))

    def restore_filter(self) -> None:
        """There is none."""

    def plug(self, run: Run, number: int) -> None:
        """Raises NoSuchBridge."""
        bridge = run.bridges[number]
        self._require_bridge(bridge)
        with self._lock:
            self.plugged[run.interface_names[number]] = bridge
            self._owners[run.interface_names[number]] = run.container_id

    def admit(self, run: Run, interface: Interface, leased: Sequence[str]) -> None:
        with self._lock:
            if self._owners.get(interface.target or "") == run.container_id:
                self.admitted[interface.target or ""] = tuple(leased)

    def unplug(self, run: Run, number: int) -> None:
        name = run.interface_names[number]
        with self._lock:
            if self._owners.get(name) == run.container_id:
                del self._owners[name], self.plugged[name]

    def apply(self, run: Run, number: int) -> None:
        """Raises NoSuchBridge."""
        self._require_bridge(run.bridges[number])
        name = run.interface_names[number]
        with self._lock:
            self.plugged[name] = run.bridges[number]
            self.links[name] = run.config.interfaces[number].link_up

    def _require_bridge(self, bridge: str) -> None:
        if bridge not in self._bridges:
            raise NoSuchBridge(bridge=bridge, bridges=", ".join(self._bridges) or "none at all")
