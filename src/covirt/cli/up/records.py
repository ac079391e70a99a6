# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which processes ``covirt up`` has started: a file each, with the pid, its start time and the boot.

A process writes its own record before it becomes the daemon (covirt.cli.up.launch), so there is none without one,
whoever is killed in between.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.files import BrokenFile, make_directory, read_json, write_json
from covirt.common.process_identity import alive, open_pidfd, process_start_time
from covirt.common.readable import readable_within
from covirt.common.root import boot_id

_VERSION: Final = 1
_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A process that we started, and that runs."""

    name: str
    pid: int
    start_time: int


class Records:
    """Those of one installation."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, name: str) -> Path:
        make_directory(self._directory)
        return self._directory / f"{name}{_SUFFIX}"

    def find(self, name: str) -> Started | None:
        """The running process of this name; a record of one that has ended counts for nothing."""
        try:
            found = read_json(self._directory / f"{name}{_SUFFIX}", versions=range(_VERSION, _VERSION + 1))
            pid, start_time = int(found["pid"]), int(found["start_time"])
        except (FileNotFoundError, BrokenFile, KeyError):
            return None
        if found.get("boot") != boot_id() or not alive(pid, start_time):
            return None
        return Started(name=name, pid=pid, start_time=start_time)

    def running(self) -> Iterator[Started]:
        """In no order."""
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            if (found := self.find(path.name.removesuffix(_SUFFIX))) is not None:
                yield found

    def end(self, name: str, *, grace_seconds: float) -> bool:
        """SIGTERM, a wait, SIGKILL; whether there was one to end."""
        found = self.find(name)
        if found is not None:
            _end(found, grace_seconds)
        with contextlib.suppress(FileNotFoundError):
            (self._directory / f"{name}{_SUFFIX}").unlink()
        return found is not None


def write_own_record(path: Path) -> None:
    """Of the process that calls."""
    pid = os.getpid()
    record = {"pid": pid, "start_time": process_start_time(pid), "boot": boot_id()}
    write_json(path, record, version=_VERSION, durable=False)


def launched(record: Path, argv: Sequence[str], *, python: str) -> list[str]:
    """The command that writes the record and then becomes ``argv``."""
    return [python, "-m", "covirt.cli.up.launch", str(record), "--", *argv]


def _end(process: Started, grace_seconds: float) -> None:
    descriptor = open_pidfd(process.pid, process.start_time)
    if descriptor is None:
        return
    try:
        for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, grace_seconds)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if _gone_within(descriptor, seconds):
                return
    finally:
        os.close(descriptor)


def _gone_within(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if readable_within(descriptor, left):
            return True
    return False
