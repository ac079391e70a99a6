# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every noun comes back as it was given, on both databases."""

import dataclasses
from datetime import timedelta

from covirt.engine.model.affinity import AffinityGroup, AffinityRule
from covirt.engine.model.cluster import ClusterFeature
from covirt.engine.model.event import Event, Severity
from covirt.engine.model.hardware import CpuTopology, CustomProperty, Hardware, Initialization, VmKind
from covirt.engine.model.host import HostFacts, HostStatus
from covirt.engine.model.vm import ReportedDevice, Vm, VmFacts, VmStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.store import Store
from tests.support.engine_objects import NOON, add_blank, add_cluster, new_host, new_id, new_vm


def _full(vm: Vm) -> Vm:
    return dataclasses.replace(
        vm,
        kind=VmKind.CONTAINER,
        hardware=Hardware(
            memory_bytes=1 << 40,
            cpu=CpuTopology(sockets=2, cores=3, threads=2),
            custom_properties=(CustomProperty(name="containerImage", value="docker.io/library/x:1"),),
            initialization=Initialization(host_name="näme", custom_script="a\nb"),
        ),
    )


def test_a_vm_comes_back_whole(store: Store) -> None:
    with store.write() as session:
        cluster = add_cluster(session)
        add_blank(session)
        vm = _full(new_vm(cluster))
        session.vms.add(vm)
    with store.read() as session:
        assert session.vms.get(vm.id) == vm
        assert session.vms.find(name="soup", cluster_id=cluster.id) == vm
        assert session.vms.find(name="no such") is None


def test_facts_change_without_the_intent(store: Store) -> None:
    with store.write() as session:
        cluster = add_cluster(session)
        add_blank(session)
        host = new_host(cluster)
        session.hosts.add(host)
        vm = new_vm(cluster)
        session.vms.add(vm)
    facts = VmFacts(
        status=VmStatus.UP,
        host_id=host.id,
        start_time=NOON + timedelta(seconds=1.5),
        reported_devices=(
            ReportedDevice(name="eth0", mac="56:6f:00:00:00:01", ip_addresses=("192.0.2.1", "2001:db8::1")),
        ),
    )
    with store.write() as session:
        session.vms.update_facts(vm.id, facts)
        session.vms.update(dataclasses.replace(vm, description="hot"))
        session.hosts.update_facts(host.id, HostFacts(status=HostStatus.UP, memory_bytes=1 << 41))
    with store.read() as session:
        assert session.vms.get(vm.id) == dataclasses.replace(vm, description="hot", facts=facts)
        assert [found.id for found in session.vms.list(ListQuery(where={"status": VmStatus.UP}))] == [vm.id]
        assert session.vms.list(ListQuery(where={"status": VmStatus.DOWN})) == []
        assert session.hosts.get(host.id).facts.memory_bytes == 1 << 41


def test_members_come_and_go(store: Store) -> None:
    with store.write() as session:
        cluster = add_cluster(session)
        add_blank(session)
        vms = [new_vm(cluster, f"vm{number}") for number in range(3)]
        for vm in vms:
            session.vms.add(vm)
        group = AffinityGroup(
            id=new_id(),
            name="together",
            cluster_id=cluster.id,
            vms_rule=AffinityRule(enabled=True, enforcing=True),
            vm_ids=frozenset(vm.id for vm in vms),
        )
        session.affinity_groups.add(group)
        session.cluster_features.add(ClusterFeature(id="f1", name="containers", level="4.8"))
        session.clusters.update(dataclasses.replace(cluster, features=frozenset({"f1"})))
    with store.write() as session:
        assert session.affinity_groups.get(group.id) == group
        assert session.clusters.get(cluster.id).features == {"f1"}
        session.vms.remove(vms[0].id)
        session.affinity_groups.update(dataclasses.replace(group, vm_ids=frozenset({vms[1].id})))
    with store.read() as session:
        assert session.affinity_groups.get(group.id).vm_ids == {vms[1].id}


def test_lists_are_ordered_and_paged(store: Store) -> None:
    with store.write() as session:
        cluster = add_cluster(session)
        add_blank(session)
        for name in ("c", "a", "d", "b"):
            session.vms.add(new_vm(cluster, name))
    with store.read() as session:
        assert [vm.name for vm in session.vms.list()] == ["a", "b", "c", "d"]
        assert [vm.name for vm in session.vms.list(ListQuery(maximum=3))] == ["a", "b", "c"]
        assert [vm.name for vm in session.vms.list(ListQuery(maximum=3, page=2))] == ["d"]
        assert session.vms.list(ListQuery(maximum=3, page=3)) == []
        assert [vm.name for vm in session.vms.list(ListQuery(where={"name": ("a", "d", "x")}))] == ["a", "d"]


def test_events_are_numbered_in_order(store: Store) -> None:
    event = Event(id=0, code=30, severity=Severity.NORMAL, time=NOON, description="User admin logged in.")
    with store.write() as session:
        first, second = session.events.append(event), session.events.append(event)
    assert 0 < first < second
    with store.read() as session:
        assert session.events.get(first) == dataclasses.replace(event, id=first)


def test_many_ids_at_once(store: Store) -> None:
    with store.write() as session:
        cluster = add_cluster(session)
        add_blank(session)
        vms = [new_vm(cluster, f"vm{number:04}") for number in range(1100)]
        for vm in vms:
            session.vms.add(vm)
        assert session.vms.by_ids(vm.id for vm in vms) == {vm.id: vm for vm in vms}
