# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are not our children, told apart after a restart.

A pid alone is not an identity, because the kernel uses it again; a pid with its start time is one within a boot.
"""

import os
from dataclasses import dataclass
from typing import Final

_STAT_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A process of this boot. ``start_time``: clock ticks since boot (proc(5), field 22 of /proc/PID/stat)."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """Raises ProcessLookupError when there is no such process."""
        return cls(pid=pid, start_time=process_start_time(pid))


def process_start_time(pid: int) -> int:
    """Raises ProcessLookupError when there is no such process. A zombie still has its start time."""
    return int(_stat_fields(pid)[19])


def alive(pid: int, start_time: int) -> bool:
    """Tell whether this very process still runs; a zombie has ended."""
    try:
        fields = _stat_fields(pid)
    except ProcessLookupError:
        return False
    return int(fields[19]) == start_time and fields[0] not in (b"Z", b"X")


def _stat_fields(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third on: the second, in parentheses, may hold anything."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(descriptor, _STAT_LIMIT)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise ProcessLookupError(f"there is no process {pid}") from error
    return text[text.rindex(b")") + 2 :].split()


def open_pidfd(pid: int, start_time: int) -> int | None:
    """A descriptor that becomes readable when this very process ends; None when it has ended already."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    # Checked after opening: from here on the descriptor cannot come to mean another process.
    if alive(pid, start_time):
        return descriptor
    os.close(descriptor)
    return None
