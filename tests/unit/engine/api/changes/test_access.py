# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Roles, users, groups and permissions; nobody gives away more than he has, and somebody is always in charge."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from argon2.profiles import CHEAPEST

from covirt.engine.auth.passwords import Passwords
from covirt.engine.model.access import EVERYONE_ID, ObjectType
from covirt.engine.model.login import LoginSession
from covirt.engine.store.store import Store
from tests.support.engine_api import api_app, api_client
from tests.support.engine_changing import SUPER_USER, Asker, events, give
from tests.support.engine_samples import (
    ADMIN_ID,
    CENTER_ID,
    CLUSTER_ID,
    CONTAINER_ID,
    DISK_ID,
    DOMAIN_ID,
    HOST_ID,
    NETWORK_ID,
    PERMISSION_ID,
    POOL_ID,
    PROFILE_ID,
    ROLE_ID,
    TEMPLATE_ID,
    USER_ID,
    VM_ID,
    sample_id,
)

_USER_ROLE: Final = "00000000-0000-0000-0001-000000000001"
_POWER_USER: Final = "00000000-0000-0000-0001-000000000002"
_VM_MANAGER: Final = "def00006-0000-0000-0000-def000000006"
_CLUSTER_ADMIN: Final = "def00001-0000-0000-0000-def000000001"


def _permits(*names: str) -> dict[str, Any]:
    return {"permit": [{"name": name} for name in names]}


@pytest.fixture
def user_admin(admin: Asker, store: Store) -> Asker:
    """The cook, with a role that lets him manage users, roles and permissions, and not much else."""
    role = admin.post(
        "roles",
        {
            "name": "Manager",
            "administrative": True,
            "permits": _permits("manipulate_users", "manipulate_roles", "manipulate_permissions", "run_vm"),
        },
    )
    admin.post("permissions", {"user": {"id": USER_ID}, "role": {"id": role["id"]}})
    return Asker(client=api_client(api_app(store), user="manager"))


def test_a_role_from_its_beginning_to_its_end(admin: Asker, store: Store) -> None:
    body = {"name": "Waiter", "administrative": False, "permits": {"permit": [{"id": "22"}, {"name": "stop_vm"}]}}
    made = admin.post("roles", body)
    assert (made["mutable"], made["administrative"]) == ("true", "false")
    path = f"roles/{made['id']}"
    assert sorted(admin.names(f"{path}/permits")) == ["login", "run_vm", "stop_vm"]
    admin.post(f"{path}/permits", {"id": "17"})
    admin.post(f"{path}/permits", {"id": "17"}, status=409)
    admin.delete(f"{path}/permits/17")
    admin.delete(f"{path}/permits/17", status=404)
    assert admin.put(path, {"description": "Serves"})["description"] == "Serves"
    admin.put(path, {"administrative": True}, status=400)
    admin.post("permissions", {"user": {"id": USER_ID}, "role": {"name": "Waiter"}})
    assert "remove all Permissions first" in admin.delete(path, status=409)
    assert [event.code for event in events(store, 5)] == [850, 856, 862, 860, 864]


@pytest.mark.parametrize("level", ["4.3", "4.8"])
def test_levels_tell_all_permits(admin: Asker, level: str) -> None:
    """Ansible's ovirt_role looks up the numbers of permits in level 4.3."""
    permits = {each["name"]: each["id"] for each in admin.get(f"clusterlevels/{level}")["permits"]["permit"]}
    assert (permits["create_vm"], permits["login"]) == ("1", "1300")
    assert {each["id"] for each in admin.get("clusterlevels")["cluster_level"]} == {"4.7", "4.8"}


def test_a_role_that_nobody_has_is_removed(admin: Asker, store: Store) -> None:
    made = admin.post("roles", {"name": "Waiter", "administrative": False, "permits": _permits("run_vm")})
    admin.delete(f"roles/{made['id']}")
    admin.get(f"roles/{made['id']}", status=404)
    assert events(store, 1)[0].code == 858


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "x", "administrative": False}, 400, "Role [permits] required for add"),
        ({"name": "x y", "administrative": False, "permits": _permits("run_vm")}, 400, "letters"),
        ({"name": "Chef", "administrative": False, "permits": _permits("run_vm")}, 409, "Chef"),
        ({"name": "x", "administrative": False, "permits": _permits("create_host")}, 400, "create_host"),
        ({"name": "x", "administrative": False, "permits": _permits("eat")}, 404, "eat"),
    ],
)
def test_what_roles_cannot_be(admin: Asker, body: Any, status: int, words: str) -> None:
    assert words in admin.post("roles", body, status=status)


