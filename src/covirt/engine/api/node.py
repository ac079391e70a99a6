# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer is made of before it becomes XML or JSON: objects with plain values, links and actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

# Names and types are the table's (``codec/table.json``). A mapping is an object without an identity, such as ``cpu``.
Value: TypeAlias = "str | int | float | bool | datetime | Node | Mapping[str, Value] | Sequence[Value] | None"
Body: TypeAlias = dict[str, "BodyValue"]
BodyValue: TypeAlias = "str | int | float | bool | datetime | Body | list[BodyValue]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A relation to another resource. ``path`` is below the API's root, without a slash in front."""

    rel: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One object of an answer. A reference is a node without values; a value of None is left out."""

    type: str
    id: str | None = None
    path: str | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    actions: tuple[str, ...] = ()


def sequence(value: Value) -> Sequence[Value]:
    """The value of a field that is a list. Raises TypeError."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise TypeError(f"not a list: {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeList:
    """What a collection answers. ``type`` is that of its members; ``tag`` is its root, if not the type's own."""

    type: str
    nodes: Sequence[Node]
    tag: str | None = None
