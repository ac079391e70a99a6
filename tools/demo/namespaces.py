# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Namespaces for one demo: processes, mounts, network, IPC, names, cgroups.

Three processes, as in tests.support.launch: the outer one stays on the machine, cleans up, and is the one that
Ctrl-C reaches; PID 1 of the namespaces adopts and reaps; its child tells the story. PID 1 ends with the outer
process, unless the demo is to be kept: then it lets go, and the outer one leaves alone. The record's lock is
inherited by all of them, so it is free exactly when the last is gone.
"""

import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from tests.support.launch import open_record, why_no_world
from tests.support.run_state import RunRecord
from tests.support.syscalls import CLONE_NEWPID, MS_PRIVATE, MS_REC, die_with_parent, mount, unshare
from tests.support.world import VARIABLE, enter_world
from tools.demo import kept
from tools.demo.errors import NoNamespaces

HOST_NAME: Final = "demo"
_KEPT: Final = b"k"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Story = Callable[[], int]


class Namespaces:
    """Tells a story in namespaces of its own, and cleans up after it."""

    def __init__(self) -> None:
        """Raises NoNamespaces. Under systemd, starts this program again in a scope of its own."""
        reason = why_no_world()
        if reason is not None:
            raise NoNamespaces(reason=reason)
        self._name, self._record = open_record(kept.NAME_PREFIX)
        self._init_pid = 0

    def run(self, story: Story, *, keep: bool) -> int:
        """The story's exit status. With ``keep`` and status 0, the story's processes go on."""
        sys.stdout.flush()
        unshare(CLONE_NEWPID)
        reading, writing = os.pipe()
        # Until the child has taken over there is nobody to pass a signal to.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._init_pid = os.fork()
        if self._init_pid == 0:
            os.close(reading)
            _be_child(lambda: _be_init(self._name, self._record, story, _Letter(writing) if keep else None))
        os.close(writing)
        for number in _SIGNALS:
            signal.signal(number, self._forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if os.read(reading, 1) == _KEPT:
            kept.remember(self._record, init_pid=self._init_pid)
            return 0
        _, status = os.waitpid(self._init_pid, 0)
        return _exit_code(status)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init_pid, number)

    def remove(self) -> None:
        """End what is left, and leave no trace."""
        if self._init_pid:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._init_pid, signal.SIGKILL)
                os.waitpid(self._init_pid, 0)
        self._record.remove()


class _Letter:
    """How PID 1 tells the outer process that it stays."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self) -> None:
        os.write(self._descriptor, _KEPT)
        os.close(self._descriptor)


def _be_child(work: Callable[[], int]) -> NoReturn:
    """A forked child never returns into its parent's code."""
    status = 1
    try:
        status = work()
    except SystemExit:  # nobody reads our output any more
        pass
    except BaseException:  # noqa: BLE001  # the top of a process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _be_init(name: str, record: RunRecord, story: Story, letter: _Letter | None) -> int:
    die_with_parent(signal.SIGKILL)
    os.setsid()  # Ctrl-C is the outer process's to receive and to pass on
    os.environ[VARIABLE] = f"in:{record.directory}"
    enter_world(name)
    mount("none", "/proc", flags=MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc")
    _take_name()
    teller = os.fork()
    if teller == 0:
        for number in _SIGNALS:
            signal.signal(number, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        _be_child(story)
    _forward_signals(teller)
    status = _reap_until(teller)
    if status == 0 and letter is not None:
        _stay(letter)
    return status


def _take_name() -> None:
    socket.sethostname(HOST_NAME)
    Path("/etc/hosts").write_text(f"127.0.0.1 localhost {HOST_NAME}\n")  # our own, since enter_world()


def _forward_signals(teller: int) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(teller, number)

    for number in _SIGNALS:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _reap_until(wanted: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == wanted:
            return _exit_code(status)


def _stay(letter: _Letter) -> NoReturn:
    """Go on without the outer process, as the init of the namespaces, until SIGTERM."""
    die_with_parent(0)
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))  # and the kernel ends everybody else
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    letter.send()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.pause()


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
