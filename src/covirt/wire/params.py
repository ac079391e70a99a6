# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's typed parameters: a name, a type and a value; thousands of them travel in one bulk statistics reply."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from covirt.wire.errors import MalformedMessage, Unencodable
from covirt.wire.xdr import Append, Codec, ScalarCodec, Source, StringCodec

ParamValue = int | float | str

_U32: Final = struct.Struct(">I")
# Names repeat for ever ("cpu.time"), but indexed ones grow with devices ("net.12.rx.bytes"): forget all, then go on.
_KNOWN_ENTRIES: Final = 8192


class ParamType(IntEnum):
    """virTypedParameterType. Clients check it: use the documented type of each field."""

    INT = 1
    UINT = 2
    LLONG = 3
    ULLONG = 4
    DOUBLE = 5
    BOOLEAN = 6
    STRING = 7


class TypedParam(NamedTuple):
    """A tuple and not a dataclass: making 13,000 of them for one reply costs a third as much."""

    field: str
    type: int
    value: ParamValue


def int_(field: str, value: int) -> TypedParam:
    """32 bits with a sign."""
    return TypedParam(field, 1, value)


def uint(field: str, value: int) -> TypedParam:
    """32 bits without a sign."""
    return TypedParam(field, 2, value)


def llong(field: str, value: int) -> TypedParam:
    """64 bits with a sign."""
    return TypedParam(field, 3, value)


def ullong(field: str, value: int) -> TypedParam:
    """64 bits without a sign."""
    return TypedParam(field, 4, value)


def double(field: str, value: float) -> TypedParam:
    return TypedParam(field, 5, value)


def boolean(field: str, value: bool) -> TypedParam:  # noqa: FBT001 - the value is the point
    return TypedParam(field, 6, int(value))


def string(field: str, value: str) -> TypedParam:
    return TypedParam(field, 7, value)


_STRING: Final = StringCodec()
_NUMBERS: Final[dict[int, ScalarCodec[ParamValue]]] = {
    ParamType.INT: ScalarCodec("i"),
    ParamType.UINT: ScalarCodec("I"),
    ParamType.LLONG: ScalarCodec("q"),
    ParamType.ULLONG: ScalarCodec("Q"),
    ParamType.DOUBLE: ScalarCodec("d"),
    ParamType.BOOLEAN: ScalarCodec("i"),
}
_PACK: Final[dict[int, Callable[[Any], bytes]]] = {
    **{kind: struct.Struct(f">{codec.code}").pack for kind, codec in _NUMBERS.items()},
    ParamType.STRING: _STRING.encode,
}


@dataclass(frozen=True, slots=True)
class EncodedParams:
    """Parameters in their wire form already, ``count`` of them: for replies with thousands."""

    count: int
    data: bytes

    def __iter__(self) -> Iterator[TypedParam]:
        source = Source(self.data)
        for _ in range(self.count):
            yield _unpack_param(source)


def encoder(field: str, kind: ParamType) -> Callable[[ParamValue], bytes]:
    """A function from a value to the wire form of this parameter; what never changes of it is encoded here, once."""
    prefix, pack = _STRING.encode(field) + _U32.pack(kind), _PACK[kind]

    def encode(value: ParamValue) -> bytes:
        return prefix + pack(value)

    return encode


class ParamsCodec(Codec[tuple[TypedParam, ...] | EncodedParams]):
    """A counted list of typed parameters; the encoded name and type of each field are kept from call to call."""

    _known: Final[dict[tuple[str, int], tuple[bytes, Callable[[Any], bytes]]]] = {}

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def pack(self, value: tuple[TypedParam, ...] | EncodedParams, append: Append) -> None:
        count = value.count if isinstance(value, EncodedParams) else len(value)
        if count > self.limit:
            raise Unencodable(reason=f"{count} parameters are over the limit {self.limit}")
        append(_U32.pack(count))
        if isinstance(value, EncodedParams):
            append(value.data)
            return
        known = self._known
        for field, kind, content in value:
            prefix, pack = known.get((field, kind)) or self._learn(field, kind)
            append(prefix + pack(content))

    def _learn(self, field: str, kind: int) -> tuple[bytes, Callable[[Any], bytes]]:
        pack = _PACK.get(kind)
        if pack is None:
            raise Unencodable(reason=f"parameter {field} has the unknown type {kind}")
        if len(self._known) >= _KNOWN_ENTRIES:
            self._known.clear()
        entry = self._known[field, kind] = (_STRING.encode(field) + _U32.pack(kind), pack)
        return entry

    def unpack(self, source: Source) -> tuple[TypedParam, ...]:
        count = source.length(self.limit)
        if count * 12 > source.remaining:  # a name of no characters, a type, and the smallest value
            raise MalformedMessage(reason=f"{count} parameters do not fit what follows")
        return tuple([_unpack_param(source) for _ in range(count)])


def _unpack_param(source: Source) -> TypedParam:
    field = _STRING.unpack(source)
    kind: Any = source.unpack(_U32)[0]
    if kind == ParamType.STRING:
        return TypedParam(field, kind, _STRING.unpack(source))
    number = _NUMBERS.get(kind)
    if number is None:
        raise MalformedMessage(reason=f"parameter {field!r} has the unknown type {kind}")
    return TypedParam(field, kind, number.unpack(source))
