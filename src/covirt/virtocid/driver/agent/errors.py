# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with an agent command, and what a command itself says in QEMU's guest agent's words."""

from covirt.common.errors import CommandFailed, Error, InvalidRequest, Unavailable


class AgentUnresponsive(Unavailable):
    template = "Guest agent is not responding: domain '{name}' {reason}"


class AgentCommandFailed(CommandFailed):
    """The words are libvirt's own for an agent that answered with an error."""

    template = "internal error: unable to execute QEMU agent command '{command}': {reason}"


class BadAgentTimeout(InvalidRequest):
    template = "invalid argument: guest agent timeout '{timeout}' is less than the minimum '-2'"


class BadAgentJson(CommandFailed):
    template = "internal error: cannot parse json of the agent command: {reason}"


class Refused(Error):
    """A command says no. ``reason`` is for people, and becomes the reason of AgentCommandFailed."""

    template = "{reason}"


def refused(reason: object) -> Refused:
    return Refused(reason=reason)
