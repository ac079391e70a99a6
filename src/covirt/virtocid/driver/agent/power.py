# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The command that ends or restarts the container from within, as its users would."""

from typing import Protocol

from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.command import Call, Command, Commands, Json
from covirt.virtocid.driver.agent.errors import refused
from covirt.virtocid.driver.domain import Domain


class Power(Protocol):
    """What of a domain's life cycle the agent may ask for."""

    def shutdown(self, domain: Domain) -> None: ...

    def reboot(self, domain: Domain) -> None: ...


def power_commands(power: Power) -> Commands:
    def shutdown(call: Call, arguments: Arguments) -> Json:
        """QEMU's agent does not answer when this succeeds; a client that does not expect an answer ignores it."""
        mode = arguments.text("mode", "powerdown")
        if mode in ("powerdown", "halt"):
            power.shutdown(call.domain)
        elif mode == "reboot":
            power.reboot(call.domain)
        else:
            raise refused("mode is invalid (valid values are: halt|powerdown|reboot)")
        return {}

    return {"guest-shutdown": Command(run=shutdown, arguments=("mode",), answers=False)}
