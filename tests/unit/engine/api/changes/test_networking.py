# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Networks, what clusters use them for, vNIC profiles and MAC pools."""

from dataclasses import replace
from typing import Any

import pytest

from covirt.engine.model.access import ObjectType
from covirt.engine.store.store import Store
from tests.support.engine_changing import Asker, events, give
from tests.support.engine_samples import (
    CENTER_ID,
    CLUSTER_ID,
    FILTER_ID,
    NETWORK_ID,
    NIC_ID,
    POOL_ID,
    PROFILE_ID,
    USER_ID,
)

_NETWORKS = f"clusters/{CLUSTER_ID}/networks"
_NETWORK_ADMIN = "def00005-0000-0000-0000-def000000005"


def _usages(node: Any) -> set[str]:
    return set(node["usages"]["usage"])


def test_a_network_from_its_beginning_to_its_end(admin: Asker, store: Store) -> None:
    body = {
        "name": "cellar",
        "data_center": {"name": "kitchens"},
        "vlan": {"id": 17},
        "mtu": 1400,
        "dns_resolver_configuration": {"name_servers": {"name_server": ["192.0.2.53"]}},
    }
    made = admin.post("networks", body)
    assert (made["vdsm_name"], made["vlan"]["id"], made["mtu"]) == ("cellar", "17", "1400")
    assert _usages(made) == {"vm"}
    path = f"networks/{made['id']}"
    assert admin.names(f"{path}/vnicprofiles") == ["cellar"]
    changed = admin.put(path, {"name": "attic", "vlan": {}, "data_center": {"name": "kitchens"}})
    assert (changed["name"], changed["vdsm_name"], "vlan" in changed) == ("attic", "cellar", False)
    assert _usages(changed) == {"vm"}
    assert admin.put(path, {"usages": {"usage": []}})["usages"] == {}
    admin.delete(path)
    admin.get(path, status=404)
    told = [(event.code, event.data_center_id) for event in events(store, 5)]
    assert told == [(code, CENTER_ID) for code in (944, 1114, 1114, 1122, 942)]
    assert events(store, 1)[0].description == "Finished Network attic removal from Data Center: kitchens"


def test_a_name_that_no_bridge_can_have(admin: Asker, store: Store) -> None:
    made = admin.post(f"datacenters/{CENTER_ID}/networks", {"name": "a-name-that-is-long", "profile_required": False})
    assert made["vdsm_name"] == "on" + made["id"].replace("-", "")[:13]
    assert admin.get(f"networks/{made['id']}/vnicprofiles") == {}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "Network [name] required for add"),
        ({"name": "pipes"}, 409, "already used"),
        ({"name": "bond0"}, 400, "bond"),
        ({"name": "a b"}, 400, "letters"),
        ({"name": "x", "vlan": {"id": "4095"}}, 400, "4094"),
        ({"name": "x", "vlan": {"id": "seven"}}, 400, "number"),
        ({"name": "x", "vlan": {"id": 4095}}, 400, "4094"),
        ({"name": "x", "vlan": {"id": [7]}}, 400, "no text"),
        ({"name": "x", "mtu": 20}, 400, "MTU"),
        ({"name": "x", "usages": {"usage": []}, "stp": True}, 400, "STP"),
        ({"name": "x", "external_provider": {"id": PROFILE_ID}}, 400, "external network providers"),
    ],
)
def test_what_networks_cannot_be(admin: Asker, body: Any, status: int, words: str) -> None:
    assert words in admin.post(f"datacenters/{CENTER_ID}/networks", body, status=status)


def test_a_network_that_is_used_stays(admin: Asker, store: Store) -> None:
    assert "mandatory" in admin.delete(f"networks/{NETWORK_ID}", status=409)
    refused = admin.put(f"networks/{NETWORK_ID}", {"usages": {"usage": []}}, status=409)
    assert "bridge cannot change while it is set up on these hosts: oven" in refused
    refused = admin.put(f"networks/{NETWORK_ID}", {"vlan": {"id": "8"}}, status=409)
    assert "VLAN cannot change while it is set up on these hosts: oven" in refused
    admin.put(f"networks/{NETWORK_ID}", {"data_center": {"name": "Default"}}, status=400)
    admin.put(f"networks/{NETWORK_ID}", {"description": "Water", "vlan": {"id": "7"}})
    with store.read() as session:
        assert session.networks.get(NETWORK_ID).description == "Water"


