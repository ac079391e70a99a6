# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are either whole or absent, whatever kills us."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import InvalidRequest

CANNOT_WRITE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnknownFileVersion(InvalidRequest):
    template = (
        "{path} is written in version {version}, and this program reads versions {readable}; "
        "install the program version that wrote it"
    )


class BrokenFile(InvalidRequest):
    template = "{path} is not readable as state: {reason}; restore it from a backup or remove it"


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace ``path`` in one step. ``durable`` also survives a power cut; leave it off for files in /run.

    Raises OSError, which names the path where its disk is full or may only be read.
    """
    try:
        _write(path, data, mode=mode, durable=durable)
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _write(path: Path, data: bytes, *, mode: int, durable: bool) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if durable:
                os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    if durable:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(
    path: Path, value: Mapping[str, object], *, version: int, mode: int = 0o600, durable: bool = True
) -> None:
    """Write ``value`` with its format ``version`` beside the keys."""
    write_atomic(path, json_bytes(value, version=version), mode=mode, durable=durable)


def json_bytes(value: Mapping[str, object], *, version: int) -> bytes:
    """What write_json writes."""
    return json.dumps({"version": version, **value}, indent=1, sort_keys=True).encode() + b"\n"


def read_json(path: Path, *, versions: range) -> dict[str, Any]:
    """Read what write_json wrote. Raises FileNotFoundError, BrokenFile, UnknownFileVersion."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise BrokenFile(path=path, reason=error) from error
    if not isinstance(value, dict) or not isinstance(value.get("version"), int):
        raise BrokenFile(path=path, reason="it holds no object with a version")
    if value["version"] not in versions:
        raise UnknownFileVersion(
            path=path, version=value["version"], readable=f"{versions.start} to {versions.stop - 1}"
        )
    return value


def make_directory(path: Path, *, mode: int = 0o711) -> None:
    """Make a directory and its parents with exactly this mode; one that exists is left as it is.

    0711 is the default because a container's mapped root must pass through every directory above its files.
    """
    if path.is_dir():
        return
    make_directory(path.parent, mode=mode)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
        path.chmod(mode)


def remove_tree(path: Path) -> None:
    """Remove a directory tree or a file; absent is fine. Never follows a symbolic link.

    A tree may be as deep and as large as a container makes it: it takes neither Python's stack nor more descriptors.
    """
    try:
        top = os.open(path, _DIRECTORY)
    except NotADirectoryError:
        path.unlink(missing_ok=True)
        return
    except FileNotFoundError:
        return
    _empty(top)
    with contextlib.suppress(FileNotFoundError):
        path.rmdir()


def _empty(current: int) -> None:
    """Remove all that is in an open directory, and close it."""
    try:
        # Of each directory on the way down: which it is, and those in it that are still to be removed.
        levels = [(_identity(current), _only_directories_left(current))]
        while levels:
            _, inner = levels[-1]
            if inner:
                current = _exchanged(current, inner[-1])
                levels.append((_identity(current), _only_directories_left(current)))
                continue
            levels.pop()
            if levels:
                current = _exchanged(current, "..")
                expected, above = levels[-1]
                if _identity(current) != expected:
                    raise OSError(errno.EAGAIN, "a directory was moved while its tree is being removed", above[-1])
                os.rmdir(above.pop(), dir_fd=current)
    finally:
        os.close(current)


def _exchanged(directory: int, name: str) -> int:
    below = os.open(name, _DIRECTORY, dir_fd=directory)
    os.close(directory)
    return below


def _only_directories_left(directory: int) -> list[str]:
    """Unlink all else."""
    with os.scandir(directory) as found:
        kinds = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, is_directory in kinds:
        if not is_directory:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
    return [name for name, is_directory in kinds if is_directory]


def _identity(directory: int) -> tuple[int, int]:
    status = os.fstat(directory)
    return status.st_dev, status.st_ino


def usable_id_path(name: str) -> bool:
    """Tell whether ``name`` is one plain path component that we are willing to use as a file name."""
    return (
        bool(name)
        and name not in {".", ".."}
        and "/" not in name
        and "\0" not in name
        and len(os.fsencode(name)) < 200
    )
