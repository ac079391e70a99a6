# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which image files this installation made itself, by content: only those may be mounted.

``<digest>.json`` records an import. Hashing an image at each domain start would cost what the start itself costs, so
``files/<device>-<inode>.json`` remembers the digest of a file together with its size, mtime and ctime: writing to the
file, renaming another over it or copying it elsewhere changes one of them, and the kernel sets ctime, not the writer.
A file that changed within the last two seconds is not remembered, as a second change could carry the same time stamp.
"""

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import Error
from covirt.common.files import BrokenFile, UnknownFileVersion, make_directory, read_json, write_json
from covirt.oci.image.errors import ImageDamaged, NotAnImage
from covirt.oci.image.model import is_digest
from covirt.oci.image.trailer import check_content, open_image

_SETTLED_NS: Final = 2_000_000_000
_VERSIONS: Final = range(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRecord:
    """What is remembered of one import: where the image came from, and when (seconds since 1970)."""

    file_digest: str
    image_digest: str
    source: str
    imported_at: int


class TrustRecords:
    """The records below one directory. Safe for several processes at once: every file is replaced whole."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files = directory / "files"

    def record(self, file_digest: str, *, image_digest: str, source: str) -> None:
        """Trust files of this content from now on."""
        make_directory(self._directory, mode=0o711)
        value = {"image_digest": image_digest, "source": source, "imported_at": int(time.time())}
        write_json(self._record_path(file_digest), value, version=1)

    def find(self, file_digest: str) -> TrustRecord | None:
        try:
            value = read_json(self._record_path(file_digest), versions=_VERSIONS)
        except (FileNotFoundError, BrokenFile, UnknownFileVersion):
            return None
        return TrustRecord(
            file_digest=file_digest,
            image_digest=str(value.get("image_digest")),
            source=str(value.get("source")),
            imported_at=int(value.get("imported_at") or 0),
        )

    def remember(self, path: Path, file_digest: str, *, made: os.stat_result) -> None:
        """Note that the file ``made``, which we wrote and renamed to ``path``, has this digest.

        Another import may have put its own file there meanwhile; that one is left to its maker.
        """
        found = os.stat(path)
        if os.path.samestat(found, made):
            self._note(found, file_digest)

    def file_digest(self, path: Path) -> str:
        """The digest of a whole, undamaged image file; hashes it unless it is remembered and unchanged.

        Raises NoSuchImage, NotAnImage, ImageDamaged.
        """
        with open_image(path) as descriptor:
            before = os.fstat(descriptor)
            known = self._remembered(before)
            if known is not None:
                return known
            _, digest = check_content(descriptor, path)
            after = os.fstat(descriptor)
            if not stat.S_ISREG(after.st_mode):
                return digest  # a block device has no size and no times that tell of a change
            if _identity(after) != _identity(before):
                raise ImageDamaged(path=path, reason="it was changed while it was read")
            if abs(time.time_ns() - after.st_ctime_ns) > _SETTLED_NS:
                self._note(after, digest)
            return digest

    def is_trusted(self, path: Path) -> bool:
        """Whether this very content was made here. Costs two small reads for a file seen before."""
        try:
            digest = self.file_digest(path)
        except (NotAnImage, ImageDamaged):
            return False
        return self.find(digest) is not None

    def _record_path(self, file_digest: str) -> Path:
        return self._directory / f"{file_digest.removeprefix('sha256:')}.json"

    def _file_path(self, found: os.stat_result) -> Path:
        return self._files / f"{found.st_dev}-{found.st_ino}.json"

    def _note(self, found: os.stat_result, digest: str) -> None:
        make_directory(self._files, mode=0o711)
        value: dict[str, Any] = {"file_digest": digest, "identity": _identity(found)}
        write_json(self._file_path(found), value, version=1, durable=False)

    def _remembered(self, found: os.stat_result) -> str | None:
        if not stat.S_ISREG(found.st_mode):
            return None
        try:
            value = read_json(self._file_path(found), versions=_VERSIONS)
        except FileNotFoundError:
            return None
        except Error:
            return None  # only a memory: a broken one costs a hash
        digest = value.get("file_digest")
        return str(digest) if value.get("identity") == _identity(found) and is_digest(digest) else None


def _identity(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