def test_predefined_roles_stay_as_they_are(admin: Asker) -> None:
    path = f"roles/{_USER_ROLE}"
    for refused in (
        admin.put(path, {"name": "Mine"}, status=409),
        admin.delete(path, status=409),
        admin.post(f"{path}/permits", {"name": "delete_vm"}, status=409),
        admin.delete(f"{path}/permits/22", status=409),
    ):
        assert "Read-Only" in refused


def test_nobody_makes_a_role_of_more_than_he_has(user_admin: Asker, admin: Asker) -> None:
    refused = user_admin.post(
        "roles", {"name": "x", "administrative": True, "permits": _permits("run_vm", "create_host")}, status=403
    )
    assert "create_host" in refused
    made = user_admin.post("roles", {"name": "x", "administrative": False, "permits": _permits("run_vm")})
    user_admin.post(f"roles/{made['id']}/permits", {"name": "delete_vm"}, status=403)
    user_admin.post(f"roles/{made['id']}/permits", {"name": "run_vm"}, status=409)


def test_a_user_is_added_as_ansible_does_it_and_removed(admin: Asker, store: Store) -> None:
    body = {"user_name": "ann@internal-authz", "principal": "ann", "domain": {"name": "internal-authz"}}
    made = admin.post("users", body)
    assert (made["principal"], made["user_name"]) == ("ann", "ann@internal-authz")
    assert admin.names('users?search=usrname%3D"ann@internal-authz"') == ["ann"]
    admin.post("users", body, status=409)
    admin.delete(f"users/{made['id']}")
    admin.get(f"users/{made['id']}", status=404)
    assert [(event.code, event.description) for event in events(store, 2)] == [
        (325, "User ann@internal-authz was removed by admin@internal-authz."),
        (149, "User 'ann@internal-authz' was added successfully to the system."),
    ]


def test_a_password_is_taken_and_never_told(admin: Asker, store: Store) -> None:
    made = admin.post("users", {"user_name": "ann@internal", "password": "salt and pepper", "name": "Ann"})
    assert "salt" not in str(made)
    assert made["name"] == "Ann"
    now = datetime.now(UTC)
    with store.write() as session:
        session.accounts.add_session(
            LoginSession(
                id="x",
                user_id=made["id"],
                scope="",
                address="",
                created=now,
                last_used=now,
                expires=now + timedelta(1),
            )
        )
    admin.put(f"users/{made['id']}", {"password": "pepper and salt"})
    with store.read() as session:
        kept = session.accounts.password_hash(made["id"])
        assert session.accounts.session("x") is None  # whoever was in with the old one is out
    assert Passwords(CHEAPEST).matches(kept, "pepper and salt")
    event = events(store, 1)[0]
    assert (event.code, event.user_id) == (346, ADMIN_ID)
    assert event.description == "Password changed successfully for ann@internal-authz"
    assert "6 characters" in admin.put(f"users/{made['id']}", {"password": "salt"}, status=400)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "nobody"}, 400),
        ({"user_name": "ann@example.com"}, 400),
        ({"principal": "ann", "domain": {"name": "ldap"}}, 400),
        ({"user_name": "cook@internal"}, 409),
    ],
)
def test_what_users_cannot_be(admin: Asker, body: Any, status: int) -> None:
    admin.post("users", body, status=status)


def test_names_to_log_in_with_stay(admin: Asker, store: Store) -> None:
    admin.put(f"users/{USER_ID}", {"user_name": "chef@internal"}, status=400)
    assert admin.put(f"users/{USER_ID}", {"email": "c@example.com", "last_name": "Book"})["last_name"] == "Book"
    assert events(store, 1)[0].code == 872


