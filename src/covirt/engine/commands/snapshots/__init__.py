# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Operations on snapshots of virtual machines."""

from typing import Final

from covirt.engine.commands.command import Command
from covirt.engine.commands.snapshots.create import CreateSnapshot
from covirt.engine.commands.snapshots.end_preview import CommitSnapshot, UndoSnapshot
from covirt.engine.commands.snapshots.preview import PreviewSnapshot
from covirt.engine.commands.snapshots.remove import RemoveSnapshot
from covirt.engine.commands.snapshots.restore import RestoreSnapshot

SNAPSHOT_COMMANDS: Final[tuple[type[Command], ...]] = (
    CommitSnapshot,
    CreateSnapshot,
    PreviewSnapshot,
    RemoveSnapshot,
    RestoreSnapshot,
    UndoSnapshot,
)
