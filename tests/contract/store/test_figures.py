# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The whole installation in a few figures, on both databases, and the page made of them."""

from dataclasses import replace

from covirt.common.errors import Unavailable
from covirt.engine.metrics import EngineMetrics
from covirt.engine.model.hardware import CpuTopology, Hardware, VmKind
from covirt.engine.model.host import HostFacts, HostFigures, HostStatus
from covirt.engine.model.vm import VmFacts, VmStatus
from covirt.engine.store.errors import DatabaseBusy
from covirt.engine.store.figures import Figures
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store
from tests.support.engine_objects import NOON, add_blank, add_cluster, new_host, new_vm

GIB = 1 << 30


def _fill(session: Session) -> None:
    """Two machines and a container that run, and one that does not; a host that is up, and one that is silent."""
    cluster = add_cluster(session)
    add_blank(session)
    figures = HostFigures(cpu_idle_percent=75)
    facts = HostFacts(status=HostStatus.UP, memory_bytes=8 * GIB, memory_free_bytes=2 * GIB, vms_active=3)
    oven = replace(new_host(cluster, "oven"), facts=replace(facts, figures=figures, seen_at=NOON))
    session.hosts.add(oven)
    gone = replace(new_host(cluster, "hob"), facts=replace(facts, status=HostStatus.NON_RESPONSIVE))
    session.hosts.add(gone)
    four = Hardware(cpu=CpuTopology(sockets=2, cores=2, threads=1))
    for name, kind, hardware in (
        ("soup", VmKind.VIRTUAL_MACHINE, Hardware()),
        ("stew", VmKind.VIRTUAL_MACHINE, four),
        ("salad", VmKind.CONTAINER, Hardware()),
    ):
        facts_of = VmFacts(
            status=VmStatus.UP,
            host_id=oven.id,
            cpu_user_percent=20,
            cpu_system_percent=5,
            memory_used_bytes=GIB,
        )
        session.vms.add(replace(new_vm(cluster, name), kind=kind, hardware=hardware, facts=facts_of))
    session.vms.add(new_vm(cluster, "bread"))


def _read(store: Store) -> Figures:
    with store.write() as session:
        _fill(session)
    with store.read() as session:
        return session.figures()


def test_guests_of_both_kinds(store: Store) -> None:
    known = _read(store)
    assert known.guests == {
        ("kitchen", "virtual_machine", "up"): 2,
        ("kitchen", "virtual_machine", "down"): 1,
        ("kitchen", "container", "up"): 1,
    }
    machines, containers = known.use["kitchen", "virtual_machine"], known.use["kitchen", "container"]
    assert (machines.cpus, machines.cpus_used, machines.memory_used_bytes) == (5, 1.25, 2 * GIB)
    assert (containers.cpus, containers.cpus_used, containers.memory_used_bytes) == (1, 0.25, GIB)


def test_the_page(store: Store) -> None:
    known = _read(store)
    _, page = EngineMetrics(figures=lambda: known, streams=lambda: {"console": 2}).page()
    lines = page.decode().splitlines()
    for line in (
        'covirt_engine_vms{cluster="kitchen",kind="container",status="up"} 1.0',
        'covirt_engine_vm_cpus_used{cluster="kitchen",kind="virtual_machine"} 1.25',
        'covirt_engine_vm_memory_used_bytes{cluster="kitchen",kind="container"} 1.073741824e+09',
        'covirt_engine_hosts{cluster="kitchen",status="up"} 1.0',
        'covirt_engine_hosts{cluster="kitchen",status="non_responsive"} 1.0',
        'covirt_engine_host_cpu_busy_ratio{cluster="kitchen",host="oven"} 0.25',
        'covirt_engine_host_memory_free_bytes{cluster="kitchen",host="oven"} 2.147483648e+09',
        f'covirt_engine_host_seen_timestamp_seconds{{cluster="kitchen",host="oven"}} {NOON.timestamp()}',
        'covirt_engine_streams{kind="console"} 2.0',
        "covirt_engine_database_up 1.0",
    ):
        found = [each for each in lines if each.partition(" ")[0] == line.partition(" ")[0]]
        assert [float(each.rpartition(" ")[2]) for each in found] == [float(line.rpartition(" ")[2])], line
    assert 'host="hob"' not in page.decode()  # what it said long ago is no figure of now


def test_a_page_without_the_database() -> None:
    def busy() -> Figures:
        raise DatabaseBusy

    assert issubclass(DatabaseBusy, Unavailable)
    _, page = EngineMetrics(figures=busy).page()
    assert b"covirt_engine_database_up 0.0" in page
    assert b"process_cpu_seconds_total" in page