def test_nobody_locks_himself_out(admin: Asker, cook: Asker, store: Store) -> None:
    assert "internal admin" in admin.delete(f"users/{ADMIN_ID}", status=409)
    (own,) = (each for each in admin.get("permissions")["permission"] if each["role"]["id"] == SUPER_USER)
    assert "at least one Super User" in admin.delete(f"permissions/{own['id']}", status=409)
    other = give(store, USER_ID, SUPER_USER)
    assert "internal admin" in admin.delete(f"permissions/{own['id']}", status=409)
    assert "logged in" in cook.delete(f"users/{USER_ID}", status=409)
    admin.delete(f"permissions/{other}")
    cook.get("events", status=200)


def test_who_manages_users_does_not_become_an_administrator(user_admin: Asker, admin: Asker, store: Store) -> None:
    made = user_admin.post("users", {"user_name": "ann@internal", "password": "salt and pepper"})
    user_admin.put(f"users/{made['id']}", {"password": "pepper and salt"})
    assert "super user" in user_admin.put(f"users/{ADMIN_ID}", {"password": "pepper and salt"}, status=403)
    give(store, made["id"], _VM_MANAGER, ObjectType.VM, VM_ID)
    user_admin.put(f"users/{made['id']}", {"password": "pepper and salt"}, status=403)
    group = admin.post("groups", {"name": "chefs"})
    user_admin.put(f"users/{made['id']}", {"groups": {"group": [{"id": group["id"]}]}}, status=200)
    admin.post("permissions", {"group": {"id": group["id"]}, "role": {"name": "ClusterAdmin"}})
    user_admin.put(f"users/{USER_ID}", {"groups": {"group": [{"name": "chefs"}]}}, status=403)
    user_admin.delete(f"groups/{group['id']}", status=403)
    user_admin.delete(f"users/{made['id']}", status=403)
    bob = user_admin.post("users", {"user_name": "bob@internal"})
    give(store, bob["id"], _VM_MANAGER, ObjectType.VM, VM_ID)
    user_admin.delete(f"users/{bob['id']}")


def test_a_group_and_who_is_in_it(admin: Asker, cook: Asker, store: Store) -> None:
    made = admin.post("groups", {"name": "waiters", "domain": {"name": "internal-authz"}})
    admin.put(f"users/{USER_ID}", {"groups": {"group": [{"id": made["id"]}]}})
    assert admin.names(f"users/{USER_ID}/groups") == ["waiters"]
    admin.post(f"groups/{made['id']}/permissions", {"role": {"name": "UserRole"}, "vm": {"id": CONTAINER_ID}})
    (permission,) = admin.get(f"groups/{made['id']}/permissions")["permission"]
    admin.delete(f"groups/{made['id']}/permissions/{permission['id']}")
    admin.post("groups", {"name": "waiters"}, status=409)
    admin.post("groups", {"name": "x", "domain": {"name": "ldap"}}, status=400)
    admin.delete(f"groups/{made['id']}")
    assert admin.get(f"users/{USER_ID}/groups") == {}
    admin.delete(f"groups/{EVERYONE_ID}", status=409)
    admin.put(f"users/{USER_ID}", {"groups": {"group": [{"id": EVERYONE_ID}]}}, status=409)
    assert events(store, 1)[0].code == 408


_OBJECTS: Final = {
    f"clusters/{CLUSTER_ID}": "cluster",
    f"datacenters/{CENTER_ID}": "data_center",
    f"disks/{DISK_ID}": "disk",
    f"hosts/{HOST_ID}": "host",
    f"macpools/{POOL_ID}": None,
    f"networks/{NETWORK_ID}": None,
    f"storagedomains/{DOMAIN_ID}": "storage_domain",
    f"templates/{TEMPLATE_ID}": "template",
    f"vms/{VM_ID}": "vm",
    f"vnicprofiles/{PROFILE_ID}": None,
}


