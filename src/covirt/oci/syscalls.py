# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel's mount and namespace calls that Python 3.11 has no name for.

Numbers from 424 on are the same on every architecture (asm-generic/unistd.h); constants are those of
linux/mount.h, linux/openat2.h and sched.h. Every function raises OSError with the kernel's errno.
"""

import ctypes
import errno
import os
from collections.abc import Mapping
from typing import Final

_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_FSOPEN: Final = 430
_FSCONFIG: Final = 431
_FSMOUNT: Final = 432
_OPENAT2: Final = 437
_MOUNT_SETATTR: Final = 442

AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000
_OPEN_TREE_CLONE: Final = 1
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40
_FSOPEN_CLOEXEC: Final = 1
_FSMOUNT_CLOEXEC: Final = 1
_FSCONFIG_SET_STRING: Final = 1
_FSCONFIG_CMD_CREATE: Final = 6

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MNT_DETACH: Final = 2
UMOUNT_NOFOLLOW: Final = 8

MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_IDMAP: Final = 0x100000

RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

CLONE_FS: Final = 0x00000200
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

_MS_PRIVATE: Final = 0x40000
_MS_REC_PRIVATE: Final = 0x4000 | _MS_PRIVATE
_AT_RECURSIVE: Final = 0x8000
_PR_SET_PDEATHSIG: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _StatFs(ctypes.Structure):
    # Only the first word matters; the rest is room for the kernel to write in.
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_char * 512))


def _checked(result: int, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def mount(source: str, target: str, filesystem: str | None, flags: int, options: str | None = None) -> None:
    _checked(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            None if filesystem is None else filesystem.encode(),
            ctypes.c_ulong(flags),
            None if options is None else os.fsencode(options),
        ),
        target,
    )


def unmount(target: str, flags: int = MNT_DETACH | UMOUNT_NOFOLLOW) -> None:
    _checked(_libc.umount2(os.fsencode(target), ctypes.c_int(flags)), target)


def pivot_root(new: str, old: str) -> None:
    """Make the mount point ``new`` the root of this mount namespace, and the root until now show at ``old``."""
    _checked(_libc.pivot_root(os.fsencode(new), os.fsencode(old)), new)


def clone_mount(source: str) -> int:
    """A descriptor of a detached copy of the one mount (not those below) that shows ``source``."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
    return _checked(
        _libc.syscall(_OPEN_TREE, ctypes.c_long(AT_FDCWD), os.fsencode(source), ctypes.c_ulong(flags)), source
    )


def change_mount(
    descriptor: int, *, attributes: int = 0, user_namespace: int | None = None, private: bool = False
) -> None:
    """Set MOUNT_ATTR_* on a detached mount; with ``user_namespace`` (a descriptor) also map its ids.

    ``private``: what is mounted below it or below the mount that it is a copy of does not spread to the other.
    """
    change = _MountAttr(attr_set=attributes, propagation=_MS_PRIVATE if private else 0)
    if user_namespace is not None:
        change.attr_set |= MOUNT_ATTR_IDMAP
        change.userns_fd = user_namespace
    _checked(
        _libc.syscall(
            _MOUNT_SETATTR,
            ctypes.c_long(descriptor),
            b"",
            ctypes.c_ulong(AT_EMPTY_PATH),
            ctypes.byref(change),
            ctypes.c_size_t(ctypes.sizeof(change)),
        )
    )


def attach_mount(descriptor: int, target: str) -> None:
    """Give a detached mount its place."""
    _checked(
        _libc.syscall(
            _MOVE_MOUNT,
            ctypes.c_long(descriptor),
            b"",
            ctypes.c_long(AT_FDCWD),
            os.fsencode(target),
            ctypes.c_ulong(_MOVE_MOUNT_F_EMPTY_PATH),
        ),
        target,
    )


