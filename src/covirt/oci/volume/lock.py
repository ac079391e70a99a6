# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Locks on disks that QEMU understands: no virtual machine opens what a container mounts, nor the other way round.

The locks belong to an open file description (fcntl_locking(2), F_OFD_*). A loop device keeps the one it was given,
so the lock lasts exactly as long as the device, whoever is killed. Bytes: QEMU's block/file-posix.c, "locking".
"""

import errno
import fcntl
import logging
import os
import struct
from typing import Final

log = logging.getLogger(__name__)

_GET, _SET = 36, 37  # F_OFD_GETLK, F_OFD_SETLK
_FLOCK: Final = struct.Struct("@hhqqi4x")  # struct flock
_USED: Final = 100  # a byte per permission that the holder uses
_UNSHARED: Final = 200  # a byte per permission that the holder lets nobody else use
_READ, _WRITE, _RESIZE = 0, 1, 3
_NO_LOCKS: Final = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


def lock_disk(descriptor: int, *, read_only: bool) -> bool:
    """Lock the open disk for reading beside other readers, or for writing alone; False when somebody has it."""
    uses = (_READ,) if read_only else (_READ, _WRITE)
    refuses = (_WRITE, _RESIZE) if read_only else (_READ, _WRITE, _RESIZE)
    try:
        for byte in (*(_USED + each for each in uses), *(_UNSHARED + each for each in refuses)):
            fcntl.fcntl(descriptor, _SET, _flock(fcntl.F_RDLCK, byte))
        conflicts = (*(_UNSHARED + each for each in uses), *(_USED + each for each in refuses))
        free = all(not _held_by_others(descriptor, byte) for byte in conflicts)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        log.warning("The file system of a disk has no locks, so other hosts are not kept off: %s", error.strerror)
        return True
    if not free:
        fcntl.fcntl(descriptor, _SET, _flock(fcntl.F_UNLCK, _USED, _UNSHARED))
    return free


def _held_by_others(descriptor: int, byte: int) -> bool:
    answer = fcntl.fcntl(descriptor, _GET, _flock(fcntl.F_WRLCK, byte))
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _flock(kind: int, start: int, count: int = 1) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, start, count, 0)
