# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Plain values: as text of XML and JSON, and back."""

import math
import re
from datetime import UTC, datetime
from typing import Final

from covirt.engine.api.codec.table import ENUMS, Field, Kind
from covirt.engine.api.errors import BadValue

Scalar = str | int | float | bool | datetime
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_LARGEST: Final = 2**63 - 1
_LONGEST_SHOWN: Final = 80
# What XML 1.0 has no way to say, not even escaped.
UNSPEAKABLE: Final = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def date_text(value: datetime) -> str:
    """ISO 8601 with milliseconds and a zone."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone")
    return value.isoformat(timespec="milliseconds")


def date_milliseconds(value: datetime) -> int:
    """Since 1970, as JSON has it."""
    return round(value.timestamp() * 1000)


def scalar(field: Field, text: str) -> Scalar:
    """What a client's text means. Raises BadValue."""
    match field.kind:
        case Kind.STRING:
            return _string(field, text)
        case Kind.BOOLEAN:
            return _boolean(field, text.strip())
        case Kind.INTEGER:
            return _integer(field, text.strip())
        case Kind.DECIMAL:
            return _decimal(field, text.strip())
        case Kind.DATE:
            return _date(field, text.strip())
        case _:
            return _enum(field, text.strip())


def refused(field: Field, text: str, kind: str, hint: str = "") -> BadValue:
    """The error for a value that the field cannot have."""
    return BadValue(text=text[:_LONGEST_SHOWN], kind=kind, name=field.name, hint=hint)


def _string(field: Field, text: str) -> str:
    if UNSPEAKABLE.search(text):
        raise refused(field, ascii(text), "text", ": it holds control characters")
    return text


def _boolean(field: Field, text: str) -> bool:
    match text.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise refused(field, text, "boolean", ": it is true or false")


def _integer(field: Field, text: str) -> int:
    if _INTEGER.fullmatch(text) is None or not -_LARGEST - 1 <= int(text) <= _LARGEST:
        raise refused(field, text, "integer")
    return int(text)


def _decimal(field: Field, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise refused(field, text, "decimal") from error
    if not math.isfinite(value):
        raise refused(field, text, "decimal")
    return value


def _date(field: Field, text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise refused(field, text, "date", ": it is ISO 8601") from error


def _enum(field: Field, text: str) -> str:
    # A word in capitals is what version 3 had, and what some clients still send.
    word = text.lower()
    allowed = ENUMS[field.type]
    if word not in allowed:
        raise refused(field, text, "value", f": there are {', '.join(sorted(allowed))}")
    return word
