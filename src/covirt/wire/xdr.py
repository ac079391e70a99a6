# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""XDR as libvirt uses it (RFC 4506): a codec per kind of value, with a limit wherever a length comes from outside.

Peculiarities, all seen on the wire: ``char``, ``short`` and ``bool`` take four bytes, arrays of ``char`` are arrays
of such four-byte numbers, an optional is present when its flag is not zero, bytes after the last field are ignored.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from covirt.wire.errors import MalformedMessage, Unencodable

T = TypeVar("T")
Append = Callable[[bytes], None]

STRING_LIMIT: Final = 4194304  # bytes of one string
_U32: Final = struct.Struct(">I")
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length modulo 4
_NULL: Final = _U32.pack(0)
_PRESENT: Final = _U32.pack(1)


class Source:
    """Bytes being decoded, and how far we are."""

    __slots__ = ("data", "offset")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    @property
    def remaining(self) -> int:
        return len(self.data) - self.offset

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        try:
            values = form.unpack_from(self.data, self.offset)
        except struct.error:
            raise MalformedMessage(reason=f"it ends within a number at byte {self.offset}") from None
        self.offset += form.size
        return values

    def length(self, limit: int) -> int:
        """A length or count, refused when it is over ``limit``."""
        value: int = self.unpack(_U32)[0]
        if value > limit:
            raise MalformedMessage(reason=f"length {value} at byte {self.offset - 4} is over the limit {limit}")
        return value

    def opaque(self, size: int) -> bytes:
        """``size`` raw bytes and their padding."""
        end = self.offset + size
        padded = end + (-size & 3)
        if padded > len(self.data):
            raise MalformedMessage(reason=f"it ends within {size} bytes of data at byte {self.offset}")
        value = self.data[self.offset : end]
        self.offset = padded
        return value


class Codec(ABC, Generic[T]):
    """Turns one kind of value into bytes and back."""

    # The fewest bytes a value takes: lets a counted array refuse an impossible count before it allocates anything.
    minimum_bytes: int = 4

    @abstractmethod
    def pack(self, value: T, append: Append) -> None:
        """Hand the bytes of ``value`` to ``append``, in pieces."""

    @abstractmethod
    def unpack(self, source: Source) -> T:
        """Read one value."""

    def encode(self, value: T) -> bytes:
        """Raises Unencodable when ``value`` breaks a limit of the protocol."""
        pieces: list[bytes] = []
        try:
            self.pack(value, pieces.append)
        except (struct.error, UnicodeEncodeError) as error:
            raise Unencodable(reason=error) from error
        return b"".join(pieces)

    def decode(self, data: bytes) -> T:
        """Raises MalformedMessage, whatever ``data`` holds. Bytes after the value are ignored, as libvirt does."""
        return self.unpack(Source(data))


class VoidCodec(Codec[None]):
    minimum_bytes = 0

    def pack(self, value: None, append: Append) -> None:
        pass

    def unpack(self, source: Source) -> None:  # noqa: ARG002 - every codec reads from a source
        return None


class ScalarCodec(Codec[T]):
    """A number of four or eight bytes; ``code`` is its letter in the struct module."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._form = struct.Struct(f">{code}")
        self.minimum_bytes = self._form.size

    def pack(self, value: T, append: Append) -> None:
        append(self._form.pack(value))

    def unpack(self, source: Source) -> T:
        value: T = source.unpack(self._form)[0]
        return value


class StringCodec(Codec[str]):
    """Text. Bytes that are not UTF-8 travel as surrogate escapes and survive a round trip; NUL is refused."""

    def __init__(self, limit: int = STRING_LIMIT) -> None:
        self.limit = limit

    def pack(self, value: str, append: Append) -> None:
        raw = value.encode("utf-8", "surrogateescape")
        size = len(raw)
        if size > self.limit:
            raise Unencodable(reason=f"a text of {size} bytes is over the limit {self.limit}")
        if 0 in raw:
            raise Unencodable(reason="a text holds a NUL character")
        append(_U32.pack(size) + raw + _PADDING[size & 3])

    def unpack(self, source: Source) -> str:
        raw = source.opaque(source.length(self.limit))
        if 0 in raw:
            raise MalformedMessage(reason="a text holds a NUL character")
        return raw.decode("utf-8", "surrogateescape")


class OpaqueCodec(Codec[bytes]):
    """Raw bytes with their length in front."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def pack(self, value: bytes, append: Append) -> None:
        size = len(value)
        if size > self.limit:
            raise Unencodable(reason=f"{size} bytes of data are over the limit {self.limit}")
        append(_U32.pack(size) + value + _PADDING[size & 3])

    def unpack(self, source: Source) -> bytes:
        return source.opaque(source.length(self.limit))


