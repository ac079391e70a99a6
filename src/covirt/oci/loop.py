# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Loop devices for kernels that cannot mount a file system straight from a file.

LO_FLAGS_AUTOCLEAR makes the kernel free the device with its last user, so there is nothing to remember or undo.
Structures: linux/loop.h (LOOP_CONFIGURE, Linux 5.8).
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LOOP_CTL_GET_FREE: Final = 0x4C82
_LOOP_CONFIGURE: Final = 0x4C0A
_LOOP_GET_STATUS64: Final = 0x4C05
_LO_FLAGS_READ_ONLY: Final = 1
_LO_FLAGS_AUTOCLEAR: Final = 4
_LO_FLAGS_DIRECT_IO: Final = 16
_LOOP_MAJOR: Final = 7
_ATTEMPTS: Final = 50  # another process may take the free device between the two calls

# struct loop_info64: device inode rdevice offset sizelimit number encrypt_type encrypt_key_size flags
# file_name[64] crypt_name[64] encrypt_key[32] init[2]
_LOOP_INFO: Final = struct.Struct("=5Q4I64s64s32s2Q")
_SYS_BLOCK: Final = Path("/sys/block")


@contextlib.contextmanager
def loop_device(path: str, *, read_only: bool) -> Iterator[str]:
    """Yield the path of a loop device over the file ``path``. Mount it inside the block: it is freed with its last
    user, and until the block ends that is us. Raises OSError."""
    backing = os.open(path, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        device, name = _configured(backing, path, flags=_LO_FLAGS_READ_ONLY if read_only else 0)
    finally:
        os.close(backing)
    try:
        yield name
    finally:
        os.close(device)


@contextlib.contextmanager
def loop_device_over(backing: int, path: str, *, read_only: bool) -> Iterator[str]:
    """The same over an open file, which the device keeps open, with its locks; ``path`` is for people to read.

    What is written is not kept in memory twice, where the file system of the file allows that.
    """
    flags = _LO_FLAGS_DIRECT_IO | (_LO_FLAGS_READ_ONLY if read_only else 0)
    device, name = _configured(backing, path, flags=flags)
    try:
        yield name
    finally:
        os.close(device)


def loops_over(status: os.stat_result) -> list[str]:
    """The loop devices of this machine over the file with this identity, as ``/dev/loopN``."""
    found = []
    for place in _SYS_BLOCK.glob("loop*/loop"):
        with contextlib.suppress(OSError):  # freed in this moment
            name = _node(int(place.parent.name.removeprefix("loop")))
            device = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                facts = fcntl.ioctl(device, _LOOP_GET_STATUS64, bytes(_LOOP_INFO.size))
            finally:
                os.close(device)
            if _LOOP_INFO.unpack(facts)[:2] == (status.st_dev, status.st_ino):
                found.append(name)
    return found


def _configured(backing: int, path: str, *, flags: int) -> tuple[int, str]:
    flags |= _LO_FLAGS_AUTOCLEAR
    read_only = bool(flags & _LO_FLAGS_READ_ONLY)
    info = _LOOP_INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, os.fsencode(path)[:63], b"", b"", 0, 0)
    config = struct.pack("=II", backing, 0) + info + bytes(64)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            name = _node(fcntl.ioctl(control, _LOOP_CTL_GET_FREE))
            device = os.open(name, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
            else:
                return device, name
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "no loop device stayed free", path)


def _node(number: int) -> str:
    name = f"/dev/loop{number}"
    if not os.path.exists(name):  # a /dev that is not devtmpfs does not follow the kernel's new devices
        with contextlib.suppress(FileExistsError):
            os.mknod(name, stat.S_IFBLK | 0o660, os.makedev(_LOOP_MAJOR, number))
    return name
