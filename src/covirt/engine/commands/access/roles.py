# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Roles: sets of permits, and the predefined ones that stay as they are."""

import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest, NotFound
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.giving import check_giving
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.names import check_name
from covirt.engine.model.access import Role
from covirt.engine.store.query import ListQuery

_LONGEST: Final = 126
_LOGIN: Final = str(Right.LOGIN.number)
_ALONE: Final = frozenset(str(right.number) for right in Right if not right.shows_contents)
_ADDED: Final = AuditMessage(code=864, text="Role {role} was added by {user}")
_UPDATED: Final = AuditMessage(code=856, text="{user} Role was updated to the {role} Role")
_REMOVED: Final = AuditMessage(code=858, text="Role {role} removed from {user}")
_PERMIT_ADDED: Final = AuditMessage(code=860, text="Action group {permit} was attached to Role {role} by {user}")
_PERMIT_REMOVED: Final = AuditMessage(code=862, text="Action group {permit} was detached from Role {role} by {user}")


class ReadOnlyRole(Conflict):
    """Fields: action."""

    template = "Cannot {action} Role. The Role is Read-Only."


class RoleInUse(Conflict):
    template = (
        "Cannot remove Role. One or more Permissions is still associated with Role. "
        "Please remove all Permissions first."
    )


class RoleTypeChange(InvalidRequest):
    template = "Cannot edit Role. Changing Role type is not allowed."


class AdministratorsPermit(InvalidRequest):
    """Fields: permits."""

    template = "Cannot add administrator's action group to a User Role. ({permits})"


class PermitNotThere(NotFound):
    """Fields: role."""

    template = "Cannot detach action group from Role. This action group is not attached to {role}."


class PermitAlreadyThere(Conflict):
    template = "Cannot attach action group to Role. This action group is already attached to Role."


def add_role(change: Change, role: Role) -> str:
    """The new id. Every role lets its holder log in, as oVirt's."""
    change.require(Right.MANIPULATE_ROLES)
    check_name("Role", role.name, longest=_LONGEST)
    added = _with_permits(replace(role, id=str(uuid.uuid4()), mutable=True), role.permit_ids | {_LOGIN})
    check_giving(change, added.permit_ids)
    _check_permits(change, added)
    change.session.roles.add(added)
    change.tell(_ADDED, role=added.name)
    return added.id


def update_role(change: Change, role: Role) -> None:
    """Of its words; permits come and go one by one."""
    before = _mutable(change, role.id, "edit")
    check_name("Role", role.name, longest=_LONGEST)
    if role.administrative != before.administrative:
        raise RoleTypeChange
    change.session.roles.update(role)
    change.tell(_UPDATED, role=role.name)


def remove_role(change: Change, role_id: str) -> None:
    role = _mutable(change, role_id, "remove")
    if change.session.permissions.list(ListQuery(where={"role_id": role_id}, maximum=1)):
        raise RoleInUse
    change.session.roles.remove(role_id)
    change.tell(_REMOVED, role=role.name)


def add_permit(change: Change, role_id: str, permit_id: str) -> None:
    """Whoever has the role gains it at once, so who asks must have it."""
    role = _mutable(change, role_id, "edit")
    permit = change.session.permits.get(permit_id)
    if permit_id in role.permit_ids:
        raise PermitAlreadyThere
    check_giving(change, {permit_id})
    changed = _with_permits(role, role.permit_ids | {permit_id})
    _check_permits(change, changed)
    change.session.roles.update(changed)
    change.tell(_PERMIT_ADDED, permit=permit.name, role=role.name)


def remove_permit(change: Change, role_id: str, permit_id: str) -> None:
    role = _mutable(change, role_id, "edit")
    if permit_id not in role.permit_ids:
        raise PermitNotThere(role=role.name)
    permit = change.session.permits.get(permit_id)
    change.session.roles.update(_with_permits(role, role.permit_ids - {permit_id}))
    change.tell(_PERMIT_REMOVED, permit=permit.name, role=role.name)


def _mutable(change: Change, role_id: str, action: str) -> Role:
    change.require(Right.MANIPULATE_ROLES)
    role = change.session.roles.get(role_id)
    if not role.mutable:
        raise ReadOnlyRole(action=action)
    return role


def _with_permits(role: Role, permit_ids: frozenset[str]) -> Role:
    """One permit that shows what lies in an object is enough for the role to do so."""
    return replace(role, permit_ids=permit_ids, shows_contents=bool(permit_ids - _ALONE))


def _check_permits(change: Change, role: Role) -> None:
    if role.administrative:
        return
    permits = change.session.permits.by_ids(role.permit_ids).values()
    wrong = sorted(permit.name for permit in permits if permit.administrative)
    if wrong:
        raise AdministratorsPermit(permits=", ".join(wrong))
