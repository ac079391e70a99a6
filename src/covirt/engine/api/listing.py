# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From a collection's objects to nodes with their links and actions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from covirt.engine.api.call import Call
from covirt.engine.api.node import Link, Node
from covirt.engine.api.registry import Collection


def all_members(call: Call, collection: Collection) -> Sequence[Node]:
    """Of a collection at the top: what the call's search finds."""
    return shown(call, collection, collection.path, collection.list(call) if collection.list else [])


def members_of(call: Call, collection: Collection, ids: Sequence[str]) -> Sequence[Node]:
    """Of a collection at the top: those with these ids, as far as there are and may be seen."""
    return shown(call, collection, collection.path, collection.get(call, ids) if collection.get else [])


def members_below(
    call: Call, collection: Collection, parents: Sequence[tuple[str, str]]
) -> dict[str, Sequence[Node]]:
    """Of a collection below the parents, which are given with path and id: for each parent's path its members."""
    if collection.below is None:
        return {}
    found = collection.below(call, list(dict.fromkeys(each for _, each in parents)))
    grouped: dict[str, Sequence[Node]] = {}
    pairs = [(path, item) for path, each in parents for item in found.get(each, ())]
    nodes = iter(
        _show(
            call, collection, [(_path(collection, f"{path}/{collection.path}", item), item) for path, item in pairs]
        )
    )
    for path, each in parents:
        grouped[path] = [next(nodes) for _ in found.get(each, ())]
    return grouped


def shown(call: Call, collection: Collection, base: str, items: Sequence[Any]) -> Sequence[Node]:
    """The objects as nodes below ``base``."""
    return _show(call, collection, [(_path(collection, base, item), item) for item in items])


def _path(collection: Collection, base: str, item: Any) -> str:
    return f"{base}/{collection.key(item)}"


def _show(call: Call, collection: Collection, items: Sequence[tuple[str, Any]]) -> Sequence[Node]:
    nodes = collection.show(call, items) if items else []
    return [_linked(collection, path, node) for (path, _), node in zip(items, nodes, strict=True)]


def _linked(collection: Collection, path: str, node: Node) -> Node:
    """A member has what its collection says that members have, unless ``show`` knew better."""
    if not collection.members:
        return node
    links = tuple(Link(rel=child.path, path=f"{path}/{child.path}") for child in collection.children)
    return replace(node, path=path, links=node.links or links, actions=node.actions or tuple(collection.actions))
