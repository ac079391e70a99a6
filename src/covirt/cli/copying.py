# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Files to and from a container, by its own tar; what it sends is unpacked like any stranger's archive."""

import asyncio
import os
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Final

from covirt.cli.errors import NotCopied
from covirt.cli.terminal import said_by
from covirt.client.record import Record
from covirt.client.resources import Resources

_CHUNK_BYTES: Final = 1 << 18


def split_place(text: str) -> tuple[str, str]:
    """NAME:PATH, or a path alone; one with a slash before its first colon is a path."""
    name, colon, path = text.partition(":")
    return (name, path or "/") if colon and "/" not in name else ("", text)


def copy_out(resources: Resources, vm: Record, source: str, target: str) -> None:
    """``target``: a directory that is there, or the new name. Raises NotCopied."""
    path = PurePosixPath(source)
    with tempfile.TemporaryFile() as archive:
        command = ["tar", "-c", "-f", "-", "-C", str(path.parent), path.name or "."]
        _run(resources, vm, command, f"{vm.name}:{source}", output=archive)
        archive.seek(0)
        _unpack(archive, path.name, Path(target), f"{vm.name}:{source}")


def _unpack(archive: IO[bytes], name: str, target: Path, what: str) -> None:
    directory, new_name = (target, name) if target.is_dir() or not name else (target.parent, target.name)
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                if name and parts[:1] == (name,):
                    member.name = str(PurePosixPath(new_name, *parts[1:]))
                _make_harmless(member, directory.resolve(), what)
                tar.extract(member, directory, numeric_owner=True)
    except (tarfile.TarError, OSError) as error:
        raise NotCopied(what=what, reason=error) from error


def _make_harmless(member: tarfile.TarInfo, directory: Path, what: str) -> None:
    """As Python's filter "data" (PEP 706), which Debian 12's has not: nothing lands outside, by whatever links came
    before, and no device, owner or right to be somebody else comes along. Raises NotCopied."""
    place = os.path.realpath(directory / member.name)
    beside = directory if member.islnk() else Path(os.path.dirname(place))
    target = os.path.realpath(beside / member.linkname) if member.issym() or member.islnk() else place
    if not all(Path(each).is_relative_to(directory) for each in (place, target)):
        raise NotCopied(what=what, reason=f"{member.name} in it lies or leads elsewhere")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise NotCopied(what=what, reason=f"{member.name} in it is a device or a pipe")
    member.mode = (member.mode & 0o755) | (0o700 if member.isdir() else 0o600)
    member.uid, member.gid = os.getuid(), os.getgid()
    member.uname = member.gname = ""


def copy_in(resources: Resources, vm: Record, source: str, target: str) -> None:
    """``target``: a directory that is there (by its slash at the end, or .), or the new name. Raises NotCopied."""
    path, place = Path(source), PurePosixPath(target)
    if not path.exists():
        raise NotCopied(what=source, reason="there is no such file")
    into = target.endswith("/") or _is_directory(resources, vm, target)
    directory, name = (place, path.resolve().name) if into else (place.parent, place.name)
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(path, arcname=name, filter=_as_root)
        archive.seek(0)
        _run(resources, vm, ["tar", "-x", "-f", "-", "-C", str(directory)], source, feed=archive)


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Ids of this machine mean nothing inside."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _is_directory(resources: Resources, vm: Record, path: str) -> bool:
    return asyncio.run(said_by(resources, vm, ["test", "-d", path])).status == 0


def _run(
    resources: Resources, vm: Record, command: Sequence[str], what: str,
    *, output: IO[bytes] | None = None, feed: IO[bytes] | None = None,
) -> None:  # fmt: skip
    chunks = iter(lambda: feed.read(_CHUNK_BYTES), b"") if feed is not None else iter(())
    take = output.write if output is not None else lambda _data: None
    done = asyncio.run(said_by(resources, vm, command, feed=chunks, take=take))
    if done.status:
        raise NotCopied(what=what, reason=done.complaint or f"tar ended with status {done.status}")
