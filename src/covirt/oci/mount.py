# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Mounts: images, their idmapped views, overlays, tmpfs; never outside our own directories.

Every mount is nodev. nosuid is on for everything a user of the host could reach, see mount_overlay().
"""

import errno
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.mountinfo import mounts_below
from covirt.oci import syscalls
from covirt.oci.isolation_errors import (
    ForeignPath,
    IdMappedMountUnsupported,
    ImageFileMissing,
    MountFailed,
    UnknownImageFormat,
    UnmountFailed,
    UnsuitableRootLayer,
)
from covirt.oci.loop import loop_device

_EROFS_MAGIC: Final = b"\xe2\xe1\xf5\xe0"  # little-endian 0xE0F5E1E2 at 1024
_EXT4_MAGIC: Final = b"\x53\xef"  # little-endian 0xEF53 at 1024 + 56

# linux/magic.h; these keep what overlayfs needs of an upper directory: trusted.* xattrs, whiteouts, RENAME_WHITEOUT.
_LAYER_FILESYSTEMS: Final = frozenset(
    {
        0xEF53,  # ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0x01021994,  # tmpfs
        0xF2F52010,  # f2fs
        0xCA451A4E,  # bcachefs
        0x2FC12FC1,  # zfs
    }
)
_FILESYSTEM_NAMES: Final = {
    0x794C7630: "overlayfs",
    0x6969: "NFS",
    0x65735546: "FUSE",
    0x4D44: "FAT",
    0x858458F6: "ramfs",
    0xE0F5E1E2: "erofs",
    0x73717368: "squashfs",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x01021997: "9p",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """An overlay mount: the image below, the root layer above. ``label`` is shown as its source in the mount table.

    ``volatile``: nothing is synced to disk; only for a layer that is thrown away.
    """

    lower: Path
    upper: Path
    work: Path
    label: str
    nosuid: bool = True
    volatile: bool = False


def require_own(path: Path, own: Path) -> None:
    """Raise ForeignPath unless ``path`` is below ``own`` without dots or symbolic links on the way."""
    text, base = os.fspath(path), os.fspath(own)
    if not text.startswith(f"{base}/") or os.path.realpath(text) != os.path.normpath(text) or ".." in path.parts:
        raise ForeignPath(path=path, own=own)


def mount_image(path: Path, target: Path) -> None:
    """Mount a container image file read-only, nodev, nosuid; without a loop device where the kernel can (Linux 6.12).

    The files in it carry unmapped ids: ``target`` must lie in a directory that only root may enter.
    """
    filesystem = image_filesystem(path)
    flags = syscalls.MS_RDONLY | syscalls.MS_NODEV | syscalls.MS_NOSUID
    try:
        if filesystem == "erofs" and _mounted_from_file(path, target, flags):
            return
        with loop_device(os.fspath(path), read_only=True) as device:
            options = "noload" if filesystem == "ext4" else None
            syscalls.mount(device, os.fspath(target), filesystem, flags, options)
    except OSError as error:
        raise MountFailed(source=path, target=target, reason=error.strerror) from error


def image_filesystem(path: Path) -> str:
    """``"erofs"`` or ``"ext4"``. Raises ImageFileMissing, UnknownImageFormat."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ImageFileMissing(path=path, reason=error.strerror) from error
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        block = os.pread(descriptor, 58, 1024) if regular else b""
    finally:
        os.close(descriptor)
    if block.startswith(_EROFS_MAGIC):
        return "erofs"
    if block[56:58] == _EXT4_MAGIC:
        return "ext4"
    raise UnknownImageFormat(path=path)


def clone_idmapped(source: Path, target: Path, user_namespace: Path, *, read_only: bool, nosuid: bool = True) -> None:
    """Show ``source`` at ``target`` with its ids seen through the mapping of the user namespace at that path."""
    attributes = (
        syscalls.MOUNT_ATTR_NODEV
        | (syscalls.MOUNT_ATTR_RDONLY if read_only else 0)
        | (syscalls.MOUNT_ATTR_NOSUID if nosuid else 0)
    )
    with ExitStack() as opened:
        try:
            namespace = os.open(user_namespace, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, namespace)
            copy = syscalls.clone_mount(os.fspath(source))
            opened.callback(os.close, copy)
        except OSError as error:
            raise MountFailed(source=source, target=target, reason=error.strerror) from error
        try:
            syscalls.change_mount(copy, attributes=attributes, user_namespace=namespace)
        except OSError as error:
            raise IdMappedMountUnsupported(source=source, reason=error.strerror) from error
        try:
            syscalls.attach_mount(copy, os.fspath(target))
        except OSError as error:
            raise MountFailed(source=source, target=target, reason=error.strerror) from error


