# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Data centers, clusters, their features, and profiles."""

from dataclasses import replace
from typing import Any

import pytest

from covirt.engine.model.access import ObjectType
from covirt.engine.model.host import HostStatus
from covirt.engine.store.store import Store
from tests.support.engine_changing import Asker, events, give
from tests.support.engine_samples import (
    CENTER_ID,
    CLUSTER_ID,
    CPU_PROFILE_ID,
    DISK_PROFILE_ID,
    DOMAIN_ID,
    FEATURE_ID,
    HOST_ID,
    NETWORK_ID,
    USER_ID,
)

_CLUSTER = f"clusters/{CLUSTER_ID}"
_DATA_CENTER_ADMIN = "def00002-0000-0000-0000-def000000002"


def test_a_data_center_from_its_beginning_to_its_end(admin: Asker, store: Store) -> None:
    made = admin.post("datacenters", {"name": "Bakery", "local": False, "version": {"major": 4, "minor": 7}})
    path = f"datacenters/{made['id']}"
    assert (made["status"], made["version"]) == ("uninitialized", {"major": "4", "minor": "7"})
    assert admin.names(f"{path}/networks") == ["ovirtmgmt"]
    cluster = admin.post(f"{path}/clusters", {"name": "Oven-hall"})
    assert cluster["version"]["minor"] == "7"
    assert "contains Clusters: Oven-hall" in admin.delete(path, status=409)
    admin.delete(f"{path}/clusters/{cluster['id']}")
    assert admin.put(path, {"name": "Patisserie", "local": True})["local"] == "true"
    assert admin.put(path, {"version": {"major": 4, "minor": 8}})["version"]["minor"] == "8"
    admin.put(path, {"version": {"major": 4, "minor": 7}}, status=400)
    admin.delete(path)
    admin.get(path, status=404)
    assert [event.code for event in events(store, 5)] == [954, 952, 952, 813, 809]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "x"}, 400, "DataCenter [local] required for add"),
        ({"name": "kitchens", "local": True}, 409, "already in use"),
        ({"name": "x y", "local": True}, 400, "letters"),
        ({"name": "x" * 41, "local": True}, 400, "40"),
        ({"name": "x", "local": True, "version": {"major": 3, "minor": 6}}, 400, "3.6"),
        ({"name": "x", "local": True, "quota_mode": "enabled"}, 400, "quotas"),
    ],
)
def test_what_data_centers_cannot_be(admin: Asker, body: Any, status: int, words: str) -> None:
    assert words in admin.post("datacenters", body, status=status)


def test_a_data_center_with_storage_stays(admin: Asker) -> None:
    assert "Storage Domains: larder" in admin.delete(f"datacenters/{CENTER_ID}", status=409)
    admin.put(f"datacenters/{CENTER_ID}", {"local": True}, status=409)


