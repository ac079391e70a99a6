# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Making and repairing a volume's file system.

A formatting that a power cut interrupts leaves something that is neither blank nor a file system. So it is on record
before it begins, and only a disk on record is formatted though it is not blank.
"""

import hashlib
import logging
import os
import secrets
import stat
from pathlib import Path
from typing import Final
from uuid import UUID

from covirt.common.errors import CommandFailed
from covirt.common.files import BrokenFile, UnknownFileVersion, make_directory, read_json, sync_directory, write_json
from covirt.common.process import CommandTimeout, run
from covirt.common.units import KIB
from covirt.oci.volume.errors import VolumeDamaged, VolumeFormatFailed, VolumeTooSmall
from covirt.oci.volume.superblock import LABEL, VolumeKey, read_superblock, signature

log = logging.getLogger(__name__)

MINIMUM_BYTES: Final = 8 * KIB * KIB  # below, a journal leaves nothing for files
# What Linux 5.12, the oldest with mapped ids, can mount; newer tools would switch more on.
_FEATURES: Final = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,"
    "huge_file,dir_nlink,extra_isize,metadata_csum"
)
_FORMAT_SECONDS: Final = 600.0
_REPAIR_SECONDS: Final = 3600.0
_VERSION: Final = 1
_BEGINNING_BYTES: Final = 2 * KIB  # with the place of the superblock
# e2fsck(8): 1 is "errors were corrected".
_REPAIRED: Final = (0, 1)


class Formatter:
    """Formats and repairs open disks. ``records`` is a directory that outlives the boot."""

    def __init__(self, records: Path, key: VolumeKey) -> None:
        self._records = records
        self._key = key

    def was_interrupted(self, descriptor: int, path: str, size_bytes: int) -> bool:
        """Whether this disk holds nothing but what an interrupted formatting of ours left."""
        try:
            record = read_json(self._record(path), versions=range(1, _VERSION + 1))
        except (FileNotFoundError, BrokenFile, UnknownFileVersion):
            return False
        if (record.get("path"), record.get("size_bytes")) != (path, size_bytes):
            return False
        if record.get("inode", _inode(descriptor)) != _inode(descriptor):  # somebody put another file in its place
            return False
        superblock = read_superblock(descriptor)
        if superblock is not None:
            return str(superblock.uuid) == record.get("uuid") and superblock.mounted_at == 0
        # mke2fs empties the beginning first and writes the superblock last.
        return not any(os.pread(descriptor, _BEGINNING_BYTES, 0)) and signature(descriptor) is None

    def format(self, descriptor: int, path: str, size_bytes: int) -> None:
        """Make an ext4 with covirt's mark. The caller has made sure that nothing is lost by that.

        Raises VolumeTooSmall, VolumeFormatFailed.
        """
        if size_bytes < MINIMUM_BYTES:
            raise VolumeTooSmall(path=path, size_bytes=size_bytes, minimum_bytes=MINIMUM_BYTES)
        uuid = UUID(bytes=secrets.token_bytes(16), version=4)
        record = self._record(path)
        make_directory(record.parent, mode=0o700)
        facts = {"path": path, "size_bytes": size_bytes, "uuid": str(uuid), "inode": _inode(descriptor)}
        write_json(record, facts, version=_VERSION)
        seed = UUID(bytes=self._key.mark(uuid))
        extended = f"hash_seed={seed},root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,nodiscard"
        argv = (
            "mke2fs", "-q", "-F", "-t", "ext4", "-O", _FEATURES, "-m", "0", "-e", "remount-ro", "-L", LABEL,
            "-U", str(uuid), "-E", extended, f"/proc/self/fd/{descriptor}",
        )  # fmt: skip
        try:
            run(argv, timeout_seconds=_FORMAT_SECONDS, pass_descriptors=(descriptor,))
            os.fsync(descriptor)
        except (CommandFailed, CommandTimeout, OSError) as error:
            raise VolumeFormatFailed(path=path, reason=error) from error
        log.info("Disk formatted path=%s size_bytes=%d uuid=%s", path, size_bytes, uuid)
        self.forget(path)

    def forget(self, path: str) -> None:
        record = self._record(path)
        if record.exists():
            record.unlink(missing_ok=True)
            sync_directory(record.parent)

    def repair(self, descriptor: int, path: str) -> None:
        """Replay the journal, and mend what can be mended without asking. Raises VolumeDamaged."""
        argv = ("e2fsck", "-p", f"/proc/self/fd/{descriptor}")
        try:
            done = run(argv, timeout_seconds=_REPAIR_SECONDS, pass_descriptors=(descriptor,), check=False)
        except CommandTimeout as error:
            raise VolumeDamaged(path=path, reason=error) from error
        said = " ".join(done.stdout.decode(errors="replace").split())[:500] or done.complaint
        if done.status not in _REPAIRED:
            raise VolumeDamaged(path=path, reason=said)
        log.warning("Disk was not unmounted cleanly and is repaired path=%s e2fsck=%r", path, said)

    def _record(self, path: str) -> Path:
        return self._records / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"


def _inode(descriptor: int) -> int | None:
    """What tells a file from a later one of its name; a block device's node is a new one after each boot."""
    status = os.fstat(descriptor)
    return status.st_ino if stat.S_ISREG(status.st_mode) else None
