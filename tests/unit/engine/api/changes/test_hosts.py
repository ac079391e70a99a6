# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts that move to another cluster, and hosts that go."""

from dataclasses import replace

from covirt.engine.model.host import Host, HostFacts, HostStatus
from covirt.engine.model.storage_domain import StorageConnection, StorageDomain, StorageType
from covirt.engine.store.store import Store
from tests.support import engine_samples as s
from tests.support.engine_changing import Asker


def test_local_storage_has_one_host(admin: Asker, store: Store) -> None:
    """Whether it is added there, or moves there."""
    center = {"id": admin.post("datacenters", {"name": "larder", "local": True})["id"]}
    cluster = {"id": admin.post("clusters", {"name": "shelf", "data_center": center})["id"]}
    with store.write() as session:
        oven: Host = session.hosts.get(s.HOST_ID)
        session.hosts.update_facts(s.HOST_ID, replace(oven.facts, status=HostStatus.MAINTENANCE))
        for vm in session.vms.list():
            session.vms.update_facts(vm.id, replace(vm.facts, host_id=None))
        resting = HostFacts(status=HostStatus.MAINTENANCE)
        second = Host(id=s.sample_id("hob"), name="hob", address="hob", cluster_id=s.CLUSTER_ID, facts=resting)
        session.hosts.add(second)
    admin.put(f"hosts/{s.HOST_ID}", {"cluster": cluster})
    admin.put(f"hosts/{s.HOST_ID}", {"cluster": cluster, "comment": "as it was"})
    assert "local" in admin.put(f"hosts/{second.id}", {"cluster": cluster}, 409).lower()
    assert admin.get(f"hosts/{second.id}")["cluster"]["id"] == s.CLUSTER_ID


def test_a_host_that_goes_is_named_by_no_placement(admin: Asker, store: Store) -> None:
    with store.write() as session:
        oven: Host = session.hosts.get(s.HOST_ID)
        second = Host(id=s.sample_id("hob"), name="hob", address="hob", cluster_id=s.CLUSTER_ID, facts=oven.facts)
        session.hosts.add(second)
        session.hosts.update_facts(s.HOST_ID, replace(oven.facts, status=HostStatus.MAINTENANCE))
        for vm in session.vms.list():
            session.vms.update_facts(vm.id, replace(vm.facts, host_id=None))
    both = {"placement_policy": {"hosts": {"host": [{"id": s.HOST_ID}, {"id": second.id}]}}}
    admin.put(f"vms/{s.VM_ID}", both)
    admin.delete(f"hosts/{s.HOST_ID}")
    policy = admin.get(f"vms/{s.VM_ID}")["placement_policy"]
    assert [host["id"] for host in policy["hosts"]["host"]] == [second.id]


def test_a_host_with_storage_of_its_own_stays(admin: Asker, store: Store) -> None:
    """That would be out of reach for ever; an empty directory goes with it."""
    place = StorageConnection(
        id=s.sample_id("pantry"), name="", type=StorageType.LOCALFS, path="/pantry", host_id=s.HOST_ID
    )
    domain = StorageDomain(id=s.sample_id("jars"), name="jars", connection_id=place.id)
    with store.write() as session:
        oven: Host = session.hosts.get(s.HOST_ID)
        session.hosts.update_facts(s.HOST_ID, replace(oven.facts, status=HostStatus.MAINTENANCE))
        for vm in session.vms.list():
            session.vms.update_facts(vm.id, replace(vm.facts, host_id=None))
        session.storage_connections.add(place)
        session.storage_domains.add(domain)
    assert "directories of it, which no other host reaches: jars. Remove" in admin.delete(f"hosts/{s.HOST_ID}", 409)
    with store.write() as session:
        session.storage_domains.remove(domain.id)
    admin.delete(f"hosts/{s.HOST_ID}")
    admin.get(f"hosts/{s.HOST_ID}", 404)
    with store.read() as session:
        assert session.storage_connections.find(id=place.id) is None
