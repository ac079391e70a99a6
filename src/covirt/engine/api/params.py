# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A request's parameters: of the query, of the path's matrix, and the two that come as headers too."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote
from uuid import UUID, uuid4

from covirt.engine.api.errors import BadParameter, printable
from covirt.engine.commands.asked import Repeatable

_NOT_IN_CORRELATION: Final = re.compile("[^0-9A-Za-z_-]")
_CORRELATION_LENGTH: Final = 36
_KEY: Final = re.compile("[!-~]{1,255}")
_LARGEST_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    search: str = ""
    case_sensitive: bool = False
    max: int | None = None
    follow: str = ""
    filter: bool = False
    all_content: bool = False
    current: bool = False
    next_run: bool = False
    after_event: int | None = None
    others: Mapping[str, str] = field(default_factory=dict)


def params(query: str, matrix: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> Params:
    """Raises BadParameter for numbers that are none; oVirt ignores bad booleans."""
    found = dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
    found.update(matrix)
    return Params(
        search=found.get("search", ""),
        case_sensitive=flag(found.get("case_sensitive")),
        max=_number(found, "max", _LARGEST_MAX),
        follow=found.get("follow", ""),
        filter=flag(found.get("filter", headers.get("filter"))),
        all_content=flag(found.get("all_content", headers.get("all-content"))),
        current=flag(found.get("current")),
        next_run=flag(found.get("next_run")),
        after_event=_number(found, "from", 2**63 - 1),
        others=found,
    )


def path_parts(raw_path: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The segments of a path, and the parameters of its matrix (``;max=5``)."""
    segments, matrix = [], []
    for part in raw_path.split("/"):
        name, *parameters = part.split(";")
        if name:
            segments.append(unquote(name))
        for parameter in filter(None, parameters):
            key, _, value = parameter.partition("=")
            matrix.append((unquote(key), unquote(value)))
    return segments, matrix


def correlation_id(others: str | None) -> str:
    """The caller's, held to what oVirt allows; otherwise a new one."""
    return _NOT_IN_CORRELATION.sub("", others or "")[:_CORRELATION_LENGTH] or str(uuid4())


def repeatable(headers: Mapping[str, str], asked: str, data: bytes) -> Repeatable | None:
    """Of a request with a key (draft-ietf-httpapi-idempotency-key-header). Raises BadParameter."""
    key = headers.get("idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise BadParameter(name="Idempotency-Key", value=printable(key), expected="up to 255 visible characters")
    return Repeatable(key=key, request=hashlib.sha256(f"{asked}\n".encode() + data).hexdigest())


def flag(text: str | None) -> bool:
    """A parameter without value is true."""
    return text is not None and text.strip().lower() in ("", "true", "1")


def _number(found: Mapping[str, str], name: str, largest: int) -> int | None:
    text = found.get(name, "").strip()
    if not text:
        return None
    if not re.fullmatch("-?[0-9]{1,19}", text) or int(text) > largest:
        raise BadParameter(name=name, value=text[:40], expected="a number")
    return max(0, int(text)) if int(text) >= 0 else None


def is_uuid(text: str) -> bool:
    """Whether it can be somebody's id."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
