# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tags, affinity labels and affinity groups are made, changed, given and taken away."""

from typing import Any

import pytest

from covirt.engine.model.access import ObjectType
from covirt.engine.store.store import Store
from tests.support.engine_changing import Asker, events, give
from tests.support.engine_samples import (
    CLUSTER_ID,
    CONTAINER_ID,
    GROUP_ID,
    HOST_ID,
    LABEL_ID,
    TAG_ID,
    TEMPLATE_ID,
    USER_ID,
    VM_ID,
)

_TAG_MANAGER = "def00011-0000-0000-0000-def000000013"
_CLUSTER_ADMIN = "def00001-0000-0000-0000-def000000001"
_ROOT = "00000000-0000-0000-0000-000000000000"


def test_a_tag_from_its_beginning_to_its_end(admin: Asker, store: Store) -> None:
    made = admin.post("tags", {"name": "warm", "description": "Neither hot nor cold"})
    assert made["parent"]["id"] == _ROOT
    path = f"tags/{made['id']}"
    below = admin.post("tags", {"name": "lukewarm", "parent": {"name": "warm"}})
    assert below["parent"]["id"] == made["id"]
    assert admin.put(path, {"description": "Tepid"})["description"] == "Tepid"
    assert admin.put(f"tags/{below['id']}", {"parent": {"id": TAG_ID}})["parent"]["id"] == TAG_ID
    admin.delete(path)
    admin.get(path, status=404)
    told = [(event.code, event.description) for event in events(store, 5)]
    assert told == [
        (434, "Tag warm was removed by admin@internal-authz."),
        (555, "Tag lukewarm was moved from warm to hot by admin@internal-authz."),
        (430, "Tag warm configuration was updated by admin@internal-authz."),
        (432, "New Tag lukewarm was created by admin@internal-authz."),
        (432, "New Tag warm was created by admin@internal-authz."),
    ]


def test_tags_below_a_tag_go_with_it(admin: Asker) -> None:
    below = admin.post("tags", {"name": "boiling", "parent": {"id": TAG_ID}})
    admin.delete(f"tags/{TAG_ID}")
    admin.get(f"tags/{below['id']}", status=404)


def test_what_tags_cannot_be(admin: Asker) -> None:
    assert "name" in admin.post("tags", {"description": "nameless"}, status=400)
    admin.post("tags", {"name": "two words"}, status=400)
    admin.post("tags", {"name": "hot"}, status=409)
    admin.post("tags", {"name": "x", "parent": {"name": "nowhere"}}, status=404)
    below = admin.post("tags", {"name": "boiling", "parent": {"id": TAG_ID}})
    assert "recursive" in admin.put(f"tags/{TAG_ID}", {"parent": {"id": below["id"]}}, status=400)
    admin.put(f"tags/{_ROOT}", {"name": "trunk"}, status=409)
    admin.delete(f"tags/{_ROOT}", status=409)


@pytest.mark.parametrize(
    "path", [f"vms/{CONTAINER_ID}", f"hosts/{HOST_ID}", f"templates/{TEMPLATE_ID}", f"users/{USER_ID}"]
)
def test_tags_are_hung_on_objects_and_taken_off(admin: Asker, path: str) -> None:
    for _ in range(2):
        assert admin.post(f"{path}/tags", {"name": "hot"})["id"] == TAG_ID
    assert admin.names(f"{path}/tags") == ["hot"]
    admin.delete(f"{path}/tags/{TAG_ID}")
    assert admin.get(f"{path}/tags") == {}
    admin.delete(f"{path}/tags/{TAG_ID}", status=404)


def test_tags_of_groups_too(admin: Asker) -> None:
    path = f"groups/{admin.post('groups', {'name': 'waiters'})['id']}/tags"
    admin.post(path, {"id": TAG_ID})
    admin.delete(f"{path}/{TAG_ID}")


def test_searching_by_a_tag_finds_what_it_hangs_on(admin: Asker) -> None:
    admin.post(f"vms/{CONTAINER_ID}/tags", {"name": "hot"})
    assert sorted(admin.names("vms?search=tag%3Dhot")) == ["salad", "soup"]


