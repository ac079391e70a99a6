# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a runtime, a container it holds, or the monitor in front of it."""

from covirt.common.errors import CommandFailed, Conflict, InvalidRequest, NotFound, Unavailable, Unsupported


class UnknownRuntime(InvalidRequest):
    """Fields: name, known (text), usable (text)."""

    template = "there is no container runtime named {name!r}; known here: {known}; usable here: {usable}"


class UnusableRuntime(Unsupported):
    """Fields: name, reason, usable (text)."""

    template = "the container runtime {name} cannot be used on this host: {reason}; usable here: {usable}"


class OperationUnsupported(Unsupported):
    template = "the container runtime {runtime} has no operation {operation!r}"


class ContainerMissing(NotFound):
    template = "the runtime {runtime} holds no container {container_id}"


class ContainerExists(Conflict):
    template = "the runtime {runtime} already holds a container {container_id}; delete it first"


class ContainerInWrongState(Conflict):
    template = "the runtime {runtime} cannot {operation} container {container_id} while it is {status}: {message}"


class RuntimeFailed(CommandFailed):
    """The runtime refused or broke. Fields: runtime, operation, container_id, message (the runtime's own words)."""

    template = "the runtime {runtime} failed to {operation} container {container_id}: {message}"


class CreateFailed(RuntimeFailed):
    """No container was made; what was half made is gone again. ``message`` is the runtime's own."""

    template = "container {container_id} was not created: {message}"


class BadRuntimeAnswer(CommandFailed):
    template = "the runtime {runtime} answered {operation} with something unreadable: {reason}"


class MonitorUnreachable(Unavailable):
    template = "the monitor of this container does not answer at {path}: {reason}; it has probably ended"
