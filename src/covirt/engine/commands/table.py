# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All commands, by their action: what the database holds of one that is under way is found again by it."""

from collections.abc import Mapping
from typing import Final

from covirt.engine.commands.command import Command, by_action
from covirt.engine.commands.disks import DISK_COMMANDS
from covirt.engine.commands.hosts import HOST_COMMANDS
from covirt.engine.commands.images.import_image import ImportContainerImage
from covirt.engine.commands.images.remove_image import RemoveContainerImage
from covirt.engine.commands.networking.host_networks import HOST_NETWORK_COMMANDS
from covirt.engine.commands.snapshots import SNAPSHOT_COMMANDS
from covirt.engine.commands.storage import STORAGE_COMMANDS
from covirt.engine.commands.transfers import TRANSFER_COMMANDS
from covirt.engine.commands.vms.table import VM_COMMANDS

COMMANDS: Final[Mapping[str, type[Command]]] = by_action(
    (
        *HOST_COMMANDS,
        *HOST_NETWORK_COMMANDS,
        *SNAPSHOT_COMMANDS,
        *STORAGE_COMMANDS,
        *DISK_COMMANDS,
        *TRANSFER_COMMANDS,
        *VM_COMMANDS,
        ImportContainerImage,
        RemoveContainerImage,
    )
)
