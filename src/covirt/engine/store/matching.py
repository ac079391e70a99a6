# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A field of a search compared with a value, as SQL that means the same on both databases."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Float, Integer, func, literal, not_, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter

from covirt.engine.search.tree import Operator
from covirt.engine.store.columns import Time, Word

_ORDERED: Final[Mapping[Operator, Callable[[Any, Any], ColumnElement[bool]]]] = {
    Operator.LESS: lambda column, value: column < value,
    Operator.GREATER: lambda column, value: column > value,
    Operator.AT_MOST: lambda column, value: column <= value,
    Operator.AT_LEAST: lambda column, value: column >= value,
}
_TRUE: Final = frozenset({"true", "yes", "1"})
_FALSE: Final = frozenset({"false", "no", "0"})


class Mismatch(Exception):
    """Why a value cannot be compared with a field; becomes a BadSearch. Text: a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``value`` as it stands in the search."""

    operator: Operator
    value: str
    case_sensitive: bool


class _Like(ColumnElement[bool]):
    """Text like a pattern with ``*``, with regard to case: SQLite's LIKE has none."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any], pattern: str) -> None:
        self.column = column
        self.pattern = pattern


@compiles(_Like)
def _like(element: _Like, compiler: SQLCompiler, **arguments: Any) -> str:
    words = (_escaped(part, r"([\\%_])", r"\\\1") for part in element.pattern.split("*"))
    bound: BindParameter[str] = BindParameter(None, "%".join(words), unique=True)
    return (
        f"({compiler.process(element.column, **arguments)} LIKE {compiler.process(bound, **arguments)} ESCAPE '\\')"
    )


@compiles(_Like, "sqlite")
def _glob(element: _Like, compiler: SQLCompiler, **arguments: Any) -> str:
    words = (_escaped(part, r"([\[?])", r"[\1]") for part in element.pattern.split("*"))
    bound: BindParameter[str] = BindParameter(None, "*".join(words), unique=True)
    return f"({compiler.process(element.column, **arguments)} GLOB {compiler.process(bound, **arguments)})"


class _AnyCase(ColumnElement[bool]):
    """The same text but for the case of ASCII's letters, as the indexes of migration 0013 have it: a search by name
    must not read every name."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any], value: str) -> None:
        self.column = column
        self.value = value


@compiles(_AnyCase)
def _lower(element: _AnyCase, compiler: SQLCompiler, **arguments: Any) -> str:
    bound: BindParameter[str] = BindParameter(None, element.value.lower(), unique=True)
    return f"(lower({compiler.process(element.column, **arguments)}) = {compiler.process(bound, **arguments)})"


@compiles(_AnyCase, "sqlite")
def _no_case(element: _AnyCase, compiler: SQLCompiler, **arguments: Any) -> str:
    bound: BindParameter[str] = BindParameter(None, element.value, unique=True)
    column = compiler.process(element.column, **arguments)
    return f"({column} COLLATE NOCASE = {compiler.process(bound, **arguments)})"


def compared(column: ColumnElement[Any], comparison: Comparison) -> ColumnElement[bool]:
    """Raises Mismatch."""
    kind = column.type
    if isinstance(kind, Word):
        return _word(column, kind.kind, comparison)
    if isinstance(kind, Time):
        return _time(column, comparison)
    if isinstance(kind, (Integer, Float)):
        return _number(column, comparison)
    if kind.python_type is bool:
        return _flag(column, comparison)
    return _text(column, comparison)


def contains(column: ColumnElement[Any], value: str, *, case_sensitive: bool) -> ColumnElement[bool]:
    """Free text: anywhere within."""
    pattern = value if "*" in value else f"*{value}*"
    return _text(column, Comparison(operator=Operator.EQUAL, value=pattern, case_sensitive=case_sensitive))


