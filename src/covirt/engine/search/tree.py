# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A search as a tree, and its one canonical text."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_BARE: Final = re.compile(r"[^\s\"'()=!<>]+")
KEYWORDS: Final = frozenset({"and", "or", "sortby", "page", "asc", "desc"})


class Operator(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    GREATER = ">"
    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """``field`` in lower case, with a dot where it is another noun's: hosts.name. ``*`` in a value is any text."""

    field: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{quoted(self.value)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeText:
    """A value alone, which any of a noun's texts may contain."""

    value: str

    def __str__(self) -> str:
        return quoted(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    items: tuple["Condition", ...]

    def __str__(self) -> str:
        return " and ".join(f"({item})" if isinstance(item, AnyOf) else str(item) for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    items: tuple["Condition", ...]

    def __str__(self) -> str:
        return " or ".join(str(item) for item in self.items)


Condition = Criterion | FreeText | AllOf | AnyOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    field: str
    descending: bool = False

    def __str__(self) -> str:
        return f"sortby {self.field} {'desc' if self.descending else 'asc'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """``page`` counts from 1."""

    condition: Condition | None = None
    sort: Sort | None = None
    page: int | None = None

    def __str__(self) -> str:
        page = None if self.page is None else f"page {self.page}"
        return " ".join(str(part) for part in (self.condition, self.sort, page) if part is not None)


def quoted(value: str) -> str:
    """As it has to stand in a search; there is no way to write a value with quotation marks of both kinds."""
    if _BARE.fullmatch(value) and value.lower() not in KEYWORDS:
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'