@pytest.mark.parametrize("path", _OBJECTS)
def test_permissions_are_given_on_objects_and_taken_away(admin: Asker, store: Store, path: str) -> None:
    body = {"user": {"id": USER_ID}, "role": {"name": "UserRole"}}
    made = admin.post(f"{path}/permissions", body)
    assert admin.post(f"{path}/permissions", body)["id"] == made["id"]  # nothing is given twice
    assert made["role"]["id"] == _USER_ROLE
    if (field := _OBJECTS[path]) is not None:
        assert made[field]["id"] == path.partition("/")[2]
    admin.delete(f"{path}/permissions/{made['id']}")
    admin.get(f"{path}/permissions/{made['id']}", status=404)
    assert [event.code for event in events(store, 2)] == [852, 850]


def test_the_event_tells_who_may_do_what(admin: Asker, store: Store) -> None:
    admin.post(f"vms/{VM_ID}/permissions", {"user": {"user_name": "cook@internal"}, "role": {"id": _USER_ROLE}})
    event = events(store, 1)[0]
    assert event.vm_id == VM_ID
    assert event.description == (
        "User/Group cook, Namespace *, Authorization provider: internal-authz was granted permission for "
        "Role UserRole on VM soup, by admin@internal-authz."
    )


def test_a_permission_on_what_is_gone_is_taken_away(admin: Asker, store: Store) -> None:
    left = give(store, USER_ID, _USER_ROLE, ObjectType.VM, sample_id("long gone"))
    admin.delete(f"users/{USER_ID}/permissions/{left}")


def test_permissions_are_given_to_users(admin: Asker, cook: Asker) -> None:
    path = f"users/{USER_ID}/permissions"
    cook.get(f"vms/{CONTAINER_ID}", status=404)
    made = admin.post(path, {"role": {"name": "UserRole"}, "vm": {"id": CONTAINER_ID}})
    cook.get(f"vms/{CONTAINER_ID}")
    admin.post(path, {"role": {"name": "UserRole"}}, status=400)
    admin.delete(f"{path}/{made['id']}")
    cook.get(f"vms/{CONTAINER_ID}", status=404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role": {"name": "UserRole"}}, 400),
        ({"user": {"id": USER_ID}}, 400),
        ({"user": {"id": USER_ID}, "role": {"name": "King"}}, 404),
        ({"user": {"id": VM_ID}, "role": {"name": "UserRole"}}, 404),
    ],
)
def test_what_permissions_cannot_be(admin: Asker, body: Any, status: int) -> None:
    admin.post(f"vms/{VM_ID}/permissions", body, status=status)


def test_who_owns_a_machine_shares_it_and_gives_no_more_than_he_has(cook: Asker, admin: Asker, store: Store) -> None:
    path = f"vms/{VM_ID}/permissions"
    ann = admin.post("users", {"user_name": "ann@internal"})
    body = {"user": {"id": ann["id"]}, "role": {"name": "UserRole"}}
    cook.post(path, body, status=403)
    give(store, USER_ID, _VM_MANAGER, ObjectType.VM, VM_ID)
    made = cook.post(path, body)
    cook.delete(f"{path}/{made['id']}")
    cook.post(path, {**body, "role": {"name": "UserVmManager"}})
    assert "create_template" in cook.post(path, {**body, "role": {"id": _POWER_USER}}, status=403)
    assert "super user" in cook.post(path, {**body, "role": {"id": _CLUSTER_ADMIN}}, status=403)
    cook.post("permissions", body, status=403)
    cook.delete(f"{path}/{PERMISSION_ID}")  # that of the Chef, who may do less than he
    admin.get(f"roles/{ROLE_ID}")


def test_who_administers_a_cluster_makes_no_administrators(cook: Asker, admin: Asker, store: Store) -> None:
    give(store, USER_ID, _CLUSTER_ADMIN, ObjectType.CLUSTER, CLUSTER_ID)
    ann = admin.post("users", {"user_name": "ann@internal"})
    path = f"clusters/{CLUSTER_ID}/permissions"
    cook.post(path, {"user": {"id": ann["id"]}, "role": {"id": _CLUSTER_ADMIN}}, status=403)
    cook.post(path, {"user": {"id": ann["id"]}, "role": {"name": "UserRole"}})
    cook.post("users", {"user_name": "bob@internal"}, status=403)
    cook.post("roles", {"name": "x", "administrative": False, "permits": _permits("run_vm")}, status=403)
