# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API's tree as data: routes, links, actions, the compatibility table and OpenAPI are made of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from covirt.engine.api.node import Body, Node

# The first argument of each is the request's Call.
List: TypeAlias = Callable[[Any], Sequence[Node]]
Get: TypeAlias = Callable[[Any, Sequence[str]], Mapping[str, Node]]
Below: TypeAlias = Callable[[Any, Sequence[str]], Mapping[str, Sequence[Node]]]
Add: TypeAlias = Callable[[Any, tuple[str, ...], Body], Any]
Update: TypeAlias = Callable[[Any, tuple[str, ...], Body], Any]
Remove: TypeAlias = Callable[[Any, tuple[str, ...]], Any]
Act: TypeAlias = Callable[[Any, tuple[str, ...], Body], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection and its members. One at the top has ``list`` (by the call's search) and ``get`` (many ids at once,
    unknown ones left out); one below an object has ``below`` (of many parents at once, so that ``follow`` costs one
    call), of which listing and getting are special cases. The tuples are the ids in the path, outermost first."""

    path: str
    type: str
    list: List | None = None
    get: Get | None = None
    below: Below | None = None
    add: Add | None = None
    update: Update | None = None
    remove: Remove | None = None
    actions: Mapping[str, Act] = field(default_factory=dict)
    children: tuple["Collection", ...] = ()
