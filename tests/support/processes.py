# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of this test process: its descendants and, in a world, orphans inside our part of the cgroup tree.

An orphan's parent is PID 1 of the world, which reaps it; without a world, this process adopts its orphans.
"""

import contextlib
import os
import signal
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.world import missing_reason


@dataclass(frozen=True, slots=True)
class ProcessKey:
    """A process for certain: a PID alone is used again."""

    pid: int
    start: int


@dataclass(frozen=True, slots=True)
class _Stat:
    """From /proc/PID/stat (proc(5), fields 2, 3, 4 and 22)."""

    name: str
    state: str
    parent: int
    start: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return _Stat(head.partition("(")[2], fields[0], int(fields[1]), int(fields[19]))


def our_processes() -> dict[Hashable, str]:
    """Every living process of ours but this one."""
    table = {int(name): stat for name in os.listdir("/proc") if name.isdigit() and (stat := _stat(int(name)))}
    found: dict[Hashable, str] = {}
    for pid, stat in table.items():
        if pid == os.getpid() or stat.state == "Z":
            continue
        if _descends(pid, table) or (stat.parent == 1 and _in_our_cgroup(pid)):
            found[ProcessKey(pid, stat.start)] = f"{pid} {stat.name}"
    return found


def _descends(pid: int, table: Mapping[int, _Stat]) -> bool:
    while pid in table:
        pid = table[pid].parent
        if pid == os.getpid():
            return True
    return False


def _in_our_cgroup(pid: int) -> bool:
    """Whether the process sits below the root of our cgroup namespace; places elsewhere show as ``/..``."""
    if missing_reason() is not None:
        return False
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    places = [line.split(":", 2)[2] for line in lines if len(lines) == 1 or not line.startswith("0::")]
    return bool(places) and not any(place.startswith("/..") for place in places)


def without_families_of(before: Mapping[Hashable, str], things: Mapping[Hashable, str]) -> dict[Hashable, str]:
    """``things`` less the descendants of the processes in ``before``."""
    old = {key.pid for key in before if isinstance(key, ProcessKey)}

    def belongs_to_old(pid: int) -> bool:
        while (stat := _stat(pid)) is not None:
            pid = stat.parent
            if pid in old:
                return True
        return False

    return {
        key: words for key, words in things.items() if isinstance(key, ProcessKey) and not belongs_to_old(key.pid)
    }


def kill(keys: Iterable[Hashable]) -> None:
    """End these processes, unless their PIDs are somebody else's by now."""
    for key in keys:
        assert isinstance(key, ProcessKey)
        stat = _stat(key.pid)
        if stat is not None and stat.start == key.start:
            with contextlib.suppress(ProcessLookupError):
                os.kill(key.pid, signal.SIGKILL)