def attach_mount_on(descriptor: int, directory: int) -> None:
    """Give a detached mount its place on an open directory of the calling thread's mount namespace."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    _checked(
        _libc.syscall(
            _MOVE_MOUNT, ctypes.c_long(descriptor), b"", ctypes.c_long(directory), b"", ctypes.c_ulong(flags)
        )
    )


def detached_tmpfs(options: Mapping[str, str], *, attributes: int) -> int:
    """A descriptor of a new tmpfs that is mounted nowhere yet."""
    context = _checked(_libc.syscall(_FSOPEN, b"tmpfs", ctypes.c_ulong(_FSOPEN_CLOEXEC)))
    try:
        for name, value in options.items():
            _configure(context, _FSCONFIG_SET_STRING, name.encode(), value.encode())
        _configure(context, _FSCONFIG_CMD_CREATE, None, None)
        return _checked(
            _libc.syscall(
                _FSMOUNT, ctypes.c_long(context), ctypes.c_ulong(_FSMOUNT_CLOEXEC), ctypes.c_ulong(attributes)
            )
        )
    finally:
        os.close(context)


def _configure(context: int, command: int, key: bytes | None, value: bytes | None) -> None:
    arguments = (ctypes.c_long(context), ctypes.c_ulong(command), key, value, ctypes.c_long(0))
    _checked(_libc.syscall(_FSCONFIG, *arguments))


def act_as_user(uid: int, gid: int) -> None:
    """Be this user towards files, without any right of root, for the calling thread alone: one that ends soon."""
    _libc.setfsgid(ctypes.c_uint(gid))
    _libc.setfsuid(ctypes.c_uint(uid))
    # These calls answer with what was before, right or wrong; asking for an impossible id changes nothing and tells.
    if _libc.setfsgid(ctypes.c_uint(-1)) != gid or _libc.setfsuid(ctypes.c_uint(-1)) != uid:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def open_in_root(root: int, path: str, *, flags: int = os.O_RDONLY) -> int:
    """Open ``path`` as a process chrooted to the directory ``root`` would, so that no link leads out of it.

    A path with /proc-style links is refused (ELOOP); devices and FIFOs do not block (O_NONBLOCK).
    """
    if not flags & os.O_PATH:  # which openat2 refuses to combine with these
        flags |= os.O_NONBLOCK | os.O_NOCTTY
    return _openat2(root, path, _OpenHow(flags=flags | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS))


def open_beneath(directory: int, path: str, *, flags: int = os.O_RDONLY) -> int:
    """Open ``path`` below ``directory``; a link or ``..`` that would lead elsewhere is refused (ELOOP, EXDEV)."""
    how = _OpenHow(flags=flags | os.O_CLOEXEC | os.O_NONBLOCK, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    return _openat2(directory, path, how)


def open_without_links(path: str) -> int:
    """A descriptor (O_PATH) of an absolute path that has no symbolic link in any part (ELOOP otherwise)."""
    return _openat2(AT_FDCWD, path, _OpenHow(flags=os.O_PATH | os.O_CLOEXEC, resolve=RESOLVE_NO_SYMLINKS))


def _openat2(directory: int, path: str, how: _OpenHow) -> int:
    arguments = (ctypes.c_long(directory), os.fsencode(path), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
    return _checked(_libc.syscall(_OPENAT2, *arguments), path)


def enter_namespace(descriptor: int, kind: int) -> None:
    """setns(2) for the calling thread alone: only ever call it in a thread that ends afterwards."""
    _checked(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)))


def filesystem_type(path: str) -> int:
    """The magic number of the file system that holds ``path`` (linux/magic.h)."""
    answer = _StatFs()
    _checked(_libc.statfs(os.fsencode(path), ctypes.byref(answer)), path)
    return int(answer.f_type) & 0xFFFF_FFFF


def unshare(flags: int) -> None:
    """unshare(2) for the calling thread; with CLONE_NEWUSER only in a process that has one thread."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def make_mounts_private() -> None:
    """Let no mount of this mount namespace spread to another, or come from there. Never call it in the host's own."""
    _checked(_libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None))


def make_mounts_read_only() -> None:
    """Make every attached mount of this mount namespace read-only. Never call it in the host's own."""
    change = _MountAttr(attr_set=MOUNT_ATTR_RDONLY)
    _checked(
        _libc.syscall(
            _MOUNT_SETATTR,
            ctypes.c_long(AT_FDCWD),
            b"/",
            ctypes.c_ulong(_AT_RECURSIVE),
            ctypes.byref(change),
            ctypes.c_size_t(ctypes.sizeof(change)),
        )
    )


def end_with_parent(signal_number: int) -> None:
    """Get this signal when the parent thread ends. A later change of user ids takes the wish back."""
    _checked(_libc.prctl(ctypes.c_int(_PR_SET_PDEATHSIG), ctypes.c_ulong(signal_number), 0, 0, 0))
