# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The few system calls of the test world that Python 3.11 has no function for."""

import ctypes
import os
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_NODEV: Final = 4
MS_NOSUID: Final = 2
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x40000
MS_SHARED: Final = 0x100000

_MNT_DETACH: Final = 2
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own (a new PID namespace: its next children)."""
    if _libc.unshare(ctypes.c_int(flags)) != 0:
        _fail("unshare")


def mount(source: str, target: Path | str, fstype: str = "none", flags: int = 0, options: str = "") -> None:
    arguments = (source.encode(), os.fsencode(target), fstype.encode(), ctypes.c_ulong(flags), options.encode())
    if _libc.mount(*arguments) != 0:
        _fail("mount", str(target))


def unmount(target: Path | str) -> None:
    """Detach a mount at once; it ends when its last user goes."""
    if _libc.umount2(os.fsencode(target), ctypes.c_int(_MNT_DETACH)) != 0:
        _fail("umount2", str(target))


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send us ``signal_number`` when the parent thread ends."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def become_subreaper() -> None:
    """Become the parent of every orphan among our descendants, so that none is lost from sight."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), 0, 0, 0) != 0:
        _fail("prctl")


def _fail(call: str, name: str | None = None) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}", name)
