# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of statistics: open, read and close of every file that the daemon reads, and nothing done with them."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from covirt.oci.cgroup import CgroupReader
from covirt.oci.cgroup_layout import CgroupLayout

_COUNTERS: Final = b"/proc/net/dev"
_SIZE: Final = 4096
_LARGE: Final = 1 << 20


def files_of(cgroup_paths: Sequence[str]) -> tuple[bytes, ...]:
    """What the daemon opens for these cgroups, seen by looking on while its reader reads them."""
    reader = CgroupReader(CgroupLayout.detect())
    with _opened_files() as paths:
        for path in cgroup_paths:
            reader.read(path)
    return tuple(paths)


@contextmanager
def _opened_files() -> Iterator[list[bytes]]:
    paths: list[bytes] = []
    usual = os.open

    def noted(path: Any, *arguments: Any, **named: Any) -> int:
        descriptor = usual(path, *arguments, **named)
        paths.append(os.fsencode(path))
        return descriptor

    os.open = noted
    try:
        yield paths
    finally:
        os.open = usual


def milliseconds(files: Sequence[bytes]) -> float:
    """One round over all files, and one reading of the counters of all interfaces."""
    opened, read, close, flags = os.open, os.read, os.close, os.O_RDONLY | os.O_CLOEXEC
    begin = time.perf_counter()
    for path in files:
        descriptor = opened(path, flags)
        read(descriptor, _SIZE)
        close(descriptor)
    descriptor = opened(_COUNTERS, flags)
    while read(descriptor, _LARGE):
        pass
    close(descriptor)
    return (time.perf_counter() - begin) * 1000
