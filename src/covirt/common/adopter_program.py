# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A program that starts others, adopts the process each leaves behind, and tells how that one ended.

A container runtime's ``exec`` starts a process, writes its pid to a file and ends. Whose child is that process then?
Of the nearest subreaper, which is this program: only a parent learns how a process really ended. And when its own
parent, the daemon, is killed, the socket between them closes: whatever still runs is killed, and it ends itself.

Stands alone: it is run as a script without site packages. Its standard input is a packet socket (adopter.py has the
other end); a packet holds one JSON object. In: ``{"do": "start", "id", "argv", "environment", "pid_file"}`` with
three descriptors (the new standard streams), or ``{"do": "kill", "id"}``. Out: ``{"id", "pid"}`` once adopted or
``{"id", "failed": STATUS}`` when the program started none, then ``{"id", "ended": STATUS}``; a status is an exit
code, or minus the number of a signal.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PACKET_BYTES = 65536
_ROUNDS = 50  # of killing a tree, which may fork meanwhile
_IGNORED = (signal.SIGTERM, signal.SIGINT)
# Others must not inherit what this program, Python or whoever started the daemon ignores (a shell's "&": SIGQUIT).
_RESET = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in _IGNORED:  # the end is the end of the socket: what runs must be killed first
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=0) as channel:
        keeper = _Keeper(channel)
        try:
            keeper.serve()
        finally:
            keeper.kill_all()
    return 0


class _Keeper:
    """What runs: programs that were started (by pid), and processes that were adopted (by pid)."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._starting: dict[int, dict[str, Any]] = {}
        self._adopted: dict[int, int] = {}
        # Ends of children that nobody knew: an adopted one may end before the program that started it.
        self._unknown: dict[int, int] = {}

    def serve(self) -> None:
        wake, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(wake, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
                self._reap()
            if self._channel.fileno() in ready and not self._receive():
                return

    def _receive(self) -> bool:
        """One request; False at the end of the socket."""
        data, descriptors, _, _ = socket.recv_fds(self._channel, _PACKET_BYTES, 3)
        try:
            if not data:
                return False
            request = json.loads(data)
            if request["do"] == "start":
                self._start(request, descriptors)
            else:
                self._kill(request["id"])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        for descriptor in descriptors:  # none must reach the program under a second number
            os.set_inheritable(descriptor, False)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(request, descriptors, parent)
        self._starting[pid] = request

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self._unknown[pid] = os.waitstatus_to_exitcode(status)
        for pid in [pid for pid in self._unknown if pid in self._starting]:
            self._started(self._starting.pop(pid), self._unknown.pop(pid))
        for pid in [pid for pid in self._unknown if pid in self._adopted]:
            self._tell(id=self._adopted.pop(pid), ended=self._unknown.pop(pid))
        if not self._starting:
            self._unknown.clear()

    def _started(self, request: dict[str, Any], status: int) -> None:
        pid = _read_pid(request["pid_file"]) if status == 0 else None
        if pid is None or not (pid in self._unknown or _is_child(pid)):
            self._tell(id=request["id"], failed=status)
            return
        self._adopted[pid] = request["id"]
        self._tell(id=request["id"], pid=pid)
        if request.get("killed"):
            kill_tree(pid)

    def _kill(self, number: int) -> None:
        for pid, request in self._starting.items():
            if request["id"] == number:
                request["killed"] = True
                kill_tree(pid)
        for pid, owner in self._adopted.items():
            if owner == number:
                kill_tree(pid)

    def kill_all(self) -> None:
        for pid in (*self._starting, *self._adopted):
            kill_tree(pid)
        for request in self._starting.values():
            started = _read_pid(request["pid_file"])
            if started is not None and _is_child(started):
                kill_tree(started)

    def _tell(self, **words: int) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more: the next read sees the end
            self._channel.send(json.dumps(words).encode())


def _become(request: dict[str, Any], descriptors: list[int], parent: int) -> NoReturn:
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was killed before the wish was made
            os._exit(127)
        os.setsid()
        for number in _RESET:
            signal.signal(number, signal.SIG_DFL)
        # Numbers above 2 first: a received one may be 0, 1 or 2 no more than the socket's own.
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, 65536)
        os.execve(request["argv"][0], request["argv"], request["environment"])  # noqa: S606
    except (OSError, ValueError) as error:
        os.write(2, f"{request['argv'][0]}: {error}\n".encode())
    os._exit(127)


def _read_pid(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as stream:
            return int(stream.read(32))
    except (OSError, ValueError):
        return None


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill_tree(leader: int) -> None:
    """SIGKILL a process, its session, and the descendants of either that can still be told.

    The caller knows that ``leader`` is the process it means: its pid cannot come to mean another one while it is an
    unreaped child.
    """
    seen: set[int] = set()
    for _ in range(_ROUNDS):
        living = _tree(leader)
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if living <= seen:  # a killed one that is frozen, or hangs in the kernel, stays for a while
            return
        seen |= living


def _tree(leader: int) -> set[int]:
    """Living processes of the session of ``leader``, and all their descendants."""
    # A program (crun without a terminal) may have left it in the session that was made for the program.
    sessions = {leader}
    with contextlib.suppress(ProcessLookupError):
        sessions.add(os.getsid(leader))
    sessions.discard(os.getsid(0))
    parents: dict[int, int] = {}
    members = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stream:
                # proc(5): after the name in parentheses come state, ppid, pgrp, session
                state, parent, _, session = stream.read().rpartition(b") ")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if state in (b"Z", b"X"):
            continue
        parents[int(name)] = int(parent)
        if int(session) in sessions or int(name) == leader:
            members.add(int(name))
    while more := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= more
    return members


if __name__ == "__main__":
    sys.exit(main())
