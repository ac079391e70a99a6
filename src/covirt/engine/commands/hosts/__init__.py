# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is done with hosts: added, enrolled, activated, put to rest, removed."""

from typing import Final

from covirt.engine.commands.command import Command
from covirt.engine.commands.hosts.maintenance import MaintenanceVds

HOST_COMMANDS: Final[tuple[type[Command], ...]] = (MaintenanceVds,)
