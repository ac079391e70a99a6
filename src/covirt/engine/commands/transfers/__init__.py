# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Uploads and downloads of disks."""

from typing import Final

from covirt.engine.commands.command import Command
from covirt.engine.commands.transfers.begin import TransferDiskImage
from covirt.engine.commands.transfers.finish import CancelImageTransfer, FinalizeImageTransfer
from covirt.engine.commands.transfers.pause import ExtendImageTransfer, PauseImageTransfer, ResumeImageTransfer

TRANSFER_COMMANDS: Final[tuple[type[Command], ...]] = (
    CancelImageTransfer,
    ExtendImageTransfer,
    FinalizeImageTransfer,
    PauseImageTransfer,
    ResumeImageTransfer,
    TransferDiskImage,
)