def _text(column: ColumnElement[Any], comparison: Comparison) -> ColumnElement[bool]:
    value = comparison.value
    folded = not comparison.case_sensitive
    same: ColumnElement[bool]
    if folded and value.isascii() and "*" not in value and comparison.operator not in _ORDERED:
        same = _AnyCase(column, value)
    else:
        if folded:
            column, value = func.lower(column), value.lower()
        if order := _ORDERED.get(comparison.operator):
            return order(column, value)
        same = _Like(column, value) if "*" in value else column == value
    return same if comparison.operator is Operator.EQUAL else or_(not_(same), column.is_(None))


def _word(column: ColumnElement[Any], words: type[StrEnum], comparison: Comparison) -> ColumnElement[bool]:
    pattern = _wildcard(comparison.value.lower())
    meant = [word for word in words if pattern.fullmatch(word.value)]
    if not meant:
        raise Mismatch(f"{comparison.value!r} is none of {', '.join(sorted(words))}")
    if comparison.operator is Operator.EQUAL:
        return column.in_(meant)
    if comparison.operator is Operator.NOT_EQUAL:
        return column.not_in(meant)
    raise Mismatch(f"{comparison.operator} has no meaning for words")


def _wildcard(value: str) -> re.Pattern[str]:
    """Each part is looked for once, at its first place: many stars must not take time that doubles with each."""
    first, *parts = value.split("*")
    if not parts:
        return re.compile(re.escape(first))
    *middle, last = parts
    found = "".join(f"(?>.*?{re.escape(part)})" for part in middle if part)
    return re.compile(f"{re.escape(first)}{found}.*{re.escape(last)}")


def _number(column: ColumnElement[Any], comparison: Comparison) -> ColumnElement[bool]:
    if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,6})?", comparison.value):
        raise Mismatch(f"{comparison.value!r} is no number")
    if "." in comparison.value:
        return _ordered_or_same(column, comparison.operator, float(comparison.value))
    # A number too large for the column is one that it never has, no error.
    value = literal(int(comparison.value), BigInteger())
    return _ordered_or_same(column, comparison.operator, value)


def _flag(column: ColumnElement[Any], comparison: Comparison) -> ColumnElement[bool]:
    word = comparison.value.lower()
    if word not in _TRUE | _FALSE or comparison.operator not in (Operator.EQUAL, Operator.NOT_EQUAL):
        raise Mismatch(f"{comparison.value!r} is neither true nor false")
    wanted = (word in _TRUE) == (comparison.operator is Operator.EQUAL)
    return column if wanted else not_(column)


def _time(column: ColumnElement[Any], comparison: Comparison) -> ColumnElement[bool]:
    start, end = _span(comparison.value)
    match comparison.operator:
        case Operator.EQUAL:
            return (column >= start) & (column < end)
        case Operator.NOT_EQUAL:
            return (column < start) | (column >= end)
        case Operator.GREATER:
            return column >= end
        case Operator.AT_MOST:
            return column < end
        case operator:
            return _ordered_or_same(column, operator, start)


def _span(text: str) -> tuple[datetime, datetime]:
    """When a moment as it is written begins and ends, in UTC."""
    moment, width = _moment(text)
    try:
        start = moment.astimezone(UTC)
        return start, start + width
    except OverflowError:
        raise Mismatch(f"{text!r} is no time between the years 1 and 9999") from None


def _moment(text: str) -> tuple[datetime, timedelta]:
    """A moment, and how long it lasts as it is written: a day, or a second. UTC where no zone is given."""
    day = timedelta(days=1)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if text.lower() in ("today", "yesterday"):
        return (today if text.lower() == "today" else today - day), day
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Mismatch(f"{text!r} is no time: write today, yesterday, 2026-11-22 or '2026-11-22 12:00'") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC), timedelta(seconds=1) if ":" in text else day


def _ordered_or_same(column: ColumnElement[Any], operator: Operator, value: object) -> ColumnElement[bool]:
    if order := _ORDERED.get(operator):
        return order(column, value)
    return column == value if operator is Operator.EQUAL else or_(column != value, column.is_(None))


def _escaped(text: str, special: str, replacement: str) -> str:
    return re.sub(special, replacement, text)
