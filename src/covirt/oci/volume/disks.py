# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks mounted for containers: opened with care, formatted once, repaired, and never mounted twice by accident.

The kernel keeps the only state. A disk that one container has alone is mounted at DIRECTORY/KEY.alone for the moment
of a start, until the container's own view of it exists; one that may be shared stays mounted at KEY.shared as long as
there is a view. A file's loop device holds its locks; a block device is the kernel's to give out once.
"""

import contextlib
import errno
import os
import stat
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.files import make_directory
from covirt.common.mountinfo import MountEntry, mounts
from covirt.oci import mount, syscalls
from covirt.oci.isolation_errors import MountFailed
from covirt.oci.loop import loop_device_over, loops_over
from covirt.oci.volume.counted import write_down
from covirt.oci.volume.errors import (
    BlankReadOnlyVolume,
    ForeignDisk,
    NotADisk,
    UncleanReadOnlyVolume,
    VolumeInUse,
    VolumeMissing,
    VolumeUnreadable,
)
from covirt.oci.volume.format import Formatter
from covirt.oci.volume.lock import lock_disk
from covirt.oci.volume.superblock import Content, VolumeKey, examine

_ALONE, _SHARED = ".alone", ".shared"
_WAIT_SECONDS: Final = 10.0  # for the last run's mounts: they end a moment after its last process
_LOCK_WAIT_SECONDS: Final = 0.5  # for the locks of a loop device that is being freed
_LOOK_AGAIN_SECONDS: Final = 0.05
_READERS: Final = "by containers that may only read it (one that writes starts first)"
_OPTIONS: Final = "errors=remount-ro"  # whatever the superblock says: it may say that the host shall panic
_KINDS: Final = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFREG: "a regular file",
    stat.S_IFBLK: "a block device",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A raw file or, with ``block``, a block device. Readers share it with each other; ``shareable`` also writers."""

    path: Path
    block: bool = False
    read_only: bool = False
    shareable: bool = False

    @property
    def shared(self) -> bool:
        return self.shareable or self.read_only


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """``real`` is its path without any link; who may change links cannot change what is mounted any more."""

    disk: Disk
    real: Path
    descriptor: int
    status: os.stat_result

    @property
    def key(self) -> str:
        status = self.status
        if self.disk.block:
            return f"block-{os.major(status.st_rdev)}-{os.minor(status.st_rdev)}"
        return f"file-{status.st_dev:x}-{status.st_ino:x}"


class Disks:
    """The disks mounted below ``run_dir/volumes``, which only root may enter: their files carry unmapped ids.

    Thread-safe.
    """

    def __init__(self, run_dir: Path, state_dir: Path) -> None:
        self._run_dir = run_dir
        self._directory = run_dir / "volumes"
        key = VolumeKey(state_dir / "volume-key")
        self._key = key
        self._formatter = Formatter(state_dir / "volumes-in-the-making", key)
        self._lock = threading.Lock()  # for a moment only; a slow disk is waited for with its own lock
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def hold(self, disk: Disk) -> Iterator[Path]:
        """Mount the disk and yield the place, with the ids that are on it; format it before, when it is blank.

        During the block the caller clones what it needs of the mount, which lasts as long as such clones do. Raises
        VolumeMissing, NotADisk, ForeignDisk, VolumeTooSmall, BlankReadOnlyVolume, UncleanReadOnlyVolume, VolumeInUse,
        VolumeDamaged, VolumeFormatFailed, VolumeUnreadable, MountFailed.
        """
        try:
            with open_disk(disk) as opened, self._alone_with(opened):
                place = self._place(opened)
                try:
                    yield place
                finally:
                    if not disk.shared:
                        _unmount(place)
        finally:
            self.release_unused()

    @contextlib.contextmanager
    def _alone_with(self, opened: _Open) -> Iterator[None]:
        with self._lock:
            self._held[opened.key] += 1
            alone = self._locks[opened.key]
        try:
            if not alone.acquire(timeout=_WAIT_SECONDS):
                raise VolumeInUse(path=opened.disk.path, where="by a container that starts with it")
            try:
                yield
            finally:
                alone.release()
        finally:
            with self._lock:
                self._held[opened.key] -= 1

    def release_unused(self) -> None:
        """Unmount what no container has and no start is about to use. Raises UnmountFailed."""
        try:
            places = sorted(self._directory.iterdir())
        except FileNotFoundError:
            return
        for place in places:
            self._release(place)

    def _release(self, place: Path) -> None:
        key = place.name.removesuffix(_ALONE).removesuffix(_SHARED)
        with self._lock:
            alone = self._locks[key]
            if self._held[key] or not alone.acquire(blocking=False):
                return  # a start has it, and looks itself at its end
        try:
            if place.name.endswith(_ALONE) or not _has_views(place, list(mounts())):
                _unmount(place)
        finally:
            alone.release()

    def _place(self, opened: _Open) -> Path:
        disk = opened.disk
        shared, alone = self._directory / (opened.key + _SHARED), self._directory / (opened.key + _ALONE)
        _unmount(alone)  # of a killed daemon: this process has the lock
        if os.path.ismount(shared):
            entries = list(mounts())
            if not _has_views(shared, entries):
                _unmount(shared)
            else:
                read_only = bool(os.statvfs(shared).f_flag & os.ST_RDONLY)
                if read_only != disk.read_only and not (disk.read_only and disk.shareable):
                    raise VolumeInUse(
                        path=disk.path, where=_READERS if read_only else "by a container that writes to it"
                    )
                if not disk.shared:
                    raise VolumeInUse(path=disk.path, where="by containers that share it")
                return shared
        place = shared if disk.shared else alone
        make_directory(self._directory, mode=0o700)
        place.mkdir(mode=0o700, exist_ok=True)
        try:
            self._mount(opened, place)
        except BaseException:
            _unmount(place)
            raise
        write_down(self._run_dir, os.stat(place).st_dev)
        return place

    def _mount(self, opened: _Open, place: Path) -> None:
        disk = opened.disk
        try:
            _claim(opened)
            self._make_ready(opened)
        except OSError as error:
            raise VolumeUnreadable(path=disk.path, reason=error.strerror) from error
        flags = syscalls.MS_NODEV | syscalls.MS_NOSUID | (syscalls.MS_RDONLY if disk.read_only else 0)
        try:
            if disk.block:
                syscalls.mount(os.fspath(opened.real), os.fspath(place), "ext4", flags, _OPTIONS)
                return
            with loop_device_over(opened.descriptor, os.fspath(disk.path), read_only=disk.read_only) as device:
                syscalls.mount(device, os.fspath(place), "ext4", flags, _OPTIONS)
        except OSError as error:
            raise MountFailed(source=disk.path, target=place, reason=error.strerror) from error

    def _make_ready(self, opened: _Open) -> None:
        """A clean file system of ours is on it afterwards."""
        disk, descriptor = opened.disk, opened.descriptor
        size_bytes, path = os.lseek(descriptor, 0, os.SEEK_END), os.fspath(disk.path)
        found = examine(descriptor, self._key, size_bytes=size_bytes)
        if found.content is Content.BLANK or (
            not disk.read_only and self._formatter.was_interrupted(descriptor, path, size_bytes)
        ):
            if disk.read_only:
                raise BlankReadOnlyVolume(path=path)
            self._formatter.format(descriptor, path, size_bytes)
        elif found.superblock is None:
            raise ForeignDisk(path=path, what=found.what)
        elif not found.superblock.clean:
            if disk.read_only:
                raise UncleanReadOnlyVolume(path=path)
            self._formatter.repair(descriptor, path)


