# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A struct of the protocol is a frozen dataclass, and its codec follows from the annotations of its fields.

``U32`` and its like are ``int`` to the type checker and carry their codec; ``X | None`` is XDR's optional; a tuple
with ``Limit`` is a counted array. Each codec is derived once, when it is first used.
"""

import struct
import types
import typing
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter
from typing import Annotated, Any, Final, TypeVar, dataclass_transform
from uuid import UUID

from covirt.wire.xdr import (
    Append,
    ArrayCodec,
    Codec,
    OptionalCodec,
    ScalarCodec,
    Source,
    StringCodec,
    UuidCodec,
    VoidCodec,
)

T = TypeVar("T")

I32 = Annotated[int, ScalarCodec[int]("i")]
U32 = Annotated[int, ScalarCodec[int]("I")]
I64 = Annotated[int, ScalarCodec[int]("q")]
U64 = Annotated[int, ScalarCodec[int]("Q")]
String = Annotated[str, StringCodec()]
Uuid = Annotated[UUID, UuidCodec()]


@dataclass(frozen=True, slots=True)
class Limit:
    """The most entries of a counted array: ``Annotated[tuple[X, ...], Limit(16)]``."""

    entries: int


@dataclass_transform(frozen_default=True, kw_only_default=True)
def wire_struct(cls: type[T]) -> type[T]:
    """Make a class a struct of the protocol: a frozen, slotted dataclass with keyword-only fields in wire order."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


class _Field:
    """One field whose size is its value's own business."""

    def __init__(self, name: str, codec: Codec[Any]) -> None:
        self.names = (name,)
        self.minimum_bytes = codec.minimum_bytes
        self._get = attrgetter(name)
        self._codec = codec

    def pack(self, value: object, append: Append) -> None:
        self._codec.pack(self._get(value), append)

    def unpack(self, source: Source) -> tuple[Any, ...]:
        return (self._codec.unpack(source),)


class _Numbers:
    """Neighbouring numbers, packed in one step."""

    def __init__(self, names: tuple[str, ...], codes: str) -> None:
        self.names = names
        self._form = struct.Struct(f">{codes}")
        self.minimum_bytes = self._form.size
        self._getters = tuple(attrgetter(name) for name in names)

    def pack(self, value: object, append: Append) -> None:
        append(self._form.pack(*[get(value) for get in self._getters]))

    def unpack(self, source: Source) -> tuple[Any, ...]:
        return source.unpack(self._form)


class StructCodec(Codec[T]):
    """The fields of a wire_struct, one after the other."""

    def __init__(self, cls: type[T]) -> None:
        self._cls = cls
        self._parts = _parts(cls)
        self._names = tuple(name for part in self._parts for name in part.names)
        self.minimum_bytes = sum(part.minimum_bytes for part in self._parts)

    def pack(self, value: T, append: Append) -> None:
        for part in self._parts:
            part.pack(value, append)

    def unpack(self, source: Source) -> T:
        values: list[Any] = []
        for part in self._parts:
            values += part.unpack(source)
        return self._cls(**dict(zip(self._names, values, strict=True)))


def _parts(cls: type[Any]) -> list[_Field | _Numbers]:
    assert is_dataclass(cls), cls  # noqa: S101 - a mistake in our own table
    hints = typing.get_type_hints(cls, include_extras=True)
    parts: list[_Field | _Numbers] = []
    names: list[str] = []
    codes: list[str] = []

    def close_run() -> None:
        if names:
            parts.append(_Numbers(tuple(names), "".join(codes)))
            names.clear()
            codes.clear()

    for field in fields(cls):
        codec = derive(hints[field.name])
        if isinstance(codec, ScalarCodec):
            names.append(field.name)
            codes.append(codec.code)
        else:
            close_run()
            parts.append(_Field(field.name, codec))
    close_run()
    return parts


_codecs: Final[dict[type[Any], Codec[Any]]] = {types.NoneType: VoidCodec()}


def codec_of(cls: type[T]) -> Codec[T]:
    """The codec of a wire_struct, or of NoneType for void."""
    codec = _codecs.get(cls)
    if codec is None:
        codec = _codecs[cls] = StructCodec(cls)
    return codec


def derive(annotation: Any) -> Codec[Any]:
    """The codec an annotation asks for. Raises TypeError for one that has no place on the wire."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _derive_annotated(annotation)
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        if len(inner) == 1:
            return OptionalCodec(derive(inner[0]))
    if is_dataclass(annotation) and isinstance(annotation, type):
        return codec_of(annotation)
    raise TypeError(f"{annotation!r} has no place on the wire")


def _derive_annotated(annotation: Any) -> Codec[Any]:
    kind, note, *_ = typing.get_args(annotation)
    if isinstance(note, Codec):
        return note
    if isinstance(note, Limit) and typing.get_origin(kind) is tuple:
        return ArrayCodec(derive(typing.get_args(kind)[0]), note.entries)
    raise TypeError(f"{annotation!r} has no place on the wire")
