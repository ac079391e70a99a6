# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Directories of a storage domain, reached step by step from an open one: no link leads out of it.

The owner of storage files (36:36) is not us, and qemu-img runs as that user; what it might put there must not make
us write elsewhere.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from covirt.common.errors import Unavailable
from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_METADATA_LIMIT_BYTES: Final = 1 << 16
_ZEROS: Final = memoryview(bytes(1 << 20))
METADATA_MODE: Final = 0o644
FILE_MODE: Final = 0o660
DIRECTORY_MODE: Final = 0o755


class NotARegularFile(Unavailable):
    template = "{name} is no plain file; storage domains hold no links and no devices"


class Directory:
    """An open directory; a context manager."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> "Directory":
        """The first step, which trusts the path: links in it are followed."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def __enter__(self) -> "Directory":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def sub(self, *names: str) -> "Directory":
        """A directory below. Raises OSError."""
        descriptor = os.dup(self._descriptor)
        for name in names:
            try:
                below = os.open(name, _DIRECTORY, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = below
        return Directory(descriptor)

    def make(self, name: str, *, mode: int = DIRECTORY_MODE) -> "Directory":
        """Make the directory where there is none, and open it. One that a killed agent had just made is finished."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._descriptor)
        made = self.sub(name)
        found = os.fstat(made._descriptor)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700:
            _hand_over(made._descriptor, mode)
        return made

    def make_private(self, name: str) -> "Directory":
        """A new directory that only we may enter, until handed_over(). Raises FileExistsError."""
        os.mkdir(name, 0o700, dir_fd=self._descriptor)
        return self.sub(name)

    def handed_over(self, *, mode: int = DIRECTORY_MODE) -> None:
        """Give the directory itself to the owner of storage files."""
        _hand_over(self._descriptor, mode)

    @property
    def path_of_programs(self) -> Path:
        """The open directory as a path for programs that end before it is closed: no link can lead it elsewhere."""
        return Path(f"/proc/{os.getpid()}/fd/{self._descriptor}")

    @contextmanager
    def file_of_programs(self, name: str) -> Iterator[Path]:
        """A file, opened to be read, as a path for programs that end before it is closed: what is put in its place
        later is not what they get. Raises OSError, NotARegularFile."""
        with self._opened(name, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")

    def names(self) -> list[str]:
        with os.scandir(self._descriptor) as found:
            return sorted(entry.name for entry in found)

    def has(self, name: str) -> bool:
        return self.status(name) is not None

    def status(self, name: str) -> os.stat_result | None:
        """None where there is nothing."""
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def read(self, name: str, *, direct: bool = False) -> bytes:
        """A small file. ``direct``: past the page cache where the file system can, to meet the storage itself.

        Raises FileNotFoundError and other OSErrors, NotARegularFile.
        """
        with self._opened(name, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            if direct:
                with contextlib.suppress(OSError):
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            return os.read(descriptor, _METADATA_LIMIT_BYTES)

    def replace(self, name: str, data: bytes, *, mode: int = METADATA_MODE) -> None:
        """Write the file anew, in one step and lastingly."""
        new = f"{name}.new"
        self.unlink(new)
        try:
            self.create(new, data=data, mode=mode)
            os.rename(new, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError:  # a full file system keeps an empty file
            self.unlink(new)
            raise
        self.sync()

    def create(self, name: str, *, data: bytes = b"", size_bytes: int = 0, mode: int = FILE_MODE) -> None:
        """Make a file. Raises FileExistsError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=self._descriptor)
        try:
            _hand_over(descriptor, mode)
            while data:
                data = data[os.write(descriptor, data) :]
            if size_bytes:
                os.ftruncate(descriptor, size_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def seal(self, name: str, *, block_bytes: int, mode: int) -> int:
        """Give a file that is whole to the owner of storage files; gives its size, which is whole blocks then."""
        with self._opened(name, os.O_RDWR) as descriptor:
            size = -(-os.fstat(descriptor).st_size // block_bytes) * block_bytes
            os.ftruncate(descriptor, size)
            _hand_over(descriptor, mode)
            os.fsync(descriptor)
        return size

    def wipe(self, name: str, check: Callable[[], object]) -> None:
        """Write zeros over what the file holds; where it has no blocks it gets none. ``check`` is called in
        between, and may raise."""
        with self._opened(name, os.O_RDWR) as descriptor:
            for begin, end in _extents(descriptor):
                start = begin
                while start < end:
                    check()
                    start += os.pwrite(descriptor, _ZEROS[: end - start], start)
            os.fsync(descriptor)

    def truncate(self, name: str, size_bytes: int) -> None:
        with self._opened(name, os.O_RDWR) as descriptor:
            os.ftruncate(descriptor, size_bytes)

    def allocate(self, name: str, *, start_bytes: int, end_bytes: int) -> None:
        """Give the file real blocks. Raises OSError (ENOSPC)."""
        if end_bytes > start_bytes:
            with self._opened(name, os.O_RDWR) as descriptor:
                os.posix_fallocate(descriptor, start_bytes, end_bytes - start_bytes)

    def link(self, name: str, target: "Directory", target_name: str) -> None:
        """A second name for a file. Raises FileExistsError."""
        os.link(name, target_name, src_dir_fd=self._descriptor, dst_dir_fd=target._descriptor, follow_symlinks=False)

    def rename(self, name: str, target: "Directory", target_name: str) -> None:
        os.rename(name, target_name, src_dir_fd=self._descriptor, dst_dir_fd=target._descriptor)

    def unlink(self, name: str) -> None:
        """One that is gone is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def rmdir(self, name: str) -> None:
        """One that is gone is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """A whole directory. Domains are flat: what lies deeper was not ours, and stays with an OSError."""
        try:
            inner = self.sub(name)
        except FileNotFoundError:
            return
        with inner:
            for entry in inner.names():
                inner.unlink(entry)
        self.rmdir(name)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def usage(self) -> os.statvfs_result:
        return os.fstatvfs(self._descriptor)

    @contextmanager
    def _opened(self, name: str, flags: int) -> Iterator[int]:
        try:
            descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotARegularFile(name=name) from error
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NotARegularFile(name=name)
            yield descriptor
        finally:
            os.close(descriptor)


def _extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Where the file has blocks; all of it where the file system does not tell."""
    size, at = os.fstat(descriptor).st_size, 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        at = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, at


def _hand_over(descriptor: int, mode: int) -> None:
    """To the owner of storage files, where we may."""
    if os.geteuid() == 0:
        os.fchown(descriptor, STORAGE_UID, STORAGE_GID)
    os.fchmod(descriptor, mode)
