# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with starting a process in a running container, and reading it off a runtime's words."""

import re
from typing import Final

from covirt.common.errors import Conflict, Denied, Error, InvalidRequest, NotFound, Unavailable
from covirt.oci.runtimes.errors import RuntimeFailed


class BadExecRequest(InvalidRequest):
    template = "the command cannot be run in the container: {reason}"


class CommandNotFound(NotFound):
    template = "the container has no program {command!r} ({message})"


class CommandNotExecutable(Denied):
    template = "{command!r} cannot be executed in the container ({message})"


class WorkingDirectoryUnusable(InvalidRequest):
    template = "the container has no usable directory {directory!r} ({message})"


class TooManyExecutions(Conflict):
    """Fields: scope ("this container" or "containers"), limit."""

    template = (
        "{limit} processes that were started in {scope} run already, which is the configured limit; end one, or "
        "raise exec.{setting}"
    )


class ContainerConfigUnreadable(Unavailable):
    template = "the settings of the running container cannot be read from {path}: {reason}; it has probably ended"


class TerminalMissing(Unavailable):
    template = "the runtime made no terminal for the process: {reason}"


class WithoutTerminal(Conflict):
    template = "the process was started without a terminal, and has no size"


# The words of runc 1.1 and 1.3, crun 1.8 and 1.21, and of the kernel behind them; Podman reads them in the same way.
_DIRECTORY: Final = re.compile(r"\bchdir\b|\bcwd\b|working directory", re.IGNORECASE)
_NOT_EXECUTABLE: Final = re.compile(
    r"permission denied|is a directory|exec format error|open executable: operation not permitted", re.IGNORECASE
)
_NOT_FOUND: Final = re.compile(r"no such file or directory|executable file.* not found", re.IGNORECASE)


def start_failure(error: Error, *, command: str, directory: str) -> Error:
    """The precise fact behind a runtime's failure to start ``command``, or the failure itself."""
    if not isinstance(error, RuntimeFailed):
        return error
    message = str(error.fields["message"])
    if _DIRECTORY.search(message):
        return WorkingDirectoryUnusable(directory=directory, message=message)
    if _NOT_EXECUTABLE.search(message):
        return CommandNotExecutable(command=command, message=message)
    if _NOT_FOUND.search(message):
        return CommandNotFound(command=command, message=message)
    return error