def test_a_cluster_as_ansible_writes_it(admin: Asker, store: Store) -> None:
    body = {
        "name": "Canteen",
        "data_center": {"name": "kitchens"},
        "management_network": {"name": "pipes"},
        "cpu": {"architecture": "x86_64", "type": "Intel Haswell Family"},
        "version": {"major": 4, "minor": 8},
        "ballooning_enabled": True,
        "gluster_service": False,
        "virt_service": True,
        "memory_policy": {"over_commit": {"percent": 150}},
        "ksm": {"enabled": True, "merge_across_nodes": False},
        "error_handling": {"on_error": "do_not_migrate"},
        "scheduling_policy": {"name": "evenly_distributed"},
        "migration": {"policy": {"id": "a7aeedb2-8d66-4e51-bb22-32595027ce71"}, "bandwidth": {"custom_value": 30}},
        "fencing_policy": {"enabled": False, "skip_if_connectivity_broken": {"enabled": True, "threshold": 80}},
        "serial_number": {"policy": "vm"},
        "required_rng_sources": {"required_rng_source": ["urandom", "random"]},
        "custom_scheduling_policy_properties": {"property": [{"name": "HighUtilization", "value": "90"}]},
        "optional_reason": True,
        "external_network_providers": {"external_provider": []},
    }
    made = admin.post("clusters", body)
    told = admin.get(f"clusters/{made['id']}")
    assert told["migration"]["bandwidth"] == {"assignment_method": "auto", "custom_value": "30"}
    assert told["migration"]["policy"]["id"] == "a7aeedb2-8d66-4e51-bb22-32595027ce71"
    assert told["fencing_policy"]["skip_if_connectivity_broken"] == {"enabled": "true", "threshold": "80"}
    assert told["ksm"] == {"enabled": "true", "merge_across_nodes": "false"}
    assert told["serial_number"]["policy"] == "vm"
    assert told["required_rng_sources"] == {"required_rng_source": ["urandom", "random"]}
    assert told["error_handling"]["on_error"] == "do_not_migrate"
    assert told["memory_policy"]["over_commit"]["percent"] == "150"
    (network,) = admin.get(f"clusters/{made['id']}/networks")["network"]
    assert set(network["usages"]["usage"]) == {"vm", "management", "display", "migration", "default_route"}
    assert admin.names(f"clusters/{made['id']}/cpuprofiles") == ["Canteen"]
    changed = admin.put(f"clusters/{made['id']}", {**body, "description": "Lunch"})
    assert {**told, "description": "Lunch"} == changed
    admin.delete(f"clusters/{made['id']}")
    assert events(store, 1)[0].description == "Host cluster Canteen was removed by admin@internal-authz"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "Cluster [name] required for add"),
        ({"name": "kitchen"}, 409, "already in use"),
        ({"name": "x"}, 400, "management network"),
        ({"name": "x", "cpu": {"type": "Z80"}}, 400, "Z80"),
        ({"name": "x", "cpu": {"architecture": "s390x"}}, 400, "s390x"),
        ({"name": "x", "version": {"major": 4, "minor": 7}}, 400, "lower"),
        ({"name": "x", "version": {"major": 9, "minor": 9}}, 400, "9.9"),
        ({"name": "x", "switch_type": "ovs"}, 400, "ovs"),
        ({"name": "x", "gluster_service": True}, 400, "Gluster"),
        ({"name": "x", "virt_service": False}, 400, "virtualization"),
        ({"name": "x", "trusted_service": True}, 400, "attestation"),
        ({"name": "x", "fips_mode": "enabled"}, 400, "FIPS"),
        ({"name": "x", "memory_policy": {"over_commit": {"percent": 50}}}, 400, "100"),
        ({"name": "x", "required_rng_sources": {"required_rng_source": ["hwrng"]}}, 400, "random"),
        ({"name": "x", "mac_pool": {"name": "nowhere"}}, 404, "nowhere"),
    ],
)
def test_what_clusters_cannot_be(admin: Asker, body: Any, status: int, words: str) -> None:
    named = {} if words == "management network" else {"management_network": {"name": "pipes"}}
    if words == "management network":
        admin.post("networks", {"name": "cellar", "data_center": {"id": CENTER_ID}})
    body = {**named, **body} if body else body
    assert words in admin.post(f"datacenters/{CENTER_ID}/clusters", body, status=status)


def test_what_a_cluster_with_hosts_cannot_become(admin: Asker, store: Store) -> None:
    admin.put(_CLUSTER, {"data_center": {"name": "Default"}}, status=400)
    admin.put(_CLUSTER, {"cpu": {"type": "Intel Haswell Family"}}, status=409)
    admin.put(_CLUSTER, {"cpu": {"architecture": "undefined", "type": ""}}, status=409)
    other = admin.post("networks", {"name": "cellar", "data_center": {"id": CENTER_ID}})
    admin.put(_CLUSTER, {"management_network": {"id": other["id"]}}, status=409)
    assert "contains one or more Hosts" in admin.delete(_CLUSTER, status=409)
    with store.write() as session:
        facts = session.hosts.get(HOST_ID).facts
        session.hosts.update_facts(HOST_ID, replace(facts, status=HostStatus.MAINTENANCE))
    assert admin.put(_CLUSTER, {"cpu": {"type": "Intel Haswell Family"}})["cpu"]["type"] == "Intel Haswell Family"


