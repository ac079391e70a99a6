# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Operations on disks of storage domains."""

from typing import Final

from covirt.engine.commands.command import Command
from covirt.engine.commands.disks.add_disk import AddDisk
from covirt.engine.commands.disks.attach import AttachDiskToVm, DetachDiskFromVm, UpdateVmDisk
from covirt.engine.commands.disks.copy_disk import CopyDisk
from covirt.engine.commands.disks.move_disk import MoveDisk
from covirt.engine.commands.disks.remove_disk import RemoveDisk
from covirt.engine.commands.disks.update_disk import UpdateDisk

DISK_COMMANDS: Final[tuple[type[Command], ...]] = (
    AddDisk,
    AttachDiskToVm,
    CopyDisk,
    DetachDiskFromVm,
    MoveDisk,
    RemoveDisk,
    UpdateDisk,
    UpdateVmDisk,
)
