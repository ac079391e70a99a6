# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's hosts part over a small database, and a simulated host that it watches."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covirt.engine.hosts.config import HostsConfig
from covirt.engine.hosts.manager import HostManager
from covirt.engine.model.cluster import Cluster
from covirt.engine.model.event import Event
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.host import Host, HostFacts, HostStatus
from covirt.engine.model.vm import Vm, VmFacts, VmStatus
from covirt.engine.store.store import Store
from covirt.rpc.client import ClientSettings
from tests.support.engine_objects import add_blank, add_cluster, new_host, new_vm
from tests.support.simulated_hosts import SimulatedHost, serve_simulated_host
from tests.support.waiting import wait_until

# A host that does not answer is soon told of.
QUICK = HostsConfig(poll_seconds=1, grace_seconds=1)
WATCHFUL = ClientSettings(heartbeat_ms=1000, connect_seconds=2.0, first_retry_seconds=0.05, last_retry_seconds=0.2)


class Installation:
    """One cluster with one host, and its guests."""

    def __init__(self, store: Store, simulated: SimulatedHost) -> None:
        self.store = store
        self.simulated = simulated
        with store.write() as session:
            add_blank(session)
            self.cluster = add_cluster(session)
        self.host = self.add_host("oven", simulated.port)

    def add_host(self, name: str, port: int, status: HostStatus = HostStatus.UNASSIGNED) -> Host:
        made = new_host(self.cluster, name)
        host = replace(made, address="127.0.0.1" if port else made.address, port=port or made.port,
                       facts=HostFacts(status=status))  # fmt: skip
        if name != "oven":
            host = replace(host, address="127.0.0.2")
        with self.store.write() as session:
            session.hosts.add(host)
        return host

    def add_vm(self, name: str = "soup", *, kind: VmKind = VmKind.VIRTUAL_MACHINE, **facts: Any) -> Vm:
        vm = replace(new_vm(self.cluster, name), kind=kind, facts=VmFacts(**facts))
        with self.store.write() as session:
            session.vms.add(vm)
        return vm

    def add_running(self, name: str = "soup", *, kind: VmKind = VmKind.VIRTUAL_MACHINE) -> Vm:
        return self.add_vm(name, kind=kind, status=VmStatus.UP, host_id=self.host.id)

    def facts(self, host: Host | None = None) -> HostFacts:
        with self.store.read() as session:
            return session.hosts.get((host or self.host).id).facts

    def vm(self, vm: Vm) -> VmFacts:
        with self.store.read() as session:
            return session.vms.get(vm.id).facts

    def events(self, code: int) -> list[Event]:
        with self.store.read() as session:
            return [event for event in session.events.list() if event.code == code]

    def wait_status(self, status: HostStatus, host: Host | None = None) -> HostFacts:
        wait_until(lambda: self.facts(host).status is status, what=f"the host to be {status}")
        return self.facts(host)

    def wait_vm(self, vm: Vm, status: VmStatus) -> VmFacts:
        wait_until(lambda: self.vm(vm).status is status, what=f"{vm.name} to be {status}")
        return self.vm(vm)

    def set_cluster(self, **changes: Any) -> Cluster:
        self.cluster = replace(self.cluster, **changes)
        with self.store.write() as session:
            session.clusters.update(self.cluster)
        return self.cluster

    def set_status(self, status: HostStatus) -> None:
        with self.store.write() as session:
            session.hosts.hold_facts([self.host.id])
            facts = session.hosts.get(self.host.id).facts
            session.hosts.update_facts(self.host.id, replace(facts, status=status))


@pytest.fixture
def simulated() -> Iterator[SimulatedHost]:
    with serve_simulated_host() as host:
        yield host


@pytest.fixture
def installation(tmp_path: Path, simulated: SimulatedHost) -> Iterator[Installation]:
    store = Store.open(f"sqlite:///{tmp_path}/engine.db")
    yield Installation(store, simulated)
    store.close()


@pytest.fixture
def manage(installation: Installation) -> Iterator[Callable[..., HostManager]]:
    """Starts the engine's part, with the given settings."""
    running: list[HostManager] = []

    def started(config: HostsConfig = QUICK, preparation: Callable[[str], None] | None = None) -> HostManager:
        manager = HostManager(installation.store, config, tls=None, settings=WATCHFUL)
        if preparation is not None:
            manager.add_preparation(preparation)
        running.append(manager)
        manager.start()
        return manager

    yield started
    for manager in running:
        manager.stop()


@pytest.fixture
def manager(manage: Callable[..., HostManager], installation: Installation) -> HostManager:
    """With the host up."""
    started = manage()
    installation.wait_status(HostStatus.UP)
    return started
