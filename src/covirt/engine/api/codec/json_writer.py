# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as oVirt's JSON, in which booleans and small integers are strings, and dates are milliseconds."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from covirt.engine.api.codec.scalars import date_milliseconds
from covirt.engine.api.codec.table import TYPES, ApiType, Field, Kind
from covirt.engine.api.node import Link, Node, NodeList, Value, sequence

# The integers that oVirt holds in 64 bits are numbers; the others are strings.
_LONG: Final = frozenset(
    {
        "actual_size", "available", "bytes", "committed", "guaranteed", "initial_size", "max",
        "max_scheduling_memory", "memory", "provisioned_size", "size", "speed", "total_size", "transferred", "used",
    }
)  # fmt: skip


def emit_json(answer: Node | NodeList, prefix: str) -> bytes:
    """The document. ``prefix`` stands before each path to make an href."""
    writer = _Writer(prefix)
    if isinstance(answer, NodeList):
        document = {TYPES[answer.type].tag: [writer.node(node) for node in answer.nodes]} if answer.nodes else {}
    else:
        document = writer.node(answer)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def is_long(field: Field) -> bool:
    """Whether the integer is a number in JSON, and not a string."""
    return field.name in _LONG


class _Writer:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def node(self, node: Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if node.actions:
            links = (Link(rel=name, path=f"{node.path}/{name}") for name in node.actions)
            found["actions"] = {"link": [self._link(link) for link in links]}
        found.update(self._values(TYPES[node.type], node.values))
        if node.links:
            found["link"] = [self._link(link) for link in node.links]
        if node.path is not None:
            found["href"] = self._href(node.path)
        if node.id is not None:
            found["id"] = node.id
        return found

    def _href(self, path: str) -> str:
        return f"{self._prefix}/{path}" if path else self._prefix

    def _link(self, link: Link) -> dict[str, str]:
        return {"href": self._href(link.path), "rel": link.rel}

    def _values(self, kind: ApiType, values: Mapping[str, Value]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in values.items():
            if value is None:
                continue
            field = kind.fields[name]
            if field.item is None:
                found[name] = self._value(field, value)
            else:
                items = [self._value(field, each) for each in sequence(value)]
                found[name] = {field.item: items} if items else {}
        return found

    def _value(self, field: Field, value: Value) -> Any:
        if isinstance(value, Node):
            return self.node(value)
        if isinstance(value, Mapping):
            return self._values(TYPES[field.type], value)
        return _plain(field, value)


def _plain(field: Field, value: Value) -> str | int | float:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return date_milliseconds(value)
    if isinstance(value, int | float):
        if field.kind is Kind.DECIMAL:
            return float(value)
        return value if is_long(field) else str(value)
    return str(value)
