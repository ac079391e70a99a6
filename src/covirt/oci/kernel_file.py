# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Small files that the kernel writes anew at each reading: kept open, read whole, and looked into without splitting.

Nine files of 100 containers' cgroups take 5.7 ms with open, read and close, and 1.5 ms with pread alone (Linux 6.18).
"""

import os
import resource
from typing import Final

_SMALL: Final = 4096
_LARGE: Final = 65536


class KernelFile:
    """A small file that is read again and again, and stays open for that.

    It is closed when nobody refers to it any more: whoever is just reading it in another thread does.
    """

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._descriptor = -1
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        # The kernel gives out the lowest free number: a high one means that many are open. The rest is for others.
        if descriptor < resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self) -> bytes | None:
        """The whole file; None when it, or its controller, is not there."""
        if self._descriptor < 0:
            return read_once(self._path)
        try:
            text = os.pread(self._descriptor, _SMALL, 0)
            return text if len(text) < _SMALL else os.pread(self._descriptor, _LARGE, 0)
        except OSError:  # the cgroup is gone: ENODEV
            return None


def read_once(path: bytes) -> bytes | None:
    """A whole file, opened for this once; None when it, or its controller, is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, _LARGE)
    except OSError:  # the cgroup went away in between: ENODEV
        return None
    finally:
        os.close(descriptor)


def number(text: bytes | None) -> int | None:
    """A file of one number; ``max`` is no limit."""
    if text is None or text.startswith(b"max"):
        return None
    return int(text)


def field(text: bytes | None, key: bytes) -> int | None:
    """The number after ``key`` (newline, name, space) in a file of "NAME NUMBER" lines."""
    if text is None:
        return None
    start = text.find(key)
    if start >= 0:
        start += len(key)
    elif text.startswith(key[1:]):
        start = len(key) - 1
    else:
        return None
    end = text.find(b"\n", start)
    return int(text[start:end]) if end >= 0 else int(text[start:])
