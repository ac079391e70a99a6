# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why nothing is done to a machine's snapshots now."""

from covirt.common.errors import Conflict, InvalidRequest


class SnapshotRefused(Conflict):
    """Fields: action, reason."""

    template = "Cannot {action} Snapshot. {reason}"


class InPreview(Conflict):
    """Fields: action, vm, snapshot."""

    template = "Cannot {action}. VM {vm} is previewing a Snapshot: {snapshot}. Commit the preview or undo it first."


class NothingPreviewed(Conflict):
    """Fields: action, vm."""

    template = "Cannot {action} Snapshot. VM {vm} is not previewing one."


class NoSpaceToMerge(Conflict):
    """Fields: domain, disk, needed."""

    template = (
        "Cannot remove Snapshot. Storage Domain {domain} has no room for what is merged into the lower volume of "
        "Disk {disk}: up to {needed} MiB, until the upper one is deleted. Make room and remove it again."
    )


class MergeFailed(Conflict):
    """Fields: disk."""

    template = (
        "Cannot remove Snapshot. The host has not merged the volumes of Disk {disk}; its log knows why. The disk is "
        "whole, and the snapshot can be removed again."
    )


class BadSnapshot(InvalidRequest):
    """Fields: reason."""

    template = "Cannot create Snapshot. {reason}"
