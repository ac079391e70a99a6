# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All commands by name, and those of QEMU's agent that a container refuses, with the reason."""

from collections.abc import Mapping
from typing import Final

import covirt
from covirt.virtocid.driver.agent import files, filesystems, information, network
from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.command import Call, Command, Commands, Json
from covirt.virtocid.driver.agent.execution import StartProcess, execution_commands
from covirt.virtocid.driver.agent.power import Power, power_commands

_CLOCK: Final = "the clock of a container is the host's"
_ACCOUNTS: Final = "the accounts of a container are its image's; use guest-exec to change them"
_FREEZE: Final = "the file systems of a container are mounted by the host; suspend the domain to hold it still"
_CPUS: Final = "the CPUs of a container are counted by virsh setvcpus"
REFUSED: Final[Mapping[str, str]] = {
    "guest-set-time": _CLOCK,
    "guest-set-vcpus": _CPUS,
    "guest-set-user-password": _ACCOUNTS,
    "guest-ssh-get-authorized-keys": _ACCOUNTS,
    "guest-ssh-add-authorized-keys": _ACCOUNTS,
    "guest-ssh-remove-authorized-keys": _ACCOUNTS,
    "guest-fsfreeze-status": _FREEZE,
    "guest-fsfreeze-freeze": _FREEZE,
    "guest-fsfreeze-freeze-list": _FREEZE,
    "guest-fsfreeze-thaw": _FREEZE,
    "guest-fstrim": "the file systems of a container are mounted by the host, which trims them",
    "guest-suspend-disk": "a container has no sleep states; suspend the domain",
    "guest-suspend-ram": "a container has no sleep states; suspend the domain",
    "guest-suspend-hybrid": "a container has no sleep states; suspend the domain",
}


def all_commands(power: Power, start_process: StartProcess) -> Commands:
    commands: dict[str, Command] = {
        **information.COMMANDS,
        **filesystems.COMMANDS,
        **network.COMMANDS,
        **files.COMMANDS,
        **execution_commands(start_process),
        **power_commands(power),
    }

    def info(_call: Call, _arguments: Arguments) -> Json:
        known = [_about(name, enabled=True, answers=command.answers) for name, command in commands.items()]
        refused = [_about(name, enabled=False, answers=True) for name in REFUSED]
        return {"version": covirt.__version__, "supported_commands": [*known, *refused]}

    commands["guest-info"] = Command(run=info)
    return commands


def _about(name: str, *, enabled: bool, answers: bool) -> Json:
    return {"name": name, "enabled": enabled, "success-response": answers}
