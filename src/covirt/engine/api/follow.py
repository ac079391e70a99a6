# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``follow=nics.statistics,cluster``: links replaced by what they lead to, a whole list at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from covirt.engine.api.call import Call
from covirt.engine.api.codec.table import TYPES
from covirt.engine.api.errors import BadFollow, NoSuchResource
from covirt.engine.api.listing import members_below, members_of
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection, Registry

Wanted: TypeAlias = "dict[str, Wanted]"
_DEEPEST = 8


def wanted(text: str) -> Wanted:
    """The tree that the parameter spells. Dots nest; what is empty is nothing."""
    tree: Wanted = {}
    for path in text.split(","):
        branch = tree
        for name in list(filter(None, path.strip().split(".")))[:_DEEPEST]:
            branch = branch.setdefault(name, {})
    return tree


def followed(registry: Registry, call: Call, nodes: Sequence[Node], tree: Wanted) -> Sequence[Node]:
    """The nodes, with what was wanted in the place of links. Raises BadFollow."""
    for name, branch in tree.items():
        if not nodes:
            break
        collection = _collection(registry, nodes)
        child = _child(collection, name)
        if child is not None:
            nodes = _with_children(registry, call, nodes, child, branch)
        elif name in TYPES[nodes[0].type].fields:
            nodes = _with_references(registry, call, nodes, name, branch)
        else:
            allowed = sorted({*TYPES[nodes[0].type].links.values(), *_references(nodes)})
            raise BadFollow(name=name[:40], type=nodes[0].type, allowed=", ".join(allowed) or "none")
    return nodes


def _collection(registry: Registry, nodes: Sequence[Node]) -> Collection | None:
    try:
        return registry.target((nodes[0].path or "").split("/")).collection
    except NoSuchResource:
        return None


def _child(collection: Collection | None, name: str) -> Collection | None:
    """By the path (diskattachments) or by the field (disk_attachments)."""
    children = collection.children if collection else ()
    return next((each for each in children if each.path in (name, name.replace("_", ""))), None)


def _with_children(
    registry: Registry, call: Call, nodes: Sequence[Node], child: Collection, branch: Wanted
) -> Sequence[Node]:
    parents = {node.path: node.id for node in nodes if node.path and node.id}
    found = members_below(call, child, list(parents.items()))
    flat = [node for group in found.values() for node in group]
    by_path = {node.path: node for node in followed(registry, call, flat, branch)}
    field = TYPES[nodes[0].type].links.get(child.path)
    if field is None:
        return nodes
    return [
        _replaced(node, field, [by_path[each.path] for each in found.get(node.path or "", ())], child.path)
        for node in nodes
    ]


def _replaced(node: Node, field: str, value: Value, rel: str) -> Node:
    links = tuple(link for link in node.links if link.rel != rel)
    return replace(node, values={**node.values, field: value}, links=links)


def _references(nodes: Iterable[Node]) -> set[str]:
    return {name for node in nodes for name, value in node.values.items() if isinstance(value, Node) and value.path}


def _with_references(
    registry: Registry, call: Call, nodes: Sequence[Node], name: str, branch: Wanted
) -> Sequence[Node]:
    paths = {each.path for node in nodes for each in _nodes(node.values.get(name)) if each.path and not each.values}
    found = _load(registry, call, paths)
    by_path = {node.path: node for node in followed(registry, call, list(found.values()), branch)}
    return [_resolved(node, name, by_path) for node in nodes]


def _nodes(value: Value) -> list[Node]:
    if isinstance(value, Node):
        return [value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [each for each in value if isinstance(each, Node)]
    return []


def _resolved(node: Node, name: str, by_path: Mapping[str | None, Node]) -> Node:
    value = node.values.get(name)
    if isinstance(value, Node):
        return replace(node, values={**node.values, name: by_path.get(value.path, value)})
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [by_path.get(each.path, each) if isinstance(each, Node) else each for each in value]
        return replace(node, values={**node.values, name: items})
    return node


def _load(registry: Registry, call: Call, paths: Iterable[str]) -> dict[str, Node]:
    """Those that lie in collections at the top, a collection at a time; one that is gone or not to be seen stays a
    reference."""
    by_collection: dict[str, list[str]] = {}
    for path in paths:
        top, _, member = path.partition("/")
        if member and "/" not in member:
            by_collection.setdefault(top, []).append(member)
    found: dict[str, Node] = {}
    for top, ids in by_collection.items():
        collection = registry.target([top]).collection
        found.update((node.path, node) for node in members_of(call, collection, ids) if node.path)
    return found
