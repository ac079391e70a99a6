# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Loop devices, which the whole machine shares: only those whose file lies on a file system of our world are ours."""

import contextlib
import fcntl
import os
import struct
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.world import DISK_DIR, VAR_TMP, WORLD_DIR, missing_reason, var_tmp_is_private

_LOOP_CLR_FD: Final = 0x4C01  # linux/loop.h
_LOOP_GET_STATUS64: Final = 0x4C05
_STATUS_BYTES: Final = 232  # struct loop_info64; it begins with the device and inode of the file


@dataclass(frozen=True, slots=True)
class _Loop:
    """An attached loop device and its file, as the kernel knows it and as its path reads from here."""

    device: Path
    name: str
    file_system: int
    inode: int


def our_loops() -> dict[Hashable, str]:
    """``/dev/loopN`` -> words."""
    if missing_reason() is not None:
        return {}
    places = [WORLD_DIR, *([VAR_TMP] if var_tmp_is_private() else [])]
    file_systems = {place.stat().st_dev for place in places}
    return {
        loop.device: f"{loop.device} on {loop.name}"
        for loop in _attached()
        if loop.file_system in file_systems or (DISK_DIR in Path(loop.name).parents and _is_file_at(loop.name, loop))
    }


def loops_of_dead_world(directory: Path, file_systems: set[int]) -> list[Path]:
    """Loop devices on the file systems of a dead world, or on files below its ``directory`` on disk."""
    files = {(path.lstat().st_dev, path.lstat().st_ino) for path in directory.rglob("*")}
    return [
        loop.device
        for loop in _attached()
        if (loop.file_system, loop.inode) in files
        or (
            loop.file_system in file_systems and not _is_file_at(loop.name, loop)
        )  # seen from here: not of a dead world
    ]


def _attached() -> Iterator[_Loop]:
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        device = Path("/dev", backing.parts[3])
        with contextlib.suppress(OSError):  # freed in this moment
            with device.open("rb", buffering=0) as stream:
                status = fcntl.ioctl(stream, _LOOP_GET_STATUS64, bytes(_STATUS_BYTES))
            file_system, inode = struct.unpack_from("QQ", status)
            yield _Loop(device, backing.read_text().strip(), file_system, inode)


def _is_file_at(name: str, loop: _Loop) -> bool:
    try:
        status = os.stat(name)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (loop.file_system, loop.inode)


def detach(keys: Iterable[Hashable]) -> None:
    for key in keys:
        with contextlib.suppress(OSError), Path(str(key)).open("rb", buffering=0) as stream:
            fcntl.ioctl(stream, _LOOP_CLR_FD)
