# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernel had counted of a block device when a volume was mounted from it.

A loop device goes from one volume to the next, and its counters go on: without what they were at the mount a
container would be told what others had read and written. Format: Documentation/block/stat.rst.
"""

import logging
import os
from pathlib import Path
from typing import Final

from covirt.common.files import make_directory, write_atomic

log = logging.getLogger(__name__)

_DIRECTORY: Final = "volumes-counted"
_IN_FLIGHT: Final = 8  # of the words: how many requests are on their way, which is no counter


def write_down(run_dir: Path, device: int) -> None:
    """To be called as soon as it is mounted. Where it fails numbers are too large, and nothing else."""
    directory = run_dir / _DIRECTORY
    try:
        make_directory(directory, mode=0o700)
        write_atomic(directory / _name(device), _stat(device).read_bytes(), durable=False)
    except OSError as error:
        log.warning("A device's counters cannot be read device=%s reason=%s", _name(device), error.strerror)


def counted(run_dir: Path, device: int) -> tuple[int, ...]:
    """The kernel's words since the mount; all of them where nothing was written down. Raises OSError, ValueError."""
    words = _words(_stat(device))
    try:
        before = _words(run_dir / _DIRECTORY / _name(device))
    except FileNotFoundError:
        return words
    since = tuple(now - then for now, then in zip(words, before, strict=False))
    others = (each for number, each in enumerate(since) if number != _IN_FLIGHT)
    return words if any(each < 0 for each in others) else since  # the device is another one by now


def _words(path: Path) -> tuple[int, ...]:
    return tuple(int(word) for word in path.read_text().split())


def _stat(device: int) -> Path:
    return Path("/sys/dev/block", _name(device), "stat")


def _name(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"
