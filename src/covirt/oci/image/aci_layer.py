# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Rewrite an AppC archive on stdin into the layer ``layer.tar`` of the working directory. Runs confined.

Headers and data are copied from archive to archive: nothing is created under a name from the archive. umoci decides
later, when it unpacks, what of a name is safe.
"""

import copy
import hashlib
import io
import json
import posixpath
import sys
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

_MANIFEST_LIMIT: Final = 1 << 20
_ROOTFS: Final = "rootfs"
# Written anew by tarfile, and stale in the copied headers once a name is cut.
_REWRITTEN: Final = ("path", "linkpath", "size")


class _HashingFile:
    """The layer, hashed while it is written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._stream.write(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def convert(_arguments: list[str]) -> int:
    """Print {"manifest": …, "digest": …, "size": …}; on failure one line on stderr and status 1."""
    archive = sys.stdin.buffer
    try:
        manifest = _manifest(archive)
        wanted = _whitelist(manifest)
        archive.seek(0)
        with open("layer.tar", "xb") as stream:
            layer = _HashingFile(stream)
            with tarfile.open(fileobj=cast("BinaryIO", layer), mode="w|", format=tarfile.PAX_FORMAT) as output:
                for member, data in _members(archive, wanted):
                    output.addfile(member, data)
    except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    sys.stdout.write(json.dumps({"manifest": manifest, "digest": layer.digest, "size": layer.size}))
    return 0


def _manifest(archive: BinaryIO) -> dict[str, Any]:
    with tarfile.open(fileobj=archive, mode="r|*") as reader:
        for member in reader:
            if posixpath.normpath(member.name) == "manifest" and member.isreg():
                if member.size > _MANIFEST_LIMIT:
                    raise ValueError("its manifest is too large")
                stream = reader.extractfile(member)
                value = json.loads(stream.read()) if stream is not None else None
                if not isinstance(value, dict):
                    raise ValueError("its manifest is no JSON object")
                return value
    raise ValueError("it holds no file 'manifest', so it is no AppC image")


def _whitelist(manifest: dict[str, Any]) -> frozenset[str] | None:
    """The paths that may stay, with the directories above them; None for all."""
    listed = manifest.get("pathWhitelist")
    if not listed:
        return None
    if not isinstance(listed, list) or not all(isinstance(path, str) for path in listed):
        raise ValueError("its pathWhitelist is not a list of paths")
    kept = {"."}
    for path in listed:
        words = [word for word in path.split("/") if word]
        kept.update("/".join(words[:count]) for count in range(1, len(words) + 1))
    return frozenset(kept)


def _members(
    archive: BinaryIO, wanted: frozenset[str] | None
) -> Iterator[tuple[tarfile.TarInfo, io.BufferedIOBase | Any]]:
    with tarfile.open(fileobj=archive, mode="r|*") as reader:
        for member in reader:
            name = _below_rootfs(member.name)
            if name is None or (wanted is not None and name not in wanted):
                continue
            changed = copy.copy(member)
            changed.name = name
            if member.islnk():
                target = _below_rootfs(member.linkname)
                if target is None:
                    raise ValueError(f"the hard link {member.name!r} leads out of the image")
                changed.linkname = target
            changed.pax_headers = {key: value for key, value in member.pax_headers.items() if key not in _REWRITTEN}
            yield changed, reader.extractfile(member) if member.isreg() else None


def _below_rootfs(name: str) -> str | None:
    """The path inside rootfs; None for what is beside it, or would be after its dots."""
    first, _, rest = posixpath.normpath(name).partition("/")
    return (rest or ".") if first == _ROOTFS else None
