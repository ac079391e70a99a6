# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Private directories for work in progress, which a kill -9 leaves behind and the next run clears.

Each holds a file ``lock`` that its owner, and every program its owner starts, keeps locked: what can be locked has no
owner any more. Making a directory and clearing others exclude each other through one more lock.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.files import make_directory, remove_tree
from covirt.oci.image.confine import hand_over

_PART_MARK: Final = ".covirt-part-"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDir:
    """``path`` is ours; ``inner`` belongs to the confined programs."""

    path: Path
    lock_descriptor: int

    @property
    def inner(self) -> Path:
        return self.path / "inner"

    def part_beside(self, target: Path) -> Path:
        """A hidden name in ``target``'s directory for a copy in progress, noted first so that it gets cleared."""
        part = target.parent / f".{target.name[:100]}{_PART_MARK}{secrets.token_hex(6)}"
        (self.path / "part").write_bytes(os.fsencode(part))
        return part


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold an exclusive lock on the file ``path``, made when absent. Waits."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def work_dir(parent: Path) -> Iterator[WorkDir]:
    """A new work directory below ``parent``, removed at the end; those of killed runs are removed first."""
    make_directory(parent)
    with locked(parent / ".lock"):
        _clear_stale(parent)
        path = parent / secrets.token_hex(6)
        path.mkdir(mode=0o700)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    work = WorkDir(path=path, lock_descriptor=descriptor)
    try:
        work.inner.mkdir()
        hand_over(work.inner)
        yield work
    finally:
        _remove(path)
        os.close(descriptor)


def clear_stale(parent: Path) -> None:
    """Remove the work directories that no running import owns."""
    if parent.is_dir():
        with locked(parent / ".lock"):
            _clear_stale(parent)


def _clear_stale(parent: Path) -> None:
    for path in parent.iterdir():
        if path.name != ".lock" and not is_owned(path):
            _remove(path)


def is_owned(path: Path) -> bool:
    """Whether a running import, or a program that one started, still works in this work directory."""
    try:
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False  # killed before the lock was made, or while the directory was being removed
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        part = Path(os.fsdecode((path / "part").read_bytes()))
        if _PART_MARK in part.name:
            part.unlink(missing_ok=True)
    # The lock goes last: a directory without it counts as abandoned, and so does a half-removed one.
    for child in path.iterdir():
        if child.name != "lock":
            remove_tree(child)
    remove_tree(path)
