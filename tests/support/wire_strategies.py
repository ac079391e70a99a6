# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for values of the wire, derived from the same annotations as the codecs."""

import typing
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Annotated, Any
from uuid import UUID

from hypothesis import strategies as st

from covirt.wire.codec import Limit
from covirt.wire.params import ParamsCodec, ParamType, TypedParam
from covirt.wire.xdr import CountedCharsCodec, FixedCharsCodec, OpaqueCodec, ScalarCodec, StringCodec, UuidCodec

_RANGES = {"i": (-(2**31), 2**31 - 1), "I": (0, 2**32 - 1), "q": (-(2**63), 2**63 - 1), "Q": (0, 2**64 - 1)}


def texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Any text a client may send: no NUL, no half surrogates."""
    return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=max_size)


def integers(code: str) -> st.SearchStrategy[int]:
    low, high = _RANGES[code]
    return st.integers(low, high)


def params() -> st.SearchStrategy[tuple[TypedParam, ...]]:
    def param(kind: ParamType, values: st.SearchStrategy[Any]) -> st.SearchStrategy[TypedParam]:
        return st.builds(TypedParam, texts(), st.just(int(kind)), values)

    one = st.one_of(
        param(ParamType.INT, integers("i")),
        param(ParamType.UINT, integers("I")),
        param(ParamType.LLONG, integers("q")),
        param(ParamType.ULLONG, integers("Q")),
        param(ParamType.DOUBLE, st.floats(allow_nan=False)),
        param(ParamType.BOOLEAN, st.integers(0, 1)),
        param(ParamType.STRING, texts()),
    )
    return st.lists(one, max_size=8).map(tuple)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values for a wire_struct, or for the annotation of one of its fields."""
    if annotation is NoneType:
        return st.none()
    if is_dataclass(annotation) and isinstance(annotation, type):
        hints = typing.get_type_hints(annotation, include_extras=True)
        return st.builds(annotation, **{field.name: values_of(hints[field.name]) for field in fields(annotation)})
    if typing.get_origin(annotation) is Annotated:
        kind, note, *_ = typing.get_args(annotation)
        if isinstance(note, Limit):
            most = min(note.entries, 4)
            return st.lists(values_of(typing.get_args(kind)[0]), max_size=most).map(tuple)
        return _of_codec(note)
    return st.none() | values_of(next(part for part in typing.get_args(annotation) if part is not NoneType))


def _of_codec(codec: object) -> st.SearchStrategy[Any]:
    match codec:
        case ScalarCodec():
            return integers(codec.code)
        case StringCodec():
            return texts()
        case UuidCodec():
            return st.builds(UUID, bytes=st.binary(min_size=16, max_size=16))
        case OpaqueCodec():
            return st.binary(max_size=40)
        case FixedCharsCodec() | CountedCharsCodec():
            return st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=20)
        case ParamsCodec():
            return params()
    raise TypeError(f"no strategy for {codec!r}")
