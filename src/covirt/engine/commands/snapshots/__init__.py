# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Operations on snapshots of virtual machines."""

from typing import Final

from covirt.engine.commands.command import Command
from covirt.engine.commands.snapshots.create import CreateSnapshot
from covirt.engine.commands.snapshots.remove import RemoveSnapshot
from covirt.engine.commands.snapshots.restore import RestoreSnapshot

SNAPSHOT_COMMANDS: Final[tuple[type[Command], ...]] = (CreateSnapshot, RemoveSnapshot, RestoreSnapshot)