@contextlib.contextmanager
def open_disk(disk: Disk) -> Iterator[_Open]:
    """Open a raw file or block device and nothing else: no link in its place, no FIFO, no device that acts on it.

    Raises VolumeMissing, NotADisk.
    """
    with contextlib.ExitStack() as opened:
        try:
            # A link is followed only on the way (oVirt's storage has some), and once: what is opened has none.
            real = disk.path.resolve() if disk.block else disk.path.parent.resolve() / disk.path.name
            place = syscalls.open_without_links(os.fspath(real))
            opened.callback(os.close, place)
            status = os.fstat(place)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotADisk(path=disk.path, what=_KINDS[stat.S_IFLNK], wanted=_wanted(disk)) from error
            raise VolumeMissing(path=disk.path, reason=error.strerror) from error
        kind = stat.S_IFMT(status.st_mode)
        if kind != (stat.S_IFBLK if disk.block else stat.S_IFREG):
            raise NotADisk(path=disk.path, what=_KINDS.get(kind, "no file"), wanted=_wanted(disk))
        try:
            flags = os.O_RDONLY if disk.read_only else os.O_RDWR
            descriptor = os.open(f"/proc/self/fd/{place}", flags | os.O_CLOEXEC)
        except OSError as error:
            raise VolumeMissing(path=disk.path, reason=error.strerror) from error
        opened.callback(os.close, descriptor)
        yield _Open(disk=disk, real=real, descriptor=descriptor, status=status)


def _wanted(disk: Disk) -> str:
    return "a block device" if disk.block else "a regular file with raw content"


def _claim(opened: _Open) -> None:
    """Wait for the end of what the last run left; raise VolumeInUse for everything that stays."""
    disk, begin = opened.disk, time.monotonic()
    while not _claimed(opened):
        devices = _devices(opened)
        mounted = next((entry for entry in mounts() if entry.source in devices or entry.device in devices), None)
        patience = _WAIT_SECONDS if devices else _LOCK_WAIT_SECONDS
        if mounted is not None or time.monotonic() - begin > patience:
            where = f"at {mounted.target}" if mounted else "by another program, or a virtual machine"
            raise VolumeInUse(path=disk.path, where=where)
        time.sleep(_LOOK_AGAIN_SECONDS)


def _claimed(opened: _Open) -> bool:
    disk = opened.disk
    if not disk.block:
        return not loops_over(opened.status) and lock_disk(opened.descriptor, read_only=disk.read_only)
    try:
        os.close(os.open(f"/proc/self/fd/{opened.descriptor}", os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise VolumeMissing(path=disk.path, reason=error.strerror) from error
    return lock_disk(opened.descriptor, read_only=disk.read_only)


def _devices(opened: _Open) -> set[str]:
    """How the mount table may name it."""
    if opened.disk.block:
        return {f"{os.major(opened.status.st_rdev)}:{os.minor(opened.status.st_rdev)}"}
    return set(loops_over(opened.status))


def _has_views(place: Path, entries: list[MountEntry]) -> bool:
    own = os.fspath(place)
    device = next((entry.device for entry in entries if entry.target == own), None)
    return any(entry.device == device and entry.target != own for entry in entries)


def _unmount(place: Path) -> None:
    while mount.unmount(place):
        pass
    with contextlib.suppress(FileNotFoundError):
        place.rmdir()
