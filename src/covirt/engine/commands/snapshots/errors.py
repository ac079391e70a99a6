# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why nothing is done to a machine's snapshots now."""

from covirt.common.errors import Conflict, InvalidRequest


class SnapshotRefused(Conflict):
    """Fields: action, reason."""

    template = "Cannot {action} Snapshot. {reason}"


class BadSnapshot(InvalidRequest):
    """Fields: reason."""

    template = "Cannot create Snapshot. {reason}"
