# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The table of oVirt's types, made out of the SDK by ``tools.api_table``: fields, tags, enumerations, services."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from typing import Any, Final


class Kind(Enum):
    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    ENUM = "enum"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """``type`` names the object's type or the enumeration. ``item``: the tag of a list's items; None for no list."""

    name: str
    kind: Kind
    type: str = ""
    item: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiType:
    """``links``: the rel of a link to a collection -> the field that holds it when it is followed."""

    name: str
    tag: str
    plural: str
    fields: Mapping[str, Field]
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the SDK has for one path: its methods with their parameters, its actions, the paths below ("*": an id)."""

    base: str
    methods: Mapping[str, list[str]]
    actions: Mapping[str, str | None]
    children: Mapping[str, str]


# What people look for first comes first, as oVirt has it.
_FIRST: Final = ("name", "description", "comment")


def _field(name: str, text: str) -> Field:
    item, star, what = text.rpartition("*")
    if what.startswith("enum "):
        kind, what = Kind.ENUM, what.removeprefix("enum ")
    elif what[0].isupper():
        kind = Kind.OBJECT
    else:
        kind, what = Kind(what), ""
    return Field(name=name, kind=kind, type=what, item=item if star else None)


def _type(name: str, entry: Mapping[str, Any]) -> ApiType:
    names = sorted(entry["fields"], key=lambda each: (_FIRST.index(each) if each in _FIRST else len(_FIRST), each))
    fields = {each: _field(each, entry["fields"][each]) for each in names}
    return ApiType(name=name, tag=entry["tag"], plural=entry["plural"], fields=fields, links=entry["links"])


_TABLE: Final = json.loads(files(__package__).joinpath("table.json").read_text())
TYPES: Final[Mapping[str, ApiType]] = {name: _type(name, entry) for name, entry in _TABLE["types"].items()}
ENUMS: Final[Mapping[str, frozenset[str]]] = {name: frozenset(words) for name, words in _TABLE["enums"].items()}
SERVICES: Final[Mapping[str, Service]] = {name: Service(**entry) for name, entry in _TABLE["services"].items()}
