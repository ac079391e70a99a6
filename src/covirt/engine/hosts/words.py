# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What hosts say, read with care: Vdsm gives numbers now as texts and now as numbers, and a value that is missing or
of another shape is an absent one, never a reason to forget everything else that the host has said."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from covirt.rpc.jsonrpc import Json

Document: TypeAlias = Mapping[str, Json]

_LONGEST: Final = 4096
_LARGEST: Final = (1 << 63) - 1
_NOTHING: Final[Document] = {}


def text(document: Document, key: str, default: str = "") -> str:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return default
    return str(value).replace("\0", "")[:_LONGEST]


def number(document: Document, key: str, default: float = 0.0) -> float:
    value = document.get(key)
    try:
        found = float(value) if isinstance(value, (str, int, float)) else default
    except (ValueError, OverflowError):
        return default
    return found if math.isfinite(found) else default


def whole(document: Document, key: str, default: int = 0) -> int:
    """A number without a fraction that every database holds."""
    value = document.get(key)
    try:
        found = int(value) if isinstance(value, (str, int, float)) else default
    except (ValueError, OverflowError):
        return default
    return max(-_LARGEST, min(_LARGEST, found))


def flag(document: Document, key: str) -> bool:
    """Also of the texts that Vdsm has for it."""
    return str(document.get(key)).lower() == "true"


def table(document: Document, key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, Mapping) else _NOTHING


def tables(document: Document, key: str) -> dict[str, Document]:
    """A table's members that are tables themselves."""
    return {name: value for name, value in table(document, key).items() if isinstance(value, Mapping)}


def entries(document: Document, key: str) -> Sequence[Json]:
    value = document.get(key)
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def texts(document: Document, key: str) -> tuple[str, ...]:
    """A list's texts."""
    return tuple(value.replace("\0", "")[:_LONGEST] for value in entries(document, key) if isinstance(value, str))
