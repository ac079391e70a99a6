# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Frozen values as JSON text and back: what of a noun is read and written whole, and never searched by."""

import dataclasses
import json
import types
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

_SAME: Final = (str, int, float, bool, types.NoneType)


def to_text(value: object) -> str:
    """A dataclass, or a tuple of them, as JSON; what equals its default is left out, so that rows stay short."""
    return json.dumps(_to_json(value), separators=(",", ":"), sort_keys=True)


@lru_cache(maxsize=4096)
def from_text(kind: Any, text: str) -> Any:
    """The value again. What is frozen may be shared, and most machines are alike: hence the cache.

    Fields the text lacks take their defaults, and fields the class no longer has are passed over.
    """
    return _reader(kind)(json.loads(text))


def _to_json(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return {
            field.name: _to_json(item)
            for field in dataclasses.fields(value)
            if (item := getattr(value, field.name)) != field.default
        }
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(_to_json(item) for item in value)  # type: ignore[type-var]  # texts
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return value


@lru_cache(maxsize=256)
def _reader(kind: Any) -> Callable[[Any], Any]:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _optional_reader(kind)
    if origin in (tuple, frozenset):
        return _items_reader(kind, origin)
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind
    if kind is datetime:
        return datetime.fromisoformat
    if kind in _SAME:
        return _same
    raise TypeError(f"{kind} has no JSON form here")


def _same(value: Any) -> Any:
    return value


def _optional_reader(kind: Any) -> Callable[[Any], Any]:
    (inner,) = (_reader(argument) for argument in get_args(kind) if argument is not types.NoneType)
    return lambda value: None if value is None else inner(value)


def _items_reader(kind: Any, origin: Any) -> Callable[[Any], Any]:
    arguments = get_args(kind)
    if origin is tuple and arguments[-1] is not Ellipsis:
        readers = [_reader(argument) for argument in arguments]
        return lambda value: tuple(read(item) for read, item in zip(readers, value, strict=True))
    inner = _reader(arguments[0])
    return lambda value: origin(inner(item) for item in value)


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}
    return lambda value: kind(**{name: readers[name](item) for name, item in value.items() if name in readers})
