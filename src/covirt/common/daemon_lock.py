# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One daemon per root: a lock that the kernel frees however the daemon ends."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from covirt.common.errors import Conflict
from covirt.common.files import make_directory
from covirt.common.root import Root

_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class AnotherDaemonRuns(Conflict):
    template = "another {program} (pid {pid}) serves {root}; stop it first or use another --root"


class DaemonLock:
    """A held lock; released on close, on leaving the ``with`` block, or when the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def acquire_daemon_lock(root: Root, program: str) -> DaemonLock:
    """Take ROOT/run/covirt/PROGRAM.lock, or raise AnotherDaemonRuns with the holder's pid. Never waits."""
    make_directory(root.run_dir)
    descriptor = os.open(_path(root, program), _FLAGS | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise AnotherDaemonRuns(program=program, pid=holder, root=root.path) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return DaemonLock(descriptor)


def is_daemon_locked(root: Root, program: str) -> bool:
    """Whether such a daemon serves the root."""
    try:
        descriptor = os.open(_path(root, program), _FLAGS)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _path(root: Root, program: str) -> Path:
    return root.run_dir / f"{program}.lock"