def test_a_network_that_machines_use_stays(admin: Asker, store: Store) -> None:
    network = admin.post("networks", {"name": "cellar", "data_center": {"id": CENTER_ID}})
    admin.post(_NETWORKS, {"id": network["id"]})
    (profile,) = admin.get(f"networks/{network['id']}/vnicprofiles")["vnic_profile"]
    with store.write() as session:
        session.nics.update(replace(session.nics.get(NIC_ID), vnic_profile_id=profile["id"]))
    assert "used by: soup" in admin.delete(f"networks/{network['id']}", status=409)
    assert "used by: soup" in admin.put(f"networks/{network['id']}", {"usages": {"usage": []}}, status=409)
    assert "'soup'" in admin.delete(f"{_NETWORKS}/{network['id']}", status=409)


def test_a_cluster_takes_a_network_and_gives_it_roles(admin: Asker, store: Store) -> None:
    network = admin.post("networks", {"name": "cellar", "data_center": {"id": CENTER_ID}})
    used = admin.post(_NETWORKS, {"name": "cellar", "required": False})
    assert (used["required"], _usages(used)) == ("false", {"vm"})
    assert "already attached" in admin.post(_NETWORKS, {"id": network["id"]}, status=409)
    path = f"{_NETWORKS}/{network['id']}"
    changed = admin.put(path, {"display": True, "usages": {"usage": ["display", "migration"]}, "required": True})
    assert _usages(changed) == {"vm", "display", "migration"}
    assert _usages(admin.get(f"{_NETWORKS}/{NETWORK_ID}")) == {"vm", "management"}
    assert _usages(admin.put(path, {"display": False})) == {"vm", "migration"}
    assert _usages(admin.get(f"{_NETWORKS}/{NETWORK_ID}")) == {"vm", "management", "display"}
    admin.delete(path)
    assert _usages(admin.get(f"{_NETWORKS}/{NETWORK_ID}")) == {"vm", "management", "display", "migration"}
    admin.get(path, status=404)
    event = events(store, 1)[0]
    assert (event.code, event.description) == (948, "Network cellar detached from Cluster kitchen")


def test_the_management_network_stays_what_it_is(admin: Asker) -> None:
    path = f"{_NETWORKS}/{NETWORK_ID}"
    admin.delete(path, status=409)
    admin.put(path, {"required": False}, status=400)
    other = admin.post("networks", {"name": "cellar", "data_center": {"id": CENTER_ID}})
    admin.post(_NETWORKS, {"id": other["id"]})
    words = admin.put(f"{_NETWORKS}/{other['id']}", {"usages": {"usage": ["management"]}}, status=409)
    assert "non-empty cluster" in words


def test_the_management_role_moves_in_an_empty_cluster(admin: Asker) -> None:
    cluster = admin.post(
        "clusters", {"name": "Canteen", "data_center": {"id": CENTER_ID}, "management_network": {"name": "pipes"}}
    )
    other = admin.post("networks", {"name": "cellar", "data_center": {"id": CENTER_ID}})
    base = f"clusters/{cluster['id']}/networks"
    admin.post(base, {"id": other["id"]})
    admin.put(f"{base}/{other['id']}", {"usages": {"usage": ["management"]}})
    assert admin.get(f"clusters/{cluster['id']}")["management_network"]["id"] == other["id"]
    admin.delete(f"{base}/{NETWORK_ID}")
    assert admin.names(base) == ["cellar"]


def test_a_network_of_another_data_center_is_not_attached(admin: Asker) -> None:
    other = admin.post("networks", {"name": "cellar", "data_center": {"name": "Default"}})
    admin.post(_NETWORKS, {"id": other["id"]}, status=400)
    admin.post(_NETWORKS, {"name": "cellar"}, status=404)


def test_a_vnic_profile_from_its_beginning_to_its_end(admin: Asker, store: Store) -> None:
    body = {"name": "quiet", "network": {"id": NETWORK_ID}, "network_filter": {"id": FILTER_ID}}
    made = admin.post("vnicprofiles", body)
    assert made["network_filter"]["id"] == FILTER_ID
    path = f"vnicprofiles/{made['id']}"
    assert "network_filter" not in admin.put(path, {"network_filter": {}, "description": "Whispers"})
    assert admin.get(path)["description"] == "Whispers"
    plain = admin.post(f"networks/{NETWORK_ID}/vnicprofiles", {"name": "plain"})
    assert "network_filter" in plain  # machines do not pretend to be others unless somebody lets them
    admin.post("vnicprofiles", {"name": "quiet", "network": {"id": NETWORK_ID}}, status=409)
    admin.delete(path)
    assert [event.code for event in events(store, 4)] == [1126, 1122, 1124, 1122]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"pass_through": {"mode": "enabled"}}, "pass_through"),
        ({"port_mirroring": True}, "port_mirroring"),
        ({"qos": {"id": PROFILE_ID}}, "quality of service"),
        ({"custom_properties": {"custom_property": [{"name": "queues", "value": "2"}]}}, "queues"),
    ],
)
def test_what_a_vnic_profile_cannot_have(admin: Asker, body: Any, words: str) -> None:
    assert words in admin.put(f"vnicprofiles/{PROFILE_ID}", body, status=400)


