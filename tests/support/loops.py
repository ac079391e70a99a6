# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Loop devices, which the whole machine shares: only those whose file lies on a file system of our world are ours."""

import contextlib
import fcntl
import os
import struct
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Final

from tests.support.world import DISK_DIR, VAR_TMP, WORLD_DIR, missing_reason, var_tmp_is_private

_LOOP_CLR_FD: Final = 0x4C01  # linux/loop.h
_LOOP_GET_STATUS64: Final = 0x4C05
_STATUS_BYTES: Final = 232  # struct loop_info64; it begins with the device and inode of the file


def our_loops() -> dict[Hashable, str]:
    """``/dev/loopN`` -> words."""
    if missing_reason() is not None:
        return {}
    places = [WORLD_DIR, *([VAR_TMP] if var_tmp_is_private() else [])]
    devices = {place.stat().st_dev for place in places}
    found: dict[Hashable, str] = {}
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        device = Path("/dev", backing.parts[3])
        with contextlib.suppress(OSError):  # freed in this moment
            name = backing.read_text().strip()
            file_device, inode = _backing(device)
            if file_device in devices or _is_disk_file(name, file_device, inode):
                found[device] = f"{device} on {name}"
    return found


def _backing(device: Path) -> tuple[int, int]:
    with device.open("rb", buffering=0) as stream:
        status = fcntl.ioctl(stream, _LOOP_GET_STATUS64, bytes(_STATUS_BYTES))
    number, inode = struct.unpack_from("QQ", status)
    return number, inode


def _is_disk_file(name: str, device: int, inode: int) -> bool:
    path = Path(name)
    if DISK_DIR not in path.parents or not path.exists():
        return False
    status = os.stat(path)
    return (status.st_dev, status.st_ino) == (device, inode)


def detach(keys: Iterable[Hashable]) -> None:
    for key in keys:
        with contextlib.suppress(OSError), Path(str(key)).open("rb", buffering=0) as stream:
            fcntl.ioctl(stream, _LOOP_CLR_FD)
