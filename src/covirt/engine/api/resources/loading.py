# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The handlers that most collections share: by search, by ids, and by parents."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from covirt.engine.api.call import Call
from covirt.engine.api.node import Node
from covirt.engine.api.registry import Below, Get, List, Show
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

Chosen: TypeAlias = Callable[[Session], Any]  # a session's repository


def found(repository: Chosen) -> List:
    """What the call's search finds."""

    def listed(call: Call) -> Sequence[Any]:
        asked = call.params
        query = ListQuery(
            search=asked.search,
            case_sensitive=asked.case_sensitive,
            maximum=asked.max,
            visible_to=call.viewer,
        )
        rows: Sequence[Any] = repository(call.session).list(query)
        return rows

    return listed


def by_id(repository: Chosen, key: str = "id") -> Get:
    """Those with the ids, in that order."""

    def got(call: Call, ids: Sequence[str]) -> Sequence[Any]:
        query = ListQuery(where={key: tuple(ids)}, visible_to=call.viewer)
        rows = {getattr(row, key): row for row in repository(call.session).list(query)}
        return [rows[each] for each in ids if each in rows]

    return got


def by_parent(repository: Chosen, column: str) -> Below:
    """Those whose column names the parent, in one question for all parents."""

    def below(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        rows = repository(call.session).list(ListQuery(where={column: tuple(ids)}, visible_to=call.viewer))
        return grouped((getattr(row, column), row) for row in rows)

    return below


def grouped(pairs: Any) -> dict[str, list[Any]]:
    """(key, value) pairs by key, in their order."""
    groups: dict[str, list[Any]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def each(show: Callable[[Any], Node]) -> Show:
    """For objects that say themselves all that their node says."""

    def shown(call: Call, items: Sequence[tuple[str, Any]]) -> Sequence[Node]:
        del call
        return [show(item) for _, item in items]

    return shown


def nothing(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """Of a collection below an object that can have no members here."""
    del call, ids
    return {}


def none(call: Call) -> Sequence[Any]:
    """Of a collection at the top that can have no members here."""
    del call
    return ()


def empty(path: str, kind: str, *, tag: str | None = None, refused_add: str = "") -> dict[str, Any]:
    """The arguments of such a collection."""
    return {"path": path, "type": kind, "show": each(_impossible), "tag": tag, "refused_add": refused_add}


def _impossible(item: object) -> Node:
    raise TypeError(f"an empty collection has {item!r}")