class UuidCodec(Codec[UUID]):
    minimum_bytes = 16

    def pack(self, value: UUID, append: Append) -> None:
        append(value.bytes)

    def unpack(self, source: Source) -> UUID:
        return UUID(bytes=source.opaque(16))


class FixedCharsCodec(Codec[str]):
    """``char name[size]``: always ``size`` numbers of four bytes. A longer text is cut, as libvirt itself does."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._form = struct.Struct(f">{size}i")
        self.minimum_bytes = self._form.size

    def pack(self, value: str, append: Append) -> None:
        raw = _chars(value)[: self.size - 1]
        append(self._form.pack(*raw.ljust(self.size, b"\0")))

    def unpack(self, source: Source) -> str:
        return _text(source.unpack(self._form))


class CountedCharsCodec(Codec[str]):
    """``char name<limit>``: counted numbers of four bytes, a final NUL among them, which C clients rely on."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def pack(self, value: str, append: Append) -> None:
        raw = _chars(value) + b"\0"
        if len(raw) > self.limit:
            raise Unencodable(reason=f"a label of {len(raw)} characters is over the limit {self.limit}")
        append(struct.pack(f">I{len(raw)}i", len(raw), *raw))

    def unpack(self, source: Source) -> str:
        count = source.length(min(self.limit, source.remaining // 4))
        return _text(source.unpack(struct.Struct(f">{count}i")))


def _chars(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogateescape")
    if 0 in raw:
        raise Unencodable(reason="a text holds a NUL character")
    return raw


def _text(numbers: tuple[int, ...]) -> str:
    raw = bytes(number & 0xFF for number in numbers)
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


class OptionalCodec(Codec[T | None]):
    """A value or nothing. Any flag but zero means a value: go-libvirt does not send exactly 1."""

    def __init__(self, inner: Codec[T]) -> None:
        self._inner = inner

    def pack(self, value: T | None, append: Append) -> None:
        if value is None:
            append(_NULL)
        else:
            append(_PRESENT)
            self._inner.pack(value, append)

    def unpack(self, source: Source) -> T | None:
        return self._inner.unpack(source) if source.unpack(_U32)[0] else None


class ArrayCodec(Codec[tuple[T, ...]]):
    """Counted values, at most ``limit`` of them."""

    def __init__(self, inner: Codec[T], limit: int) -> None:
        self._inner = inner
        self.limit = limit

    def pack(self, value: tuple[T, ...], append: Append) -> None:
        count = len(value)
        if count > self.limit:
            raise Unencodable(reason=f"a list of {count} entries is over the limit {self.limit}")
        append(_U32.pack(count))
        pack = self._inner.pack
        for item in value:
            pack(item, append)

    def unpack(self, source: Source) -> tuple[T, ...]:
        count = source.length(self.limit)
        if count * self._inner.minimum_bytes > source.remaining:
            raise MalformedMessage(reason=f"a list of {count} entries does not fit what follows it")
        unpack = self._inner.unpack
        return tuple([unpack(source) for _ in range(count)])
