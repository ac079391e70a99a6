# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is on a disk, told from its first and last bytes, and the mark by which covirt knows its own volumes.

The mark is a keyed digest of the file system's UUID, kept where ext4 keeps the seed of its directory hashes: no tool
changes it, and nobody without the host's key can make one. Layout: ext4's "struct ext4_super_block".
"""

import hashlib
import hmac
import os
import secrets
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from uuid import UUID

from covirt.common.files import make_directory, write_atomic
from covirt.common.process import run
from covirt.common.units import KIB
from covirt.oci.volume.errors import BrokenVolumeKey

LABEL: Final = "covirt-volume"
_SUPERBLOCK: Final = 1024  # where it begins, and how long it is
_MAGIC: Final = b"\x53\xef"
_VALID, _ERRORS = 1, 2  # s_state
_RECOVER: Final = 4  # s_feature_incompat: the journal is to be replayed
_EDGE_BYTES: Final = KIB * KIB  # at both ends; every signature that libblkid knows lies within
_BLKID_SECONDS: Final = 30.0
_BLKID_NOTHING: Final = 2
_BLKID_AMBIVALENT: Final = 8
# Disk images of virtual machines, archives: what libblkid does not look for.
_IMAGE_MAGIC: Final = {
    b"QFI\xfb": "a qcow2 image",
    b"QED\0": "a QED image",
    b"KDMV": "a VMDK image",
    b"COWD": "a VMDK image",
    b"# Disk Descriptor": "a VMDK image",
    b"vhdxfile": "a VHDX image",
    b"conecti\x78": "a VHD image",
    b"<<< ": "a VDI image",
    b"WithoutFreeSpace": "a Parallels image",
    b"WithouFreSpacExt": "a Parallels image",
    b"Bochs Virtual HD": "a Bochs image",
    b"\x1f\x8b": "gzip data",
    b"\xfd7zXZ": "xz data",
    b"(\xb5/\xfd": "zstd data",
}


class Content(StrEnum):
    BLANK = "blank"
    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Superblock:
    """The few facts of an ext4 superblock that matter here."""

    uuid: UUID
    label: str
    seed: bytes
    state: int
    incompatible: int
    mounted_at: int  # seconds since the epoch; 0: never yet

    @property
    def clean(self) -> bool:
        return bool(self.state & _VALID) and not self.state & _ERRORS and not self.incompatible & _RECOVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """``what`` names foreign content in words. ``superblock`` is there when it is ours."""

    content: Content
    what: str = ""
    superblock: Superblock | None = None


class VolumeKey:
    """The host's secret for marks. Hosts whose containers share volumes need the same file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._key: bytes | None = None

    def mark(self, uuid: UUID) -> bytes:
        """The 16 bytes that say that covirt made the file system with this UUID. Raises BrokenVolumeKey."""
        return hmac.digest(self._read(), b"covirt volume\0" + uuid.bytes, hashlib.sha256)[:16]

    def _read(self) -> bytes:
        with self._lock:
            if self._key is None:
                self._key = self._stored() or self._new()
            return self._key

    def _stored(self) -> bytes | None:
        try:
            text = self.path.read_text().strip()
        except FileNotFoundError:
            return None
        try:
            key = bytes.fromhex(text)
        except ValueError as error:
            raise BrokenVolumeKey(path=self.path) from error
        if len(key) != 32:
            raise BrokenVolumeKey(path=self.path)
        return key

    def _new(self) -> bytes:
        make_directory(self.path.parent)
        key = secrets.token_bytes(32)
        write_atomic(self.path, f"{key.hex()}\n".encode(), mode=0o600)
        return key


def read_superblock(descriptor: int) -> Superblock | None:
    """None when there is no ext2, ext3 or ext4."""
    block = os.pread(descriptor, _SUPERBLOCK, _SUPERBLOCK)
    if len(block) < _SUPERBLOCK or block[0x38:0x3A] != _MAGIC:
        return None
    return Superblock(
        uuid=UUID(bytes=block[0x68:0x78]),
        label=block[0x78:0x88].rstrip(b"\0").decode(errors="replace"),
        seed=block[0xEC:0xFC],
        state=int.from_bytes(block[0x3A:0x3C], "little"),
        mounted_at=int.from_bytes(block[0x2C:0x30], "little"),
        incompatible=int.from_bytes(block[0x60:0x64], "little"),
    )


def examine(descriptor: int, key: VolumeKey, *, size_bytes: int) -> Examined:
    """What the disk holds. Blank is only what has no signature and nothing but zeros at both of its ends."""
    superblock = read_superblock(descriptor)
    if superblock is not None:
        if superblock.label == LABEL and hmac.compare_digest(superblock.seed, key.mark(superblock.uuid)):
            return Examined(content=Content.OURS, superblock=superblock)
        made = "by covirt with another key" if superblock.label == LABEL else "that is not covirt's"
        return Examined(content=Content.FOREIGN, what=f"a file system {made}")
    head = os.pread(descriptor, _EDGE_BYTES, 0)
    what = next((text for magic, text in _IMAGE_MAGIC.items() if head.startswith(magic)), None) or signature(
        descriptor
    )
    if what is None and not _zeros(head, os.pread(descriptor, _EDGE_BYTES, max(0, size_bytes - _EDGE_BYTES))):
        what = "data of an unknown kind"
    return Examined(content=Content.FOREIGN, what=what) if what else Examined(content=Content.BLANK)


def signature(descriptor: int) -> str | None:
    """What libblkid finds, in words; None for nothing. A program that cannot tell counts as a signature."""
    argv = ("blkid", "--probe", "--output", "export", f"/proc/self/fd/{descriptor}")
    found = run(argv, timeout_seconds=_BLKID_SECONDS, pass_descriptors=(descriptor,), check=False)
    if found.status == _BLKID_NOTHING and not found.stdout:
        return None
    if found.status == _BLKID_AMBIVALENT:
        return "signatures of several kinds"
    facts = dict(line.partition("=")[::2] for line in found.stdout.decode(errors="replace").splitlines())
    if "TYPE" in facts:
        return f"a signature of {facts['TYPE']}"
    if "PTTYPE" in facts:
        return f"a partition table ({facts['PTTYPE']})"
    return f"what blkid cannot tell ({found.complaint or f'status {found.status}'})"


def _zeros(*blocks: bytes) -> bool:
    return not any(block.strip(b"\0") for block in blocks)
