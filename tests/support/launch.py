# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a world of its own: ``python -m tests.support.launch COMMAND...``.

Three processes: the outer one stays on the machine, removes what dead runs left, and cleans up after the command;
PID 1 of a new PID namespace adopts and reaps orphans as a machine's init does; the command is its child. When any
of the three ends, for whatever reason, the kernel ends every process that the command ever started.
"""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.support import cgroups
from tests.support.run_state import RunRecord, remove_stale_runs, run_name
from tests.support.syscalls import CLONE_NEWNS, CLONE_NEWPID, MS_PRIVATE, MS_REC, die_with_parent, mount, unshare
from tests.support.world import VARIABLE, enter_world

_SCOPE_VARIABLE = "COVIRT_TEST_SCOPE"


def main(command: Sequence[str]) -> NoReturn:
    """Replace or wrap this process by ``command``; the exit status is the command's."""
    reason = why_no_world()
    if reason is not None:
        os.environ[VARIABLE] = f"off:{reason}"
        os.execvp(command[0], list(command))  # noqa: S606
    name, record = open_record("covirt-tests-")
    try:
        status = _run_in_namespaces(command, record, name)
    finally:
        record.remove()
    sys.exit(status)


def open_record(prefix: str) -> tuple[str, RunRecord]:
    """A run's name and record, in a place where it can have a cgroup; dead runs are removed first."""
    _enter_scope()
    remove_stale_runs()
    name = f"{prefix}{run_name()}"
    cgroups.sit_in_leaf()
    return name, RunRecord(name, [tree.place / name for tree in cgroups.hierarchies()])


def why_no_world() -> str | None:
    """Why there can be no world here, or None."""
    if os.environ.get(VARIABLE, "").startswith("off:"):
        return os.environ[VARIABLE].removeprefix("off:")
    if os.geteuid() != 0:
        return "needs root"
    child = os.fork()
    if child == 0:
        try:
            unshare(CLONE_NEWNS | CLONE_NEWPID)
        except OSError:
            os._exit(1)
        os._exit(0)
    return None if os.waitpid(child, 0)[1] == 0 else "needs root that may make namespaces (CAP_SYS_ADMIN)"


def _enter_scope() -> None:
    """Under systemd, start this program again in a part of the cgroup tree that systemd leaves to us."""
    if not Path("/run/systemd/system").is_dir() or _SCOPE_VARIABLE in os.environ:
        return
    os.environ[_SCOPE_VARIABLE] = "1"
    words = ["systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--", *sys.orig_argv]
    os.execvp(words[0], words)  # noqa: S606


def _run_in_namespaces(command: Sequence[str], record: RunRecord, name: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command gets the terminal's Ctrl-C itself; we only clean up
    unshare(CLONE_NEWPID)
    init = os.fork()
    if init == 0:
        with _in_child():
            record.forget_in_child()
            die_with_parent(signal.SIGKILL)
            os.environ[VARIABLE] = f"in:{record.directory}"
            enter_world(name)
            mount("none", "/proc", flags=MS_REC | MS_PRIVATE)
            mount("proc", "/proc", "proc")
            os._exit(_be_init(command))
    signal.signal(signal.SIGTERM, lambda number, _frame: os.kill(init, number))
    _, status = os.waitpid(init, 0)
    return _exit_code(status)


@contextlib.contextmanager
def _in_child() -> Iterator[None]:
    """Run the block of a forked child, which must never return into its parent's code."""
    try:
        yield
    except BaseException:  # noqa: BLE001  # the top of a process
        traceback.print_exc()
    finally:
        os._exit(1)


def _be_init(command: Sequence[str]) -> int:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with _in_child():
            os.execvp(command[0], list(command))  # noqa: S606

    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    signal.signal(signal.SIGTERM, forward)
    while True:
        pid, status = os.wait()
        if pid == child:
            return _exit_code(status)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main(sys.argv[1:])
