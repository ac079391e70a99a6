# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""MAC pools: where the addresses of vNICs come from."""

import re
import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_title
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.network import MacPool, MacRange
from covirt.engine.store.query import ListQuery

MAC_POOL_ADMIN_ID: Final = "def00013-0000-0000-0000-def000000013"  # oVirt's id of the role
_MAC: Final = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_ADDED: Final = AuditMessage(code=10700, text="MAC Pool '{pool}' (id={id}) was created. (User: {user})")
_UPDATED: Final = AuditMessage(code=10702, text="MAC Pool '{pool}' (id={id}) was changed. (User: {user})")
_REMOVED: Final = AuditMessage(code=10704, text="MAC Pool '{pool}' (id={id}) was removed. (User: {user})")


class NoRange(InvalidRequest):
    template = "Cannot change MAC Pool. MAC Pool must contain at least one MAC address range."


class BadRange(InvalidRequest):
    """Fields: first, last."""

    template = (
        "Cannot change MAC Pool. {first} to {last} is no range of unicast MAC addresses such as 56:6f:00:00:00:00 to "
        "56:6f:00:00:ff:ff."
    )


class DefaultStays(InvalidRequest):
    template = "Cannot change MAC Pool. Changing default MAC Pool is not supported."


class DefaultPoolStays(Conflict):
    template = "Cannot remove MAC Pool. Default MAC Pool cannot be removed."


class PoolInUse(Conflict):
    """Fields: users."""

    template = (
        "Cannot remove MAC Pool. Several clusters or data centers are using this MAC Pool: {users}. "
        "Please remove it from all of them and try again."
    )


def add_pool(change: Change, pool: MacPool) -> str:
    """The new id."""
    change.require(Right.CREATE_MAC_POOL)
    added = _checked(replace(pool, id=str(uuid.uuid4())))
    if added.default_pool:
        raise DefaultStays
    change.session.mac_pools.add(added)
    give_creator(change, MAC_POOL_ADMIN_ID, Subject(type=ObjectType.MAC_POOL, id=added.id))
    change.tell(_ADDED, pool=added.name, id=added.id)
    return added.id


def update_pool(change: Change, pool: MacPool) -> None:
    """Addresses that machines have stay theirs, whatever the ranges are."""
    change.require(Right.EDIT_MAC_POOL, Subject(type=ObjectType.MAC_POOL, id=pool.id))
    if pool.default_pool != change.session.mac_pools.get(pool.id).default_pool:
        raise DefaultStays
    change.session.mac_pools.update(_checked(pool))
    change.tell(_UPDATED, pool=pool.name, id=pool.id)


def remove_pool(change: Change, pool_id: str) -> None:
    """Raises DefaultPoolStays, PoolInUse."""
    change.require(Right.DELETE_MAC_POOL, Subject(type=ObjectType.MAC_POOL, id=pool_id))
    pool = change.session.mac_pools.get(pool_id)
    if pool.default_pool:
        raise DefaultPoolStays
    query = ListQuery(where={"mac_pool_id": pool_id})
    users = [*change.session.clusters.list(query), *change.session.data_centers.list(query)]
    if users:
        raise PoolInUse(users=", ".join(sorted({each.name for each in users})))
    change.session.mac_pools.remove(pool_id)
    forget(change.session, pool_id)
    change.tell(_REMOVED, pool=pool.name, id=pool.id)


def _checked(pool: MacPool) -> MacPool:
    """In lower case, as addresses are compared."""
    check_title("MAC Pool", pool.name)
    if not pool.ranges:
        raise NoRange
    return replace(pool, ranges=tuple(_range(each) for each in pool.ranges))


def _range(given: MacRange) -> MacRange:
    first, last = given.first.strip().lower(), given.last.strip().lower()
    if not (_MAC.fullmatch(first) and _MAC.fullmatch(last)) or first > last or int(first[:2], 16) & 1:
        raise BadRange(first=given.first[:40], last=given.last[:40])
    if first[:2] != last[:2]:
        # some of what lies between would be multicast
        raise BadRange(first=given.first, last=given.last)
    return MacRange(first=first, last=last)
