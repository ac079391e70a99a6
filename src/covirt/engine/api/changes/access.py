# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of roles, users, groups and permissions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import called, has, told
from covirt.engine.api.errors import Incomplete
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, items, referred, referred_object, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access import permissions, roles, users
from covirt.engine.commands.change import Change
from covirt.engine.model.access import SYSTEM, Group, ObjectType, Permission, Role, Subject, User
from covirt.engine.store.session import Session

# What a permission below a user or a group may name, and where it is found.
OBJECTS: Final[Mapping[str, tuple[ObjectType, str]]] = {
    "cluster": (ObjectType.CLUSTER, "clusters"),
    "data_center": (ObjectType.DATA_CENTER, "data_centers"),
    "disk": (ObjectType.DISK, "disks"),
    "host": (ObjectType.HOST, "hosts"),
    "storage_domain": (ObjectType.STORAGE_DOMAIN, "storage_domains"),
    "template": (ObjectType.TEMPLATE, "templates"),
    "vm": (ObjectType.VM, "vms"),
}


def add_role(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("Role", body, "add", "name", "administrative", "permits")
    with call.changing() as change:
        named = items(body, "permits") or ()
        permits = [referred_object(change.session.permits, each, "permit").id for each in named]
        role = replace(called(Role(id=""), body), administrative=told(body, "administrative", False))
        return Done(id=roles.add_role(change, replace(role, permit_ids=frozenset(permits))))


def update_role(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        role = change.session.roles.get(ids[-1])
        administrative = told(body, "administrative", role.administrative)
        roles.update_role(change, replace(called(role, body), administrative=administrative))


def remove_role(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        roles.remove_role(change, ids[-1])


def add_permit(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    require_fields("Permit", body, "add", "id|name")
    with call.changing() as change:
        permit = referred_object(change.session.permits, body, "permit")
        roles.add_permit(change, ids[0], permit.id)
    return Done(id=permit.id)


def remove_permit(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        roles.remove_permit(change, ids[0], ids[-1])


def add_user(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """As user_name (cook@internal-authz) or principal, with the domain's name. The password, which oVirt's own
    directory is given by a program, is given here; it is never shown."""
    del ids
    require_fields("User", body, "add", "user_name|principal")
    password_hash = _password_hash(call, body)
    with call.changing() as change:
        name, domain = _user_name(body)
        user = User(id="", name=name, principal=name, domain=domain, namespace=told(body, "namespace", "*"))
        return Done(id=users.add_user(change, _user(change.session, user, body), password_hash))


def update_user(call: Call, ids: tuple[str, ...], body: Body) -> None:
    password_hash = _password_hash(call, body)
    with call.changing() as change:
        user = change.session.users.get(ids[-1])
        name, domain = _user_name({"user_name": user.user_name, **body})
        changed = _user(change.session, replace(user, principal=name, domain=domain), body)
        users.update_user(change, changed, password_hash)


def remove_user(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        users.remove_user(change, ids[-1])


def add_group(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("Group", body, "add", "name")
    group = Group(
        id="",
        name=str(body["name"]),
        domain=_domain(str(at(body, "domain.name") or "")),
        namespace=told(body, "namespace", "*"),
    )
    with call.changing() as change:
        return Done(id=users.add_group(change, group))


def remove_group(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        users.remove_group(change, ids[-1])


def add_permission_on(kind: ObjectType, call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """On the object that the collection lies below."""
    require_fields("Permission", body, "add", "role.id|name", "user|group")
    subject = SYSTEM if kind is ObjectType.SYSTEM else Subject(type=kind, id=ids[-1])
    with call.changing() as change:
        permission = Permission(id="", role_id=_role_id(change.session, body), subject=subject)
        user, group = body.get("user"), body.get("group")
        if isinstance(user, dict):
            permission = replace(permission, user_id=_user_id(change.session, user))
        elif isinstance(group, dict):
            permission = replace(permission, group_id=referred_object(change.session.groups, group, "group").id)
        return Done(id=permissions.add_permission(change, permission))


def add_permission_of(holder: str, call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """Of the user (user_id) or the group (group_id) that the collection lies below."""
    require_fields("Permission", body, "add", "role.id|name")
    with call.changing() as change:
        named = [name for name in OBJECTS if name in body]
        if not named:
            raise Incomplete(type="Permission", names="|".join(OBJECTS), action="add")
        kind, repository = OBJECTS[named[0]]
        found = referred(getattr(change.session, repository), body, named[0])
        subject = Subject(type=kind, id=found.id if found else "")
        permission = Permission(
            id="",
            role_id=_role_id(change.session, body),
            subject=subject,
            user_id=ids[-1] if holder == "user_id" else None,
            group_id=ids[-1] if holder == "group_id" else None,
        )
        return Done(id=permissions.add_permission(change, permission))


def remove_permission(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        permissions.remove_permission(change, ids[-1])


def _role_id(session: Session, body: Body) -> str:
    return str(referred_object(session.roles, body["role"], "role").id)


def _user_id(session: Session, user: Body) -> str:
    """By its id, or by the name with which it logs in."""
    if "id" not in user and ("user_name" in user or "principal" in user):
        name, domain = _user_name(user)
        found = session.users.find(principal=name, domain=domain)
        if found is not None:
            return found.id
    return str(referred_object(session.users, user, "user").id)


def _user(session: Session, user: User, body: Body) -> User:
    groups = items(body, "groups")
    if has(body, "groups") and groups is not None:
        group_ids = frozenset(referred_object(session.groups, each, "groups").id for each in groups)
        user = replace(user, group_ids=group_ids)
    return replace(
        called(user, body),
        last_name=told(body, "last_name", user.last_name),
        email=told(body, "email", user.email),
        department=told(body, "department", user.department),
    )


def _user_name(body: Body) -> tuple[str, str]:
    """The name to log in with, and its domain: what is before and behind the last @, unless the body says more."""
    name, _, behind = f"{body.get('user_name') or ''}".rpartition("@")
    principal = body.get("principal") or name or behind
    return str(principal), _domain(str(at(body, "domain.name") or (behind if name else "")))


def _domain(name: str) -> str:
    """People write the profile as well, with which they log in."""
    return "internal-authz" if name in ("", "internal") else name


def _password_hash(call: Call, body: Body) -> str | None:
    """Made outside of the transaction that writes, and for those only who may: it is slow on purpose."""
    password = body.get("password")
    if password is None:
        return None
    Change(call.session, call.asked).require(Right.MANIPULATE_USERS)
    users.check_password(str(password))
    return call.services.passwords.hash(str(password))
