# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The header of a qcow2 image, read without QEMU: which other files it would have QEMU open, and how large it is.

Whoever uploads an image writes its header. QEMU opens what stands there before it can be asked what that is.
"""

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.errors import InvalidRequest

_MAGIC: Final = b"QFI\xfb"
# Up to the way of encryption: magic, version, place and length of the backing file's name, cluster bits, size.
_FIRST: Final = struct.Struct(">4sIQIIQ")
_VERSION_2_BYTES: Final = 72
_FEATURES: Final = struct.Struct(">Q")
_FEATURES_AT: Final = 72
_HEADER_LENGTH: Final = struct.Struct(">I")
_HEADER_LENGTH_AT: Final = 100
_EXTENSION: Final = struct.Struct(">II")
_BACKING_FORMAT: Final = 0xE2792ACA
_DATA_FILE: Final = 1 << 2
_NAME_LIMIT: Final = 1023
_READ_BYTES: Final = 1 << 16  # names and extensions lie in the first cluster, and in its first bytes


class BrokenQcow2Header(InvalidRequest):
    template = "it has no usable qcow2 header: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Qcow2Header:
    """What the image says of itself: the files that it refers to, and its size."""

    backing_file: str | None
    backing_format: str | None
    has_data_file: bool
    virtual_bytes: int


def read_header(path: Path) -> Qcow2Header:
    """Raises BrokenQcow2Header, and OSError where the file cannot be read. A link is not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BrokenQcow2Header(reason="it is no plain file")
        return parse_header(os.pread(descriptor, _READ_BYTES, 0))
    finally:
        os.close(descriptor)


def parse_header(data: bytes) -> Qcow2Header:
    """The beginning of an image. Raises BrokenQcow2Header."""
    try:
        magic, version, name_at, name_bytes, cluster_bits, size = _FIRST.unpack_from(data)
        if magic != _MAGIC or version not in (2, 3):
            raise BrokenQcow2Header(reason="it begins as something else")
        features = _FEATURES.unpack_from(data, _FEATURES_AT)[0] if version == 3 else 0
        extensions_at = _HEADER_LENGTH.unpack_from(data, _HEADER_LENGTH_AT)[0] if version == 3 else _VERSION_2_BYTES
        if not 9 <= cluster_bits <= 21 or name_bytes > _NAME_LIMIT:
            raise BrokenQcow2Header(reason="a length in it is out of bounds")
        end = name_at or 1 << cluster_bits
        name = data[name_at : name_at + name_bytes] if name_at else b""
        if len(name) < (name_bytes if name_at else 0):
            raise BrokenQcow2Header(reason="the name of what it builds on is out of reach")
        return Qcow2Header(
            backing_file=os.fsdecode(name) or None,
            backing_format=_backing_format(data, extensions_at, end),
            has_data_file=bool(features & _DATA_FILE),
            virtual_bytes=size,
        )
    except struct.error as error:
        raise BrokenQcow2Header(reason="it is cut short") from error


def _backing_format(data: bytes, at: int, end: int) -> str | None:
    """From the list of extensions, which goes as far as QEMU reads it."""
    found = None
    while at < end:
        kind, length = _EXTENSION.unpack_from(data, at)
        at += _EXTENSION.size
        if kind == 0:
            break
        if length > end - at or at + length > len(data):
            raise BrokenQcow2Header(reason="an extension is too long")
        if kind == _BACKING_FORMAT:
            found = os.fsdecode(data[at : at + length])
        at += -(-length // 8) * 8
    return found
