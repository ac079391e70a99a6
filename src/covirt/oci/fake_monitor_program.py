# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A program with conmon's command line, as far as ConmonMonitor uses it, that needs nothing but Python: for tests.

It outlives who started it, writes the log and keeps the exit code. It has no console, no terminal (what asks for one
gets pipes), no log rotation and no out-of-memory mark. Stands alone: it is run as a script without site packages.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

_PR_SET_CHILD_SUBREAPER = 36
_BLOCK = 65536

Options = dict[str, list[str]]


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    if os.fork() > 0:
        return 0
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for name in ("_OCI_STARTPIPE", "_OCI_SYNCPIPE"):
        os.set_inheritable(int(os.environ[name]), False)
    os.read(int(os.environ["_OCI_STARTPIPE"]), 1)
    # The runtime ends after create; this makes its child ours.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _write(options["--conmon-pidfile"][0], str(os.getpid()))
    with _Log(options["--log-path"][0].partition(":")[2]) as log:
        outputs = {"stdout": os.pipe(), "stderr": os.pipe()}
        pid = _create(options, outputs)
        for _, writer in outputs.values():
            os.close(writer)
        _answer({"data": pid})
        status = _follow(pid, log, {reader: name for name, (reader, _) in outputs.items()})
    _write(os.path.join(options["--persist-dir"][0], "exit"), str(status))
    return 0


def _parse(arguments: list[str]) -> Options:
    options: Options = {}
    rest = iter([*arguments, "--"])
    word = next(rest)
    while word != "--":
        name, equals, value = word.partition("=")
        values = options.setdefault(name, [])
        word = next(rest)
        if equals:
            values.append(value)
        elif not word.startswith("--"):
            values.append(word)
            word = next(rest)
    return options


def _create(options: Options, outputs: dict[str, tuple[int, int]]) -> int:
    pid_file = options["--container-pidfile"][0]
    argv = [
        *(options["--runtime"][0], *options["--runtime-arg"], "create"),
        *("--bundle", options["--bundle"][0], "--pid-file", pid_file, options["--cid"][0]),
    ]
    actions = [(os.POSIX_SPAWN_DUP2, outputs[name][1], number) for name, number in (("stdout", 1), ("stderr", 2))]
    runtime = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    if os.waitpid(runtime, 0)[1] != 0:
        _fail(os.read(outputs["stderr"][0], _BLOCK).decode(errors="replace"))
    with open(pid_file, encoding="ascii") as stream:
        return int(stream.read())


def _fail(message: str) -> NoReturn:
    _answer({"data": -1, "message": message})
    os._exit(1)


def _answer(record: dict[str, Any]) -> None:
    pipe = int(os.environ["_OCI_SYNCPIPE"])
    os.write(pipe, json.dumps(record).encode() + b"\n")
    os.close(pipe)


def _follow(pid: int, log: "_Log", outputs: dict[int, str]) -> int:
    """Write what the container says until its first process has ended; the status in a shell's form."""
    process = os.pidfd_open(pid)
    while process not in (readable := _readable([process, *outputs], None)):
        _copy(readable, log, outputs)
    # All others end with the first process, as in a pid namespace. While it is not reaped, the group is its own.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    while readable := _readable([*outputs], 0):
        _copy(readable, log, outputs)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def _readable(descriptors: list[int], timeout_seconds: float | None) -> list[int]:
    return select.select(descriptors, [], [], timeout_seconds)[0]


def _copy(readable: list[int], log: "_Log", outputs: dict[int, str]) -> None:
    for reader in readable:
        data = os.read(reader, _BLOCK)
        if data:
            log.add(outputs[reader], data)
        else:
            del outputs[reader]


class _Log:
    """Kubernetes' format; a line that comes in parts is marked P but for its end."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> "_Log":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def add(self, stream: str, data: bytes) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000000000+00:00", time.gmtime())
        for line in data.splitlines(keepends=True):
            mark = "F" if line.endswith(b"\n") else "P"
            os.write(self._descriptor, f"{now} {stream} {mark} ".encode() + line.removesuffix(b"\n") + b"\n")


def _write(path: str, text: str) -> None:
    with open(f"{path}.new", "w", encoding="ascii") as stream:
        stream.write(text)
    os.rename(f"{path}.new", path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
