# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Connections to storage servers: a link to a local directory, or an NFS mount."""

import errno
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.errors import CommandFailed
from covirt.common.mountinfo import mounts_below
from covirt.common.process import CommandMissing, CommandTimeout, run
from covirt.host.storage.domain_format import StorageType
from covirt.host.storage.storage_errors import (
    BadRemotePath,
    MountFailed,
    StorageNotAccessible,
    UnmountFailed,
    UnsupportedStorageType,
)
from covirt.host.storage.storage_paths import StoragePaths, checked_export, checked_local_path, replace_link
from covirt.host.storage.unprivileged import as_storage_user

log = logging.getLogger(__name__)

_PROBE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """``path``: a directory, or HOST:/PATH. The other values are NFS's, None where the kernel's defaults count."""

    id: str
    path: str
    nfs_version: str | None = None
    nfs_timeo: int | None = None
    nfs_retrans: int | None = None


class Connections:
    """Makes and ends them. Its methods may hang with the storage."""

    def __init__(self, paths: StoragePaths, *, mount_timeout_seconds: float) -> None:
        self._paths = paths
        self._mount_timeout_seconds = mount_timeout_seconds

    def connect(self, storage_type: int, connection: Connection) -> Path:
        """Gives where the storage is found. One that is connected is fine.

        Raises BadRemotePath, StorageNotAccessible, MountFailed, UnsupportedStorageType.
        """
        match storage_type:
            case StorageType.LOCALFS:
                return self._link(checked_local_path(connection.path))
            case StorageType.NFS:
                return self._mount(checked_export(connection.path), connection)
            case _:
                raise UnsupportedStorageType(type=storage_type)

    def disconnect(self, storage_type: int, connection: Connection) -> None:
        """One that is not connected is fine. Raises as connect() and UnmountFailed."""
        match storage_type:
            case StorageType.LOCALFS:
                self._unlink(checked_local_path(connection.path))
            case StorageType.NFS:
                self._unmount(checked_export(connection.path))
            case _:
                raise UnsupportedStorageType(type=storage_type)

    def _link(self, remote: str) -> Path:
        if not os.path.isdir(remote):
            raise BadRemotePath(path=remote, reason="it is no directory on this host")
        self._check_access(Path(remote))
        link = self._paths.mount(remote)
        if link.is_symlink():
            _require_same(remote, os.readlink(link))
        replace_link(link, Path(remote))
        return link

    def _unlink(self, remote: str) -> None:
        link = self._paths.mount(remote)
        if link.is_symlink() and os.readlink(link) == remote:
            link.unlink()

    def _mount(self, remote: str, connection: Connection) -> Path:
        place = self._paths.mount(remote)
        mounted = _mounted_at(place)
        if mounted is not None:
            _require_same(remote, mounted)
        else:
            place.mkdir(mode=0o755, exist_ok=True)
            argv = ["mount", "-t", "nfs", "-o", ",".join(_options(connection)), "--", remote, str(place)]
            try:
                run(argv, timeout_seconds=self._mount_timeout_seconds)
            except (CommandFailed, CommandMissing, CommandTimeout) as error:
                _remove_empty(place)
                raise MountFailed(remote=remote, reason=error) from error
            log.info("Storage mounted remote=%s", remote)
        self._check_access(place)
        return place

    def _unmount(self, remote: str) -> None:
        place = self._paths.mount(remote)
        mounted = _mounted_at(place)
        if mounted not in (None, remote):
            return
        if mounted is not None:
            try:
                run(["umount", "--", str(place)], timeout_seconds=self._mount_timeout_seconds)
            except (CommandFailed, CommandMissing, CommandTimeout) as error:
                raise UnmountFailed(remote=remote, reason=error) from error
            log.info("Storage unmounted remote=%s", remote)
        _remove_empty(place)

    @staticmethod
    def _check_access(path: Path) -> None:
        """As the owner of storage files, who passes no more directories than it may."""
        command = as_storage_user(["test", "-r", path, "-a", "-w", path, "-a", "-x", path])
        if run(command, timeout_seconds=_PROBE_SECONDS, check=False).status != 0:
            raise StorageNotAccessible(path=path, reason="it may not be read, written and passed")


def _require_same(remote: str, present: str) -> None:
    """Vdsm's names are not unique: those of /a_/b and /a/_b are one, whose domains would be the other's.

    Raises BadRemotePath.
    """
    if present != remote:
        raise BadRemotePath(path=remote, reason=f"{present} has its place; disconnect that first")


def _mounted_at(place: Path) -> str | None:
    """What is; by the kernel's table, which does not ask a server that may be silent."""
    known = Path(os.path.realpath(place.parent)) / place.name
    return next((entry.source for entry in mounts_below(known) if entry.target == os.fspath(known)), None)


def _options(connection: Connection) -> list[str]:
    """Soft: a guest is paused when storage is away, instead of hanging with everything that touches it."""
    timeo = 100 if connection.nfs_timeo is None else connection.nfs_timeo
    retrans = 3 if connection.nfs_retrans is None else connection.nfs_retrans
    options = ["soft", "nosharecache", f"timeo={int(timeo)}", f"retrans={int(retrans)}"]
    if connection.nfs_version in (None, "", "auto"):
        return [*options, "nolock"]
    major, _, minor = str(connection.nfs_version).lstrip("Vv").partition(".")
    options.append(f"nfsvers={int(major)}")
    if minor:
        options.append(f"minorversion={int(minor)}")
    return [*options, "nolock"] if major == "3" else options


def _remove_empty(place: Path) -> None:
    try:
        place.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EBUSY):
            raise
