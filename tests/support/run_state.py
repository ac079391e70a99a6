# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a test run has on the machine, written down so that the next run removes it after a kill -9.

A run's processes, mounts, links and network namespaces live in namespaces that die with it. What can stay behind
is its part of the cgroup tree, its directory on disk, and loop devices. A lock on the record, held by the run's
outermost process, tells a dead run from a live one; nothing that has no record is ever touched.
"""

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from covirt.common.files import remove_tree
from covirt.common.root import boot_id
from tests.support.cgroups import remove_group
from tests.support.loops import detach, loops_of_dead_world
from tests.support.world import FILE_SYSTEMS

# Another place for records, so that the tests of this module do not meet real ones.
STATE_VARIABLE: Final = "COVIRT_TEST_STATE"


def state_dir() -> Path:
    """Where records lie: one directory per user, nobody else's to write."""
    directory = Path(os.environ.get(STATE_VARIABLE, f"/var/tmp/covirt-tests-{os.getuid()}"))
    directory.mkdir(mode=0o711, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise PermissionError(f"{directory} belongs to somebody else; remove it")
    return directory


class RunRecord:
    """The record of this run. Close it with remove() when everything is gone."""

    def __init__(self, name: str, cgroups: Sequence[Path]) -> None:
        self.directory = state_dir() / name
        self._path = state_dir() / f"{name}.json"
        content = {"pid": os.getpid(), "boot_id": boot_id(), "cgroups": [os.fspath(path) for path in cgroups]}
        with _records_locked():
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            os.write(self._descriptor, json.dumps(content).encode())
        self.directory.mkdir(mode=0o711)

    def forget_in_child(self) -> None:
        """Close our copy in a forked child, so that the lock ends with the outermost process."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove what the run had, and then the record."""
        with _records_locked():
            _remove_remains(self._path)
        os.close(self._descriptor)


def remove_stale_runs() -> None:
    """Remove what dead runs left. Says so on stderr, because it is a surprise."""
    with _records_locked():
        for path in sorted(state_dir().glob("*.json")):
            with contextlib.suppress(BlockingIOError), path.open("r+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                print(f"removing what the killed test run {path.stem} left", file=sys.stderr)  # noqa: T201
                _remove_remains(path)


def remove_run(path: Path) -> None:
    """Remove what one ended run left, by its record; gone already is fine. Raises BlockingIOError while it lives."""
    with _records_locked(), contextlib.suppress(FileNotFoundError), path.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_remains(path)


@contextlib.contextmanager
def _records_locked() -> Iterator[None]:
    """One process at a time adds or removes records; a record without a lock of its own is then of a dead run."""
    descriptor = os.open(state_dir(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_remains(path: Path) -> None:
    try:
        content = json.loads(path.read_text())
    except ValueError:  # killed while writing: nothing had been made yet
        content = {"boot_id": "", "cgroups": []}
    directory = path.with_suffix("")
    if content["boot_id"] == boot_id():
        for group in content["cgroups"]:
            remove_group(Path(group))
        others = [one for one in state_dir().iterdir() if one not in (path, directory)]
        detach(loops_of_dead_world(directory, _file_systems(directory) - _file_systems(*others)))
    remove_tree(directory)
    path.unlink()


def _file_systems(*directories: Path) -> set[int]:
    found: set[int] = set()
    for directory in directories:
        for place, _, names in os.walk(directory):  # which passes over what a live run removes meanwhile
            if FILE_SYSTEMS in names:
                with contextlib.suppress(FileNotFoundError):
                    found |= {int(word) for word in Path(place, FILE_SYSTEMS).read_text().split()}
    return found


def run_name() -> str:
    """A short name that no live run has."""
    return f"r{os.getpid()}-{int(time.time()) % 100_000}"
