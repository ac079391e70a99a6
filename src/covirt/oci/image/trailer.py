# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The image file: a file system, then a trailer that tells what it is without mounting it.

    0                 file system (erofs or ext4), padded with zero bytes to a multiple of 4096
    T                 trailer, T = the file system's length by its own superblock, rounded up
      +0    16 bytes  magic "covirt-image-1\\n\\0"
      +16   8 bytes   J: length of the JSON, unsigned, little-endian (as all numbers here)
      +24   8 bytes   T itself
      +32   32 bytes  SHA-256 of bytes 0 to T
      +64   J bytes   JSON, in ASCII
      +64+J 32 bytes  SHA-256 of bytes T to T+64+J
                      zero bytes up to a multiple of 4096, or to the end of a bigger disk

The place is found from the front, because a storage domain may round the size of a disk up.
The file digest is the SHA-256 of everything up to the end of the trailer's last 4096-byte block.
"""

import hashlib
import json
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from covirt.oci.image.errors import ImageDamaged, NoSuchImageFile, NotAnImage
from covirt.oci.image.model import BadConfig, ContainerImage, is_digest, json_object, parse_config, text

MAGIC: Final = b"covirt-image-1\n\0"
BLOCK: Final = 4096
_HEADER: Final = struct.Struct("<16sQQ32s")
_JSON_LIMIT: Final = 16 << 20
_CHUNK: Final = 1 << 20
_EROFS_MAGIC: Final = 0xE0F5E1E2
_EXT4_MAGIC: Final = 0xEF53
_EXT4_64BIT: Final = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailer:
    """What the trailer says, its own checksum already checked."""

    filesystem: str
    start: int
    end: int
    content_sha256: bytes
    about: Mapping[str, Any]


def round_up(value: int) -> int:
    return -(-value // BLOCK) * BLOCK


def filesystem_extent(superblock: bytes) -> tuple[str, int]:
    """The kind and length in bytes of a file system, from the 1024 bytes at offset 1024. Raises ValueError.

    Layouts: Linux, fs/erofs/erofs_fs.h and fs/ext4/ext4.h.
    """
    if len(superblock) < 1024:
        raise ValueError("the file is too short")
    if struct.unpack_from("<I", superblock, 0)[0] == _EROFS_MAGIC:
        bits, blocks = superblock[12], struct.unpack_from("<I", superblock, 36)[0]
        if bits not in range(9, 17):
            raise ValueError("its erofs superblock is broken")
        return "erofs", blocks << bits
    if struct.unpack_from("<H", superblock, 0x38)[0] == _EXT4_MAGIC:
        low, shift = struct.unpack_from("<I", superblock, 4)[0], struct.unpack_from("<I", superblock, 0x18)[0]
        wide = struct.unpack_from("<I", superblock, 0x60)[0] & _EXT4_64BIT
        high = struct.unpack_from("<I", superblock, 0x150)[0] if wide else 0
        if shift > 6:
            raise ValueError("its ext4 superblock is broken")
        return "ext4", (high << 32 | low) << (10 + shift)
    raise ValueError("it begins with neither an erofs nor an ext4 file system")


@contextmanager
def open_image(path: Path) -> Iterator[int]:
    """A descriptor of a regular file or block device. Raises NoSuchImage, NotAnImage."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchImageFile(name=str(path)) from error
    except OSError as error:
        raise NotAnImage(path=path, reason=error.strerror) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise NotAnImage(path=path, reason="it is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def read_trailer(descriptor: int, path: Path) -> Trailer:
    """Find and check the trailer (not the file system). Raises NotAnImage, ImageDamaged."""
    try:
        filesystem, length = filesystem_extent(os.pread(descriptor, 1024, 1024))
    except ValueError as error:
        raise NotAnImage(path=path, reason=error) from error
    start = round_up(length)
    header = os.pread(descriptor, _HEADER.size, start)
    if len(header) < _HEADER.size or not header.startswith(MAGIC):
        raise NotAnImage(path=path, reason="no trailer follows its file system")
    _, json_length, claimed_start, content_sha256 = _HEADER.unpack(header)
    if claimed_start != start or json_length > _JSON_LIMIT:
        raise ImageDamaged(path=path, reason="the trailer's header is broken")
    tail = os.pread(descriptor, json_length + 32, start + _HEADER.size)
    body, checksum = tail[:json_length], tail[json_length:]
    if hashlib.sha256(header + body).digest() != checksum:
        raise ImageDamaged(path=path, reason="the trailer's checksum is wrong")
    try:
        about = json_object(body)
    except BadConfig as error:
        raise ImageDamaged(path=path, reason=f"the trailer is not valid: {error}") from error
    return Trailer(
        filesystem=filesystem,
        start=start,
        end=round_up(start + _HEADER.size + json_length + 32),
        content_sha256=content_sha256,
        about=about,
    )


def append_trailer(descriptor: int, about: Mapping[str, Any]) -> str:
    """Write the trailer after the file system in this file, and give the file digest ("sha256:…")."""
    _, length = filesystem_extent(os.pread(descriptor, 1024, 1024))
    start = round_up(length)
    if os.fstat(descriptor).st_size > start:
        raise ValueError("the file is longer than its file system")
    os.ftruncate(descriptor, start)
    whole = hashlib.sha256()
    for chunk in _chunks(descriptor, 0, start):
        whole.update(chunk)
    body = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    head = _HEADER.pack(MAGIC, len(body), start, whole.digest()) + body
    block = head + hashlib.sha256(head).digest()
    block += bytes(round_up(len(block)) - len(block))
    view = memoryview(block)
    while view:
        view = view[os.pwrite(descriptor, view, start + len(block) - len(view)) :]
    whole.update(block)
    return f"sha256:{whole.hexdigest()}"


def check_content(descriptor: int, path: Path) -> tuple[Trailer, str]:
    """Read every byte; gives the trailer and the file digest. Raises NotAnImage, ImageDamaged."""
    trailer = read_trailer(descriptor, path)
    content = hashlib.sha256()
    for chunk in _chunks(descriptor, 0, trailer.start):
        content.update(chunk)
    if content.digest() != trailer.content_sha256:
        raise ImageDamaged(path=path, reason="the file system's checksum is wrong")
    block = os.pread(descriptor, trailer.end - trailer.start, trailer.start)
    body_length = _HEADER.unpack_from(block)[1]
    if len(block) != trailer.end - trailer.start or any(block[_HEADER.size + body_length + 32 :]):
        raise ImageDamaged(path=path, reason="bytes after the trailer have changed")
    content.update(block)
    for chunk in _chunks(descriptor, trailer.end, os.lseek(descriptor, 0, os.SEEK_END)):
        if chunk.count(0) != len(chunk):
            raise ImageDamaged(path=path, reason="bytes after the trailer have changed")
    return trailer, f"sha256:{content.hexdigest()}"


def image_of(trailer: Trailer, *, name: str | None, path: Path) -> ContainerImage:
    """The trailer's JSON as a ContainerImage. Raises ImageDamaged."""
    about = trailer.about
    try:
        if (
            about.get("version") != 1
            or not is_digest(about.get("digest"))
            or not isinstance(about.get("config"), dict)
        ):
            raise BadConfig("version, digest or config is missing")
        config, volumes = parse_config(about["config"])
        architecture = text(about.get("architecture"), "architecture")
    except BadConfig as error:
        raise ImageDamaged(path=path, reason=f"the trailer is not valid: {error}") from error
    return ContainerImage(
        name=name,
        path=path,
        digest=about["digest"],
        architecture=architecture,
        size_bytes=trailer.end,
        volumes=volumes,
        config=config,
        filesystem=trailer.filesystem,
        filesystem_bytes=trailer.start,
    )


def read_image(path: Path | str, *, name: str | None = None) -> ContainerImage:
    """What the file says of itself, from its trailer: nothing is mounted, and the content is not checked.

    Raises NoSuchImage, NotAnImage, ImageDamaged.
    """
    place = Path(os.path.abspath(path))
    with open_image(place) as descriptor:
        return image_of(read_trailer(descriptor, place), name=name, path=place)


def _chunks(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        chunk = os.pread(descriptor, min(_CHUNK, end - start), start)
        if not chunk:
            return
        yield chunk
        start += len(chunk)
