# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Affinity groups of a cluster, and who is in them."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from covirt.common.errors import Conflict, InvalidRequest, NotFound
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.names import check_title
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.affinity import AffinityGroup

_ADDED: Final = AuditMessage(code=10350, text="Affinity Group {group} was added. (User: {user})")
_UPDATED: Final = AuditMessage(code=10352, text="Affinity Group {group} was updated. (User: {user})")
_REMOVED: Final = AuditMessage(code=10354, text="Affinity Group {group} was removed. (User: {user})")


class GroupNameInUse(Conflict):
    template = "Cannot {action} Affinity Group. Affinity Group name already exists."


class InAnotherCluster(InvalidRequest):
    """Fields: kind (VM or Host), name."""

    template = "Cannot change Affinity Group. Provided {kind} resides in another Cluster: {name}."


class NotInGroup(NotFound):
    """Fields: group."""

    template = "The object is not in affinity group {group}."


def add_group(change: Change, group: AffinityGroup) -> str:
    """The new id. Raises GroupNameInUse, InAnotherCluster."""
    added = replace(group, id=str(uuid.uuid4()))
    _check(change, added, "add")
    change.session.affinity_groups.add(added)
    change.tell(_ADDED, About(cluster_id=added.cluster_id), group=added.name)
    return added.id


def update_group(change: Change, group: AffinityGroup) -> None:
    """Raises GroupNameInUse, InAnotherCluster."""
    _check(change, group, "edit")
    change.session.affinity_groups.update(group)
    change.tell(_UPDATED, About(cluster_id=group.cluster_id), group=group.name)


def remove_group(change: Change, group_id: str) -> None:
    group = change.session.affinity_groups.get(group_id)
    _require(change, group)
    change.session.affinity_groups.remove(group_id)
    change.tell(_REMOVED, About(cluster_id=group.cluster_id), group=group.name)


def join_group(
    change: Change,
    group_id: str,
    *,
    vm_ids: frozenset[str] = frozenset(),
    host_ids: frozenset[str] = frozenset(),
) -> None:
    """Who is in it already stays in it."""
    group = change.session.affinity_groups.get(group_id)
    update_group(change, replace(group, vm_ids=group.vm_ids | vm_ids, host_ids=group.host_ids | host_ids))


def leave_group(change: Change, group_id: str, object_id: str) -> None:
    """Of a machine or a host. Raises NotInGroup."""
    group = change.session.affinity_groups.get(group_id)
    if object_id not in group.vm_ids | group.host_ids:
        raise NotInGroup(group=group.name)
    gone = {object_id}
    update_group(change, replace(group, vm_ids=group.vm_ids - gone, host_ids=group.host_ids - gone))


def _require(change: Change, group: AffinityGroup) -> None:
    subject = Subject(type=ObjectType.CLUSTER, id=group.cluster_id)
    change.require(Right.MANIPULATE_AFFINITY_GROUPS, subject)


def _check(change: Change, group: AffinityGroup, action: str) -> None:
    _require(change, group)
    check_title("Affinity Group", group.name)
    other = change.session.affinity_groups.find(name=group.name, cluster_id=group.cluster_id)
    if other is not None and other.id != group.id:
        raise GroupNameInUse(action=action)
    _check_members(group, "VM", change.session.vms.by_ids(group.vm_ids).values())
    _check_members(group, "Host", change.session.hosts.by_ids(group.host_ids).values())


def _check_members(group: AffinityGroup, kind: str, members: Iterable[Any]) -> None:
    for member in members:
        if member.cluster_id != group.cluster_id:
            raise InAnotherCluster(kind=kind, name=member.name)
