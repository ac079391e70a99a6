# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's JSON from clients. A number, a boolean and their text mean the same, for clients send either."""

import json
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NoReturn

from covirt.engine.api.codec.scalars import Scalar, refused, scalar
from covirt.engine.api.codec.table import TYPES, Field, Kind
from covirt.engine.api.errors import BadBody
from covirt.engine.api.node import Body, BodyValue

_DEEPEST = 64


def read_json(type_name: str, data: bytes) -> Body:
    """The body of a request that is to hold one object of the type. Raises BadBody and BadValue."""
    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BadBody(reason="it is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise BadBody(reason=f"it is not JSON ({error})") from error
    return _object(type_name, document, 1)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _object(type_name: str, value: Any, depth: int) -> Body:
    if depth > _DEEPEST:
        raise BadBody(reason=f"objects are nested deeper than {_DEEPEST}")
    if not isinstance(value, dict):
        raise BadBody(reason=f"a {TYPES[type_name].tag} must be an object")
    found: Body = {name: _name(name, value[name]) for name in ("id", "href") if value.get(name) is not None}
    for name, field in TYPES[type_name].fields.items():
        if value.get(name) is None:
            continue
        if field.item is None:
            found[name] = _value(field, value[name], depth)
        else:
            found[name] = [_value(field, each, depth) for each in _items(field.item, value[name])]
    return found


def _name(name: str, value: Any) -> str:
    """A VLAN's id is a number, and some clients send it as one."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadBody(reason=f"the {name} {json.dumps(value)[:40]} is no text")


def _items(tag: str, value: Any) -> list[Any]:
    """A list is wrapped as in XML, but some clients send it bare, and some a single item without a list."""
    inner = value.get(tag, []) if isinstance(value, dict) else value
    return inner if isinstance(inner, list) else [inner]


def _value(field: Field, value: Any, depth: int) -> BodyValue:
    if field.kind is Kind.OBJECT:
        return _object(field.type, value, depth + 1)
    return _scalar(field, value)


def _scalar(field: Field, value: Any) -> Scalar:
    if isinstance(value, str):
        return scalar(field, value)
    if isinstance(value, bool):
        return scalar(field, str(value).lower())
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return _date(field, value) if field.kind is Kind.DATE else scalar(field, _number(value))
    raise refused(field, json.dumps(value), "value")


def _number(value: float) -> str:
    return str(int(value)) if abs(value) < 2**63 and value == int(value) else str(value)


def _date(field: Field, milliseconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise refused(field, str(milliseconds), "date") from error
