# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The mount table, read for tests."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of mountinfo (proc(5))."""

    mount_id: int
    root: str
    target: Path
    fstype: str
    source: str
    super_options: str

    def __str__(self) -> str:
        return f"{self.target} ({self.fstype})"


def read_mounts() -> tuple[Mount, ...]:
    """The mounts of the calling thread's namespace, oldest first."""
    lines = Path("/proc/thread-self/mountinfo").read_text().splitlines()
    return tuple(_parse(line) for line in lines)


def mount_below(directory: Path) -> tuple[Mount, ...]:
    """The mounts at or below a directory."""
    return tuple(one for one in read_mounts() if directory in (one.target, *one.target.parents))


def _parse(line: str) -> Mount:
    head, _, tail = line.partition(" - ")
    fields, (fstype, source, super_options) = head.split(" "), tail.split(" ", 2)
    return Mount(
        mount_id=int(fields[0]),
        root=_unescape(fields[3]),
        target=Path(_unescape(fields[4])),
        fstype=fstype,
        source=_unescape(source),
        super_options=super_options,
    )


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
