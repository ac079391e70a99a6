# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The mount table, which is also our only record of what is mounted: it cannot be wrong after a crash."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_IN_MEMORY = ("tmpfs", "ramfs")
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class MountEntry:
    """One line of /proc/self/mountinfo (proc_pid_mountinfo(5))."""

    mount_id: int
    device: str  # "major:minor" of the file system: the same for all mounts of it
    target: str
    filesystem: str
    source: str


def mounts(containing: bytes = b"") -> Iterator[MountEntry]:
    """Every mount of our mount namespace, in the order in which the kernel tells them: parents before children.

    Lines without ``containing`` are left out unparsed: with 500 containers the table has thousands.
    """
    for line in Path("/proc/thread-self/mountinfo").read_bytes().splitlines():
        if containing in line:
            yield parse_line(line)


def in_memory(path: Path) -> bool:
    """Whether what is written there is on no disk; it may be swapped out."""
    number = path.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    return any(entry.device == device and entry.filesystem in _IN_MEMORY for entry in mounts(device.encode()))


def mounts_below(directory: Path) -> list[MountEntry]:
    """The mounts on and below ``directory``, newest first, which is the order to unmount them in."""
    own, inside = os.fspath(directory), f"{directory}/"
    plain = os.fsencode(own.partition("\\")[0])  # what the kernel writes as it is, up to the first escape
    for escaped in b" \t\n#":
        plain = plain.partition(bytes((escaped,)))[0]
    return [entry for entry in mounts(plain) if entry.target == own or entry.target.startswith(inside)][::-1]


def parse_line(line: bytes) -> MountEntry:
    words = line.split(b" ")
    dash = words.index(b"-", 6)
    return MountEntry(
        mount_id=int(words[0]),
        device=words[2].decode(),
        target=_text(words[4]),
        filesystem=_text(words[dash + 1]),
        source=_text(words[dash + 2]),
    )


def _text(word: bytes) -> str:
    if b"\\" in word:
        word = _ESCAPE.sub(lambda match: bytes((int(match[1], 8),)), word)
    return word.decode(errors="surrogateescape")