def test_a_vnic_profile_that_is_used_stays(admin: Asker) -> None:
    assert "broth, soup" in admin.delete(f"vnicprofiles/{PROFILE_ID}", status=409)
    admin.put(f"vnicprofiles/{PROFILE_ID}", {"network": {"name": "ovirtmgmt"}}, status=400)


def test_no_profile_on_a_network_without_machines(admin: Asker) -> None:
    network = admin.post("networks", {"name": "dry", "data_center": {"id": CENTER_ID}, "usages": {"usage": []}})
    assert admin.get(f"networks/{network['id']}/vnicprofiles") == {}
    admin.post(f"networks/{network['id']}/vnicprofiles", {"name": "dry"}, status=400)


def _range(first: str, last: str) -> dict[str, Any]:
    return {"ranges": {"range": [{"from": first, "to": last}]}}


def test_a_mac_pool_from_its_beginning_to_its_end(admin: Asker, store: Store) -> None:
    made = admin.post("macpools", {"name": "cups", **_range("02:00:00:00:AA:00", "02:00:00:00:AA:FF")})
    assert made["ranges"]["range"] == [{"from": "02:00:00:00:aa:00", "to": "02:00:00:00:aa:ff"}]
    path = f"macpools/{made['id']}"
    assert admin.put(path, {"allow_duplicates": True})["allow_duplicates"] == "true"
    admin.delete(path)
    assert [event.code for event in events(store, 3)] == [10704, 10702, 10700]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "ranges": {"range": []}},
        {"name": "x", **_range("02:00:00:00:00:10", "02:00:00:00:00:00")},
        {"name": "x", **_range("03:00:00:00:00:00", "03:00:00:00:00:10")},
        {"name": "x", **_range("02:00:00:00:00", "02:00:00:00:10")},
        {"name": "x", **_range("02:00:00:00:00:00", "06:00:00:00:00:00")},
        {"name": "x", "default_pool": True, **_range("02:00:00:00:00:00", "02:00:00:00:00:10")},
    ],
)
def test_what_mac_pools_cannot_be(admin: Asker, body: Any) -> None:
    admin.post("macpools", body, status=400)


def test_a_mac_pool_that_is_used_stays(admin: Asker) -> None:
    assert "kitchen, kitchens" in admin.delete(f"macpools/{POOL_ID}", status=409)
    admin.delete("macpools/58ca604b-017d-0374-0220-00000000014e", status=409)


def test_who_has_the_permit_on_a_data_center_makes_networks_in_it(cook: Asker, store: Store) -> None:
    body = {"name": "cellar", "data_center": {"id": CENTER_ID}}
    cook.post("networks", body, status=403)
    give(store, USER_ID, _NETWORK_ADMIN, ObjectType.DATA_CENTER, CENTER_ID)
    made = cook.post("networks", body)
    cook.post("networks", {"name": "cellar", "data_center": {"name": "Default"}}, status=403)
    cook.put(f"networks/{made['id']}", {"description": "Mine"})
    cook.delete(f"networks/{made['id']}")
    cook.post("macpools", {"name": "x", **_range("02:00:00:00:00:00", "02:00:00:00:00:10")}, status=403)


def test_nothing_is_left_of_a_networks_permissions(admin: Asker, store: Store) -> None:
    made = admin.post("networks", {"name": "cellar", "data_center": {"id": CENTER_ID}})
    with store.read() as session:
        before = {each.subject.id for each in session.permissions.list()}
    assert made["id"] in before  # its maker's
    admin.delete(f"networks/{made['id']}")
    with store.read() as session:
        objects = {each.subject.id for each in session.permissions.list()}
        assert made["id"] not in objects
        assert len(objects) == len(before) - 2  # the network's and its profile's
