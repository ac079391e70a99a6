# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that a program starts and leaves behind, with their true ends: the client of adopter_program.

The helper is started when it is first needed. All that it looks after ends with us: when we are killed, it notices
and kills them; when it is killed, every process counts as lost, and the next start brings a new helper.
"""

import contextlib
import itertools
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from covirt.common import adopter_program
from covirt.common.errors import CommandFailed
from covirt.common.process import Argument, Child, CommandTimeout, base_environment, shell_text, spawn

log = logging.getLogger(__name__)

_KILL_SECONDS: Final = 10.0  # from the kill of a program that hangs until that is told
_STOP_SECONDS: Final = 10.0
_PACKET_BYTES: Final = 65536


class NothingAdopted(CommandFailed):
    """The program ended without a process. Fields: program, status."""

    template = "{program} ended with status {status} and started nothing"


class AdopterLost(CommandFailed):
    template = "the helper that looks after started processes was killed; try again"


@dataclass(eq=False, slots=True, kw_only=True)
class _Charge:
    """One start, and the process it became. ``status``: None while it runs; LOST for an end nobody can know."""

    number: int
    on_end: Callable[[int | None], object]
    pid: int | None = None
    failed: int | None = None
    lost: bool = False
    settled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A running process. ``kill`` ends it with its session and descendants, which is told by ``on_end`` as ever."""

    pid: int
    kill: Callable[[], None]


class Adopter:
    """Starts programs that leave a process behind. Thread-safe."""

    def __init__(self, *, name: str = "covirt-adopter") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._helper: _Helper | None = None
        self._closed = False

    def start(
        self,
        argv: Sequence[Argument],
        *,
        pid_file: Path,
        streams: tuple[int, int, int],
        on_end: Callable[[int | None], object],
        timeout_seconds: float,
    ) -> Adopted:
        """Run a program, with ``streams`` as its standard streams, until it ends and has left a process behind.

        ``argv`` begins with an absolute path; ``pid_file`` is where the program writes the process's pid. ``on_end``
        is called once, from a thread of ours, with the process's exit code, minus its signal, or None when that is
        lost. The descriptors stay the caller's. Raises NothingAdopted, CommandTimeout, AdopterLost; then ``on_end``
        is not called.
        """
        log.debug("Starting command=%s", shell_text(argv))
        helper = self._helper_now()
        charge = _Charge(number=next(self._numbers), on_end=on_end)
        words = [os.fspath(word) for word in argv]
        helper.send_start(charge, words, pid_file, streams)
        in_time = charge.settled.wait(timeout_seconds)
        if not in_time:
            helper.kill(charge)
            charge.settled.wait(_KILL_SECONDS)
        with helper.lock:
            if in_time and charge.pid is not None:
                return Adopted(pid=charge.pid, kill=lambda: helper.kill(charge))
            charge.on_end = lambda _status: None  # it may have started at the last moment; it is killed then
        if not in_time:
            raise CommandTimeout(program=words[0], timeout_seconds=timeout_seconds)
        if charge.lost:
            raise AdopterLost()
        raise NothingAdopted(program=os.path.basename(words[0]), status=charge.failed)

    def close(self) -> None:
        """Kill everything that runs, and end the helper."""
        with self._lock:
            self._closed = True
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()

    def _helper_now(self) -> "_Helper":
        with self._lock:
            if self._closed:
                raise AdopterLost()
            if self._helper is None or self._helper.ended:
                if self._helper is not None:
                    self._helper.close()
                self._helper = _Helper(self._name)
            return self._helper


class _Helper:
    """One life of the helper process."""

    def __init__(self, name: str) -> None:
        self.lock = threading.Lock()
        self.ended = False
        self._charges: dict[int, _Charge] = {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = ours
        with theirs:
            # -I -S: no site packages and no environment, for a quick start.
            script = os.path.abspath(adopter_program.__file__)
            argv = [sys.executable, "-I", "-S", script]
            self._child: Child = spawn(argv, stdin=theirs.fileno(), own_session=True)
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        self._thread.start()

    def send_start(self, charge: _Charge, argv: list[str], pid_file: Path, streams: tuple[int, int, int]) -> None:
        request = {"do": "start", "id": charge.number, "argv": argv, "environment": base_environment()}
        with self.lock:
            self._charges[charge.number] = charge
        packet = json.dumps({**request, "pid_file": os.fspath(pid_file)}).encode()
        try:
            socket.send_fds(self._channel, [packet], list(streams))
        except OSError as error:
            with self.lock:
                self._charges.pop(charge.number, None)
            raise AdopterLost() from error

    def kill(self, charge: _Charge) -> None:
        with contextlib.suppress(OSError):  # the helper is gone, and what it looked after with it
            self._channel.send(json.dumps({"do": "kill", "id": charge.number}).encode())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        try:
            self._child.wait(timeout_seconds=_STOP_SECONDS)
        except CommandTimeout:
            self._child.stop(grace_seconds=0)
        self._thread.join()
        self._channel.close()

    def _read(self) -> None:
        try:
            while data := self._channel.recv(_PACKET_BYTES):
                self._heard(json.loads(data))
        except OSError as error:
            log.debug("The helper is gone error=%s", error)
        finally:
            self._lose_all()

    def _heard(self, answer: dict[str, Any]) -> None:
        with self.lock:
            charge = self._charges.get(answer["id"])
            if charge is None:
                return
            if "pid" in answer:
                charge.pid = answer["pid"]
            else:
                del self._charges[charge.number]
                charge.failed = answer.get("failed")
            charge.settled.set()
            on_end = charge.on_end
        if "ended" in answer:
            _call(on_end, answer["ended"])

    def _lose_all(self) -> None:
        with self.lock:
            self.ended = True
            lost = list(self._charges.values())
            self._charges.clear()
            ends = [charge.on_end for charge in lost if charge.pid is not None]
            for charge in lost:
                charge.lost = charge.pid is None
                charge.settled.set()
        for on_end in ends:
            _call(on_end, None)


def _call(on_end: Callable[[int | None], object], status: int | None) -> None:
    try:
        on_end(status)
    except Exception:  # a thread top: one bad callback may not silence the ends of all others
        log.exception("A callback about the end of a process failed")
