# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Affinity labels, and the machines and hosts that carry them."""

import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, NotFound
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.names import check_name
from covirt.engine.model.affinity import AffinityLabel

_LONGEST: Final = 50
_ADDED: Final = AuditMessage(code=10380, text="Affinity Label {label} was added. (User: {user})")
_UPDATED: Final = AuditMessage(code=10382, text="Affinity Label {label} was updated. (User: {user})")
_REMOVED: Final = AuditMessage(code=10384, text="Affinity Label {label} was removed. (User: {user})")


class ReadOnlyLabel(Conflict):
    """Fields: label."""

    template = "Cannot edit Affinity Label. The label {label} is read-only."


class LabelNotThere(NotFound):
    """Fields: label."""

    template = "The object does not carry the affinity label {label}."


def add_label(change: Change, label: AffinityLabel) -> str:
    """The new id."""
    change.require(Right.TAG_MANAGEMENT)
    check_name("Affinity Label", label.name, longest=_LONGEST)
    added = replace(label, id=str(uuid.uuid4()), read_only=False)
    change.session.affinity_labels.add(added)
    change.tell(_ADDED, label=added.name)
    return added.id


def update_label(change: Change, label: AffinityLabel) -> None:
    change.require(Right.TAG_MANAGEMENT)
    check_name("Affinity Label", label.name, longest=_LONGEST)
    _check_mutable(change.session.affinity_labels.get(label.id))
    change.session.affinity_labels.update(label)
    change.tell(_UPDATED, label=label.name)


def remove_label(change: Change, label_id: str) -> None:
    """Whoever carries it carries it no more."""
    change.require(Right.TAG_MANAGEMENT)
    label = change.session.affinity_labels.get(label_id)
    _check_mutable(label)
    change.session.affinity_labels.remove(label_id)
    change.tell(_REMOVED, label=label.name)


def carry_label(
    change: Change,
    label_id: str,
    *,
    vm_ids: frozenset[str] = frozenset(),
    host_ids: frozenset[str] = frozenset(),
) -> None:
    """Who carries it already goes on doing so."""
    label = change.session.affinity_labels.get(label_id)
    update_label(change, replace(label, vm_ids=label.vm_ids | vm_ids, host_ids=label.host_ids | host_ids))


def drop_label(change: Change, label_id: str, object_id: str) -> None:
    """Of a machine or a host. Raises LabelNotThere."""
    label = change.session.affinity_labels.get(label_id)
    if object_id not in label.vm_ids | label.host_ids:
        raise LabelNotThere(label=label.name)
    gone = {object_id}
    update_label(change, replace(label, vm_ids=label.vm_ids - gone, host_ids=label.host_ids - gone))


def _check_mutable(label: AffinityLabel) -> None:
    if label.read_only:
        raise ReadOnlyLabel(label=label.name)