def test_a_cluster_with_machines_stays(admin: Asker, store: Store) -> None:
    with store.write() as session:
        session.hosts.remove(HOST_ID)
    assert "VMs: salad, soup" in admin.delete(_CLUSTER, status=409)


def test_one_cluster_only_where_storage_is_local(admin: Asker) -> None:
    center = admin.post("datacenters", {"name": "Hut", "local": True})
    admin.post(f"datacenters/{center['id']}/clusters", {"name": "Hut"})
    admin.post(f"datacenters/{center['id']}/clusters", {"name": "Hut2"}, status=409)


def test_features_are_on_when_somebody_says_so(admin: Asker, store: Store) -> None:
    path = f"{_CLUSTER}/enabledfeatures"
    admin.delete(f"{path}/{FEATURE_ID}")
    made = admin.post(path, {"name": "containers"})
    assert admin.names(path) == ["containers"]
    levels = {each["id"]: each for each in admin.get("clusterlevels/4.7/clusterfeatures")["cluster_feature"]}
    assert made["id"] not in levels
    assert "4.7" in admin.post(path, {"id": next(iter(levels))}, status=400)
    admin.post(path, {"name": "porridge"}, status=404)
    event = events(store, 1)[0]
    assert (event.code, event.cluster_id) == (811, CLUSTER_ID)


def test_a_new_level_has_the_features_of_the_old_one(admin: Asker) -> None:
    center = admin.post("datacenters", {"name": "Bakery", "local": False, "version": {"major": 4, "minor": 7}})
    path = f"clusters/{admin.post('clusters', {'name': 'Hall', 'data_center': {'id': center['id']}})['id']}"
    before = admin.post(f"{path}/enabledfeatures", {"name": "containers"})
    admin.put(path, {"version": {"major": 4, "minor": 8}})
    (after,) = admin.get(f"{path}/enabledfeatures")["cluster_feature"]
    assert (after["name"], after["cluster_level"]["id"]) == ("containers", "4.8")
    assert after["id"] != before["id"]


def test_profiles_of_clusters_and_storage_domains(admin: Asker, store: Store) -> None:
    for kind, owner, first in (
        ("cpu", ("cluster", CLUSTER_ID, "clusters"), CPU_PROFILE_ID),
        ("disk", ("storage_domain", DOMAIN_ID, "storagedomains"), DISK_PROFILE_ID),
    ):
        path = f"{kind}profiles"
        admin.delete(f"{path}/{first}", status=409)
        made = admin.post(path, {"name": "fast", owner[0]: {"id": owner[1]}})
        assert admin.put(f"{path}/{made['id']}", {"name": "faster"})["name"] == "faster"
        admin.post(path, {"name": "faster", owner[0]: {"id": owner[1]}}, status=409)
        admin.put(f"{path}/{made['id']}", {"qos": {"id": first}}, status=400)
        assert "faster" in admin.names(f"{owner[2]}/{owner[1]}/{path}")
        admin.delete(f"{path}/{first}")
        admin.get(f"{path}/{first}", status=404)
    assert [event.code for event in events(store, 3)] == [10122, 10124, 10120]


def test_who_has_the_permit_makes_clusters_where_he_has_it(cook: Asker, admin: Asker, store: Store) -> None:
    body = {"name": "Canteen", "data_center": {"id": CENTER_ID}, "management_network": {"id": NETWORK_ID}}
    cook.post("clusters", body, status=403)
    give(store, USER_ID, _DATA_CENTER_ADMIN, ObjectType.DATA_CENTER, CENTER_ID)
    cook.post("clusters", body, status=403)  # the pool of MAC addresses is somebody else's
    give(store, USER_ID, "def00014-0000-0000-0000-def000000014", ObjectType.MAC_POOL, _pool(admin))
    made = cook.post("clusters", body)
    cook.put(f"clusters/{made['id']}", {"description": "Mine"})
    cook.delete(f"clusters/{made['id']}")
    cook.post("datacenters", {"name": "Mine", "local": False}, status=403)


def _pool(admin: Asker) -> str:
    return str(admin.get(f"datacenters/{CENTER_ID}")["mac_pool"]["id"])
