# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who has which role on what."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict
from covirt.engine.auth.first_user import DOMAIN, NAME
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.giving import SUPER_USER_ID, OnlySuperUser, check_giving, is_super_user
from covirt.engine.commands.access.users import AdminUserStays
from covirt.engine.commands.audit import NOTHING, About, AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.model.access import EVERYONE_ID, SYSTEM, SYSTEM_ID, ObjectType, Permission, Role, Subject
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

_ADDED: Final = AuditMessage(
    code=850,
    text="User/Group {holder}, Namespace {namespace}, Authorization provider: {authz} was granted permission for "
    "Role {role} on {kind} {object}, by {user}.",
)
_REMOVED: Final = AuditMessage(
    code=852, text="User/Group {holder} Role {role} permission was removed from {kind} {object} by {user}"
)
# What an object is called in events, and where it is found.
_KINDS: Final[Mapping[ObjectType, tuple[str, str]]] = {
    ObjectType.DATA_CENTER: ("Data Center", "data_centers"),
    ObjectType.CLUSTER: ("Cluster", "clusters"),
    ObjectType.HOST: ("Host", "hosts"),
    ObjectType.STORAGE_DOMAIN: ("Storage", "storage_domains"),
    ObjectType.NETWORK: ("Network", "networks"),
    ObjectType.VNIC_PROFILE: ("VM Network Interface Profile", "vnic_profiles"),
    ObjectType.MAC_POOL: ("MAC Pool", "mac_pools"),
    ObjectType.VM: ("VM", "vms"),
    ObjectType.TEMPLATE: ("Template", "templates"),
    ObjectType.DISK: ("Disk", "disks"),
    ObjectType.CPU_PROFILE: ("CPU Profile", "cpu_profiles"),
    ObjectType.DISK_PROFILE: ("Disk Profile", "disk_profiles"),
    ObjectType.SECRET: ("Secret", "secrets"),
}
_ABOUT: Final = frozenset(
    {
        ObjectType.DATA_CENTER,
        ObjectType.CLUSTER,
        ObjectType.HOST,
        ObjectType.STORAGE_DOMAIN,
        ObjectType.VM,
        ObjectType.TEMPLATE,
    }
)


class LastSuperUser(Conflict):
    template = "Cannot remove Permission. The system must have at least one Super User Role defined."


class EveryonesPermission(Conflict):
    template = "It's not allowed to remove system permissions assigned to built-in Everyone group."


def add_permission(change: Change, permission: Permission) -> str:
    """Its id; that of the one that is there already, if so. Raises OnlySuperUser, MoreThanOwn."""
    subject = permission.subject
    change.require(Right.MANIPULATE_PERMISSIONS, subject)
    if (name := _name(change.session, subject)) is None:
        raise NoSuchObject(noun=_kind(subject), id=subject.id)
    role = change.session.roles.get(permission.role_id)
    holder, namespace, authz = _holder(change.session, permission)
    _check_role(change, role, "give permissions with admin Role")
    check_giving(change, role.permit_ids, subject)
    present = change.session.permissions.find(
        role_id=permission.role_id,
        user_id=permission.user_id,
        group_id=permission.group_id,
        object_type=subject.type,
        object_id=subject.id,
    )
    if present is not None:
        return present.id
    added = replace(permission, id=str(uuid.uuid4()))
    change.session.permissions.add(added)
    values = {"holder": holder, "namespace": namespace, "authz": authz, "role": role.name}
    change.tell(_ADDED, _about(subject), kind=_kind(subject), object=name, **values)
    return added.id


def remove_permission(change: Change, permission_id: str) -> None:
    """Raises LastSuperUser, AdminUserStays, OnlySuperUser."""
    permission = change.session.permissions.get(permission_id)
    subject = permission.subject
    name = _name(change.session, subject)
    on = SYSTEM if name is None else subject  # what is left of an object that is gone lies in nothing else
    change.require(Right.MANIPULATE_PERMISSIONS, on)
    role = change.session.roles.get(permission.role_id)
    _check_role(change, role, "remove permissions with admin Role")
    check_giving(change, role.permit_ids, on)
    if subject.type is ObjectType.SYSTEM:
        _check_of_system(change.session, permission)
    change.session.permissions.remove(permission_id)
    values = {"holder": _holder(change.session, permission)[0], "role": role.name}
    change.tell(_REMOVED, _about(subject), kind=_kind(subject), object=name or subject.id, **values)


def give_creator(change: Change, role_id: str, subject: Subject) -> None:
    """Whoever makes an object may go on with it, as in oVirt. Nobody need have the permit to give that."""
    if change.asked.user_id is not None:
        change.session.permissions.add(
            Permission(id=str(uuid.uuid4()), role_id=role_id, user_id=change.asked.user_id, subject=subject)
        )


def _check_role(change: Change, role: Role, what: str) -> None:
    if role.administrative and not is_super_user(change):
        raise OnlySuperUser(what=what)


def _check_of_system(session: Session, permission: Permission) -> None:
    if permission.group_id == EVERYONE_ID:
        raise EveryonesPermission
    if permission.role_id != SUPER_USER_ID:
        return
    others = session.permissions.list(ListQuery(where={"role_id": SUPER_USER_ID, "object_id": SYSTEM_ID}, maximum=2))
    if len(others) < 2:
        raise LastSuperUser
    if permission.user_id is not None:
        user = session.users.get(permission.user_id)
        if (user.principal, user.domain) == (NAME, DOMAIN):
            raise AdminUserStays


def _holder(session: Session, permission: Permission) -> tuple[str, str, str]:
    """Name, namespace and domain."""
    if permission.user_id is not None:
        user = session.users.get(permission.user_id)
        return user.principal, user.namespace, user.domain
    group = session.groups.get(permission.group_id)
    return group.name, group.namespace, group.domain


def _kind(subject: Subject) -> str:
    return "System" if subject.type is ObjectType.SYSTEM else _KINDS[subject.type][0]


def _name(session: Session, subject: Subject) -> str | None:
    """None: there is no such object (any more)."""
    if subject.type is ObjectType.SYSTEM:
        return "System"
    found = getattr(session, _KINDS[subject.type][1]).find(id=subject.id)
    return None if found is None else str(found.name)


def _about(subject: Subject) -> About:
    return About(**{f"{subject.type}_id": subject.id}) if subject.type in _ABOUT else NOTHING
