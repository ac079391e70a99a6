# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets as files of a container: in a tmpfs of its own that nobody can write to, each shown at its place."""

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from covirt.oci import mount
from covirt.oci.idmap import IdMap
from covirt.oci.spec import Mount
from covirt.oci.users import ResolvedUser

_OPTIONS: Final = ("bind", "ro", "nosuid", "nodev", "noexec")
_ROOM_BYTES: Final = 64 * 1024  # for the tmpfs' own


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """``uid`` and ``gid`` are the container's; None: those of the user that its process starts as."""

    destination: str
    value: bytes = field(repr=False)
    mode: int = 0o400
    uid: int | None = None
    gid: int | None = None


def mount_secret_files(
    files: Sequence[SecretFile], directory: Path, idmap: IdMap, user: ResolvedUser
) -> tuple[Mount, ...]:
    """Make ``directory`` a tmpfs with the files, below a directory that keeps others of the host out.

    Unmounting it removes them. Gives the mounts for config.json. Raises UnmappedUser, MountFailed, OSError.
    """
    owners = [_owner(file, idmap, user) for file in files]
    size_bytes = _ROOM_BYTES + sum(-(-len(file.value) // mmap.PAGESIZE) * mmap.PAGESIZE for file in files)
    directory.mkdir(mode=0o700, exist_ok=True)
    mount.mount_tmpfs(directory, size_bytes=size_bytes, mode=0o711, noexec=True)
    for number, (file, (uid, gid)) in enumerate(zip(files, owners, strict=True)):
        _write(directory / str(number), file, uid=uid, gid=gid)
    mount.make_tmpfs_read_only(directory, noexec=True)
    return tuple(
        Mount(source=str(directory / str(number)), destination=file.destination, options=_OPTIONS)
        for number, file in enumerate(files)
    )


def _owner(file: SecretFile, idmap: IdMap, user: ResolvedUser) -> tuple[int, int]:
    uid = user.uid if file.uid is None else file.uid
    gid = user.gid if file.gid is None else file.gid
    return idmap.host_uid(uid), idmap.host_gid(gid)


def _write(path: Path, file: SecretFile, *, uid: int, gid: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.value)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, file.mode)
