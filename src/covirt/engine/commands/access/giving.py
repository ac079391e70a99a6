# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Nobody gives away more than he has: neither by a role, nor by a group, nor by a password."""

from collections.abc import Iterable
from typing import Final

from covirt.common.errors import Denied
from covirt.engine.auth.permits import PERMITS, Right
from covirt.engine.commands.change import Change
from covirt.engine.model.access import SYSTEM, SYSTEM_ID, Permission, Subject
from covirt.engine.store.query import ListQuery

SUPER_USER_ID: Final = "00000000-0000-0000-0000-000000000001"  # oVirt's id of the role
_NAMES: Final = {permit.id: permit.name for permit in PERMITS}

# What covirt has nothing for. oVirt's roles hold these, and nobody gains anything by them.
_IDLE: Final = frozenset(
    str(right.number)
    for right in (
        Right.LOGIN,
        Right.ACCESS_IMAGE_STORAGE,
        Right.CREATE_VM_POOL,
        Right.EDIT_VM_POOL_CONFIGURATION,
        Right.DELETE_VM_POOL,
        Right.VM_POOL_BASIC_OPERATIONS,
        Right.CREATE_INSTANCE,
        Right.EDIT_PROFILE,
        Right.CONFIGURE_QUOTA,
        Right.CONSUME_QUOTA,
        Right.CREATE_GLUSTER_VOLUME,
        Right.MANIPULATE_GLUSTER_VOLUME,
        Right.DELETE_GLUSTER_VOLUME,
        Right.MANIPULATE_GLUSTER_HOOK,
        Right.MANIPULATE_GLUSTER_SERVICE,
    )
)


class OnlySuperUser(Denied):
    """Fields: what."""

    template = "Cannot {what}, only system super user can do so."


class MoreThanOwn(Denied):
    """Fields: permits, object."""

    template = "Nobody gives away more than he has: on {object} the user has no permit for {permits}."


def is_super_user(change: Change) -> bool:
    """Whether who asks has the role SuperUser on the whole system; the engine itself is one."""
    if change.asked.user_id is None:
        return True
    rows = change.session.permissions.list(ListQuery(where={"role_id": SUPER_USER_ID, "object_id": SYSTEM_ID}))
    return any((row.user_id or row.group_id) in change.asked.principal_ids for row in rows)


def check_giving(change: Change, permit_ids: Iterable[str], subject: Subject = SYSTEM) -> None:
    """Raises MoreThanOwn for permits that who asks has not on the object."""
    if is_super_user(change):
        return
    has_permit, mine = change.session.permissions.has_permit, change.asked.principal_ids
    missing = [each for each in set(permit_ids) - _IDLE if not has_permit(mine, each, subject)]
    if missing:
        names = sorted(_NAMES.get(each, each) for each in missing)
        raise MoreThanOwn(permits=", ".join(names), object=f"{subject.type} {subject.id}")


def check_administrators(change: Change, principal_ids: frozenset[str], what: str) -> None:
    """Only a super user does this to administrators. Raises OnlySuperUser."""
    if change.session.accounts.is_administrator(principal_ids) and not is_super_user(change):
        raise OnlySuperUser(what=what)


def check_power_over(change: Change, principal_ids: frozenset[str], what: str) -> None:
    """Whoever decides who is the user, or who is in the group, has what these may do: so he must have it already.
    Raises OnlySuperUser, MoreThanOwn."""
    check_administrators(change, principal_ids, what)
    for permission in _permissions_of(change, principal_ids):
        role = change.session.roles.get(permission.role_id)
        check_giving(change, role.permit_ids, permission.subject)


def _permissions_of(change: Change, principal_ids: frozenset[str]) -> list[Permission]:
    permissions = change.session.permissions
    held = [permissions.list(ListQuery(where={name: principal_ids})) for name in ("user_id", "group_id")]
    return [each for some in held for each in some]