def bind(source: Path, target: Path, *, read_only: bool) -> None:
    """Show ``source`` at ``target`` with the ids it has, nodev and nosuid."""
    attributes = (
        syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOSUID | (syscalls.MOUNT_ATTR_RDONLY if read_only else 0)
    )
    try:
        copy = syscalls.clone_mount(os.fspath(source))
        try:
            syscalls.change_mount(copy, attributes=attributes)
            syscalls.attach_mount(copy, os.fspath(target))
        finally:
            os.close(copy)
    except OSError as error:
        raise MountFailed(source=source, target=target, reason=error.strerror) from error


def mount_overlay(overlay: Overlay, target: Path) -> None:
    """Mount an overlay, always nodev.

    It is nosuid as long as the container runs with no_new_privs, where setuid has no effect anyway: otherwise any
    user of the host who can reach the mount could take on ids of the container through a setuid file in it.
    """
    check_layer_filesystem(overlay.upper)
    # metacopy and redirects would trust what is written in the upper layer's xattrs; index is of no use to us.
    words = [
        f"lowerdir={escaped(overlay.lower)}",
        f"upperdir={escaped(overlay.upper)}",
        f"workdir={escaped(overlay.work)}",
        "metacopy=off",
        "index=off",
        *(["volatile"] if overlay.volatile else []),
    ]
    flags = syscalls.MS_NODEV | (syscalls.MS_NOSUID if overlay.nosuid else 0)
    try:
        syscalls.mount(overlay.label, os.fspath(target), "overlay", flags, ",".join(words))
    except OSError as error:
        raise MountFailed(source=f"the layers {overlay.upper}", target=target, reason=error.strerror) from error


def mount_tmpfs(target: Path, *, size_bytes: int, mode: int, noexec: bool = False) -> None:
    _mount_tmpfs(target, _tmpfs_flags(noexec=noexec), f"size={size_bytes},mode={mode:o}")


def make_tmpfs_read_only(target: Path, *, noexec: bool = False) -> None:
    """Nobody writes to it any more, by whatever mount of it."""
    _mount_tmpfs(target, _tmpfs_flags(noexec=noexec) | syscalls.MS_REMOUNT | syscalls.MS_RDONLY, None)


def _tmpfs_flags(*, noexec: bool) -> int:
    return syscalls.MS_NODEV | syscalls.MS_NOSUID | (syscalls.MS_NOEXEC if noexec else 0)


def _mount_tmpfs(target: Path, flags: int, options: str | None) -> None:
    try:
        syscalls.mount("tmpfs", os.fspath(target), "tmpfs", flags, options)
    except OSError as error:
        raise MountFailed(source="a tmpfs", target=target, reason=error.strerror) from error


def check_layer_filesystem(path: Path) -> None:
    """Raise UnsuitableRootLayer when overlayfs cannot keep a container's changes in ``path``."""
    magic = syscalls.filesystem_type(os.fspath(path))
    if magic not in _LAYER_FILESYSTEMS:
        name = _FILESYSTEM_NAMES.get(magic, f"a file system of type {magic:#x}")
        raise UnsuitableRootLayer(path=path, filesystem=name)


def escaped(path: Path) -> str:
    """A path as overlayfs reads it in its options: commas, colons and backslashes behind a backslash."""
    text = os.fspath(path)
    for special in ("\\", ",", ":"):
        text = text.replace(special, f"\\{special}")
    return text


def unmount(target: Path) -> bool:
    """Detach the topmost mount on ``target``; False when there is none. The file system ends with its last user."""
    try:
        syscalls.unmount(os.fspath(target))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return False
        raise UnmountFailed(target=target, reason=error.strerror) from error
    return True


def unmount_below(directory: Path) -> None:
    """Detach every mount on and below ``directory``, newest first, also those of an earlier life of ours."""
    for entry in mounts_below(directory):
        unmount(Path(entry.target))


def _mounted_from_file(path: Path, target: Path, flags: int) -> bool:
    try:
        syscalls.mount(os.fspath(path), os.fspath(target), "erofs", flags)
    except OSError as error:
        # ENOTBLK: the kernel is older; EINVAL: the file is where the kernel cannot read it by pages, as on a tmpfs.
        if error.errno in (errno.ENOTBLK, errno.EINVAL):
            return False
        raise
    return True
