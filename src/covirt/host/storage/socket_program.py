# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A program that serves one unix socket and outlives us: started, found again by its socket, and ended.

The socket is the record: whoever listens on it in our own directory is ours, whichever life of the agent started it,
and the kernel tells its process (SO_PEERCRED). A killed agent loses no transfer by it, and leaks no program.
"""

import contextlib
import logging
import os
import shutil
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from covirt.common.errors import Unavailable
from covirt.common.process import Argument, Child, spawn
from covirt.common.readable import readable_within
from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID, as_storage_user

log = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.02
_ASK_SECONDS: Final = 0.5
_TAIL_BYTES: Final = 2000
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred, unix(7): pid, uid, gid


class ProgramDidNotStart(Unavailable):
    template = "{program} did not begin to serve {socket}: {reason}"


class SocketProgram:
    """One program and its socket; not for several threads at once. Dropping this object lets the program go on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._child: Child | None = None

    def answers(self) -> bool:
        with contextlib.suppress(OSError), self._connection():
            return True
        return False

    def start(
        self,
        argv: Sequence[Argument],
        *,
        log_files: Sequence[Path],
        timeout_seconds: float,
        environment: Mapping[str, str] | None = None,
        pass_descriptors: Sequence[int] = (),
        ready: Callable[[], bool] | None = None,
    ) -> None:
        """Start it as the owner of storage files and wait until it answers. Raises ProgramDidNotStart.

        Its output goes to the first of the ``log_files``; all of them are told when it does not start.
        """
        if self._child is not None:  # it died, and its socket was left
            self._child.stop()
        self.path.unlink(missing_ok=True)
        command = as_storage_user(argv, outlives=True)
        with log_files[0].open("wb") as output:
            child = spawn(
                command, own_session=True, stdout=output, stderr=output,
                environment=environment, pass_descriptors=pass_descriptors,
            )  # fmt: skip
        deadline = time.monotonic() + timeout_seconds
        while not (ready or self.answers)():
            reason = "it ended" if child.poll() is not None else f"{timeout_seconds:.0f} seconds passed"
            if child.poll() is not None or time.monotonic() > deadline:
                child.stop()
                said = " ".join(filter(None, map(_tail, log_files)))
                raise ProgramDidNotStart(program=argv[0], socket=self.path, reason=f"{reason}: {said}")
            time.sleep(_POLL_SECONDS)
        self._child = child
        log.info("Started program=%s pid=%d socket=%s", os.path.basename(os.fspath(argv[0])), child.pid, self.path)

    def end(self, *, grace_seconds: float) -> None:
        """End whoever serves the socket, and remove it."""
        with contextlib.suppress(OSError), self._process() as process:
            # Asked again and again: imageio loses a signal that arrives just before it waits for one.
            for _ in range(max(1, round(grace_seconds / _ASK_SECONDS))):
                if _ended(process, signal.SIGTERM):
                    break
            else:
                _ended(process, signal.SIGKILL)
            log.info("Ended program socket=%s", self.path)
        if self._child is not None:
            self._child.stop(grace_seconds=grace_seconds)
            self._child = None
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _process(self) -> Iterator[int]:
        """A pidfd of who listens. It is opened while the connection stands, so the number cannot be another's."""
        with self._connection() as connection:
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            process = os.pidfd_open(_CREDENTIALS.unpack(found)[0])
        try:
            yield process
        finally:
            os.close(process)

    def _connection(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_CONNECT_SECONDS)
            connection.connect(os.fspath(self.path))
        except BaseException:
            connection.close()
            raise
        return connection


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _ended(process: int, number: int) -> bool:
    """Signal the process, and tell whether it ends within a moment."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, number)
    return readable_within(process, _ASK_SECONDS)


def make_runtime_directory(path: Path) -> None:
    """A directory for sockets that only root and the owner of storage files can enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(path, STORAGE_UID, STORAGE_GID)


def find_program(name: str) -> str:
    """Where a program is: as configured, in PATH, or beside the interpreter that runs us (a virtual environment)."""
    beside = Path(sys.executable).parent / name
    return shutil.which(name) or (str(beside) if os.access(beside, os.X_OK) else name)