def test_a_label_is_carried_by_machines_and_hosts(admin: Asker, store: Store) -> None:
    made = admin.post("affinitylabels", {"name": "right", "vms": {"vm": [{"name": "salad"}]}})
    path = f"affinitylabels/{made['id']}"
    admin.post(f"{path}/vms", {"id": VM_ID})
    admin.post(f"{path}/hosts", {"name": "oven"})
    assert {each["id"] for each in admin.get(f"{path}/vms")["vm"]} == {VM_ID, CONTAINER_ID}
    admin.delete(f"{path}/vms/{VM_ID}")
    admin.delete(f"vms/{CONTAINER_ID}/affinitylabels/{made['id']}")
    assert admin.get(f"{path}/vms") == {}
    admin.post(f"hosts/{HOST_ID}/affinitylabels", {"id": LABEL_ID})
    admin.delete(f"hosts/{HOST_ID}/affinitylabels/{made['id']}")
    assert admin.names(f"hosts/{HOST_ID}/affinitylabels") == ["left"]
    assert admin.put(path, {"name": "centre"})["name"] == "centre"
    admin.put(path, {"name": "left"}, status=409)
    admin.delete(path)
    assert [event.code for event in events(store, 2)] == [10384, 10382]


def test_an_affinity_group_as_ansible_writes_it(admin: Asker, store: Store) -> None:
    base = f"clusters/{CLUSTER_ID}/affinitygroups"
    made = admin.post(
        base,
        {
            "name": "apart",
            "enforcing": True,
            "positive": False,
            "vms_rule": {"enabled": True, "enforcing": True, "positive": False},
            "hosts_rule": {"enforcing": False, "positive": True},
            "vms": {"vm": [{"id": VM_ID}]},
            "hosts": {"host": [{"id": HOST_ID}]},
        },
    )
    assert made["vms_rule"] == {"enabled": "true", "enforcing": "true", "positive": "false"}
    assert made["hosts_rule"] == {"enabled": "true", "enforcing": "false", "positive": "true"}
    assert [each["id"] for each in made["vms"]["vm"]] == [VM_ID]
    path = f"{base}/{made['id']}"
    admin.post(f"{path}/vms", {"id": CONTAINER_ID})
    admin.delete(f"{path}/vms/{VM_ID}")
    admin.delete(f"{path}/hosts/{HOST_ID}")
    admin.delete(f"{path}/hosts/{HOST_ID}", status=404)
    changed = admin.put(path, {"description": "Not on one host", "vms_rule": {"enabled": False}})
    assert (changed["vms_rule"]["enabled"], changed["positive"]) == ("false", "false")
    assert [each["id"] for each in admin.get(f"{path}/vms")["vm"]] == [CONTAINER_ID]
    assert "already exists" in admin.post(base, {"name": "apart"}, status=409)
    admin.delete(path)
    event = events(store, 1)[0]
    assert (event.code, event.cluster_id) == (10354, CLUSTER_ID)


def test_who_is_in_another_cluster_is_in_no_group_of_this_one(admin: Asker) -> None:
    other = admin.post("clusters", {"name": "Canteen", "data_center": {"name": "Default"}})
    refused = admin.post(
        f"clusters/{other['id']}/affinitygroups", {"name": "x", "vms": {"vm": [{"id": VM_ID}]}}, status=400
    )
    assert "another Cluster: soup" in refused


_CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("post", "tags", {"name": "sweet"}),
    ("put", f"tags/{TAG_ID}", {"name": "sweet"}),
    ("delete", f"tags/{TAG_ID}", {}),
    ("post", f"vms/{VM_ID}/tags", {"id": TAG_ID}),
    ("delete", f"vms/{VM_ID}/tags/{TAG_ID}", {}),
    ("post", f"vms/{VM_ID}/affinitylabels", {"id": LABEL_ID}),
]


@pytest.mark.parametrize(("method", "path", "body"), _CHANGES)
def test_users_need_the_permit_for_tags(cook: Asker, store: Store, method: str, path: str, body: Any) -> None:
    def ask(status: int) -> None:
        words = (path,) if method == "delete" else (path, body)
        getattr(cook, method)(*words, status=status)

    ask(403)
    give(store, USER_ID, _TAG_MANAGER)
    ask(201 if method == "post" else 200)


def test_nobody_learns_what_there_is_by_naming_it(cook: Asker, store: Store) -> None:
    give(store, USER_ID, _TAG_MANAGER)
    cook.post("affinitylabels", {"name": "x", "vms": {"vm": [{"name": "soup"}]}})
    cook.post("affinitylabels", {"name": "y", "vms": {"vm": [{"name": "salad"}]}}, status=404)
    cook.post("affinitylabels", {"name": "y", "hosts": {"host": [{"name": "oven"}]}}, status=404)


def test_users_need_the_permit_for_groups(cook: Asker, store: Store) -> None:
    path = f"clusters/{CLUSTER_ID}/affinitygroups/{GROUP_ID}"
    cook.delete(path, status=404)  # he does not even see it
    give(store, USER_ID, "def00006-0000-0000-0000-def000000006", ObjectType.CLUSTER, CLUSTER_ID)
    cook.delete(path, status=403)
    give(store, USER_ID, _CLUSTER_ADMIN, ObjectType.CLUSTER, CLUSTER_ID)
    cook.delete(path)
