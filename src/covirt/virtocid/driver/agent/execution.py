# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that run programs in the container, as its root, and tell how they ended and what they said.

A process runs as long as it likes, at most until its container or virtocid ends.
"""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from covirt.common.errors import Error
from covirt.oci.execution import ExecEnd, ExecRequest, Execution
from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.captured import CapturedProcess, Collected
from covirt.virtocid.driver.agent.command import Call, Command, Commands, Json
from covirt.virtocid.driver.agent.errors import AgentUnresponsive, refused
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainIsNotRunning, DomainIsPaused

# What one answer holds: in base64 it must fit libvirt's longest string, both outputs together.
CAPTURED_BYTES: Final = 3_000_000
_ROOT: Final = "0"
_NAMESPACE_PIDS: Final = re.compile(r"^NSpid:.*\t(\d+)$", re.MULTILINE)
# Limits of stdout and stderr by capture mode. "merged" is one output, in the order in which it arrives here.
_MODES: Final[Mapping[str, tuple[int, int]]] = {
    "none": (0, 0),
    "stdout": (CAPTURED_BYTES, 0),
    "stderr": (0, CAPTURED_BYTES),
    "separated": (CAPTURED_BYTES // 2, CAPTURED_BYTES // 2),
    "merged": (CAPTURED_BYTES, 0),
}

StartProcess = Callable[[Domain, ExecRequest], Execution]


def execution_commands(start: StartProcess) -> Commands:
    def run(call: Call, arguments: Arguments) -> Json:
        request = ExecRequest(
            arguments=(arguments.text("path"), *arguments.texts("arg")),
            user=_ROOT,
            environment=tuple(_variable(word) for word in arguments.texts("env")),
        )
        data, mode = arguments.data("input-data"), _mode(arguments)
        with call.guest.starting():
            try:
                execution = start(call.domain, request)
            except (DomainIsPaused, DomainIsNotRunning) as error:
                raise AgentUnresponsive(name=call.domain.name, reason="does not run any more") from error
            except Error as error:
                raise refused(error) from error
        pid = _pid_inside(execution.pid)
        out, err = (Collected(limit) for limit in _MODES[mode])
        process = CapturedProcess(execution, data, out, out if mode == "merged" else err)
        call.guest.processes.add(pid, process, captures=mode != "none")
        return {"pid": pid}

    return {
        "guest-exec": Command(run=run, arguments=("path", "arg", "env", "input-data", "capture-output")),
        "guest-exec-status": Command(run=_status, arguments=("pid",)),
    }


def _status(call: Call, arguments: Arguments) -> Json:
    found = call.guest.processes.status(arguments.integer("pid"))
    if found is None:
        raise refused("Invalid parameter 'pid': there is no such process of guest-exec, or its end was told already")
    process, captures = found
    if process.end is None:
        return {"exited": False}
    answer: dict[str, Json] = {"exited": True, **_end(process.end)}
    if captures:
        outputs = {"out": process.out} if process.out is process.err else {"out": process.out, "err": process.err}
        for name, output in outputs.items():
            if output.data:
                answer[f"{name}-data"] = base64.b64encode(output.data).decode()
            if output.truncated:
                answer[f"{name}-truncated"] = True
    return answer


def _end(end: ExecEnd) -> dict[str, Json]:
    if end.exit_code is not None:
        return {"exitcode": end.exit_code}
    return {} if end.signal is None else {"signal": end.signal}


def _mode(arguments: Arguments) -> str:
    """A boolean for old clients, else a name."""
    if not arguments.has("capture-output"):
        return "none"
    mode = arguments.raw("capture-output")
    if isinstance(mode, bool):
        return "separated" if mode else "none"
    if not isinstance(mode, str) or mode not in _MODES:
        raise refused("Invalid parameter 'capture-output': it is a boolean, or one of " + ", ".join(_MODES))
    return mode


def _variable(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        # Not the word itself: it may be a secret without its name.
        raise refused("Invalid parameter 'env': an entry of it is not NAME=VALUE")
    return name, value


def _pid_inside(pid: int) -> int:
    """As the container's other processes see it; the host's when it has ended already."""
    try:
        match = _NAMESPACE_PIDS.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return pid
    return int(match[1]) if match else pid
