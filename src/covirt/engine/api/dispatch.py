# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From a parsed request to what is answered: which handler it is for, and what its result looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from covirt.engine.api.call import Call
from covirt.engine.api.errors import (
    ActionRefused,
    BadIdentifier,
    MethodNotAllowed,
    NoSuchObject,
    NotServed,
    printable,
)
from covirt.engine.api.follow import followed, wanted
from covirt.engine.api.listing import all_members, members_below, members_of, shown
from covirt.engine.api.node import Body, Node, NodeList
from covirt.engine.api.registry import Done, Registry, Target

_ACTION: Final = "Action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``content`` None is an empty body."""

    status: int
    content: Node | NodeList | None = None
    location: str | None = None


def allowed_methods(target: Target) -> Sequence[str]:
    """What may be asked of the path, with GET, HEAD and OPTIONS."""
    collection = target.collection
    if target.action is not None:
        return ["POST", "OPTIONS"]
    if target.id is None:
        changes = [("POST", bool(collection.add or collection.refused_add))]
    else:
        changes = [("PUT", bool(collection.update)), ("DELETE", bool(collection.remove))]
    return ["GET", "HEAD", *(method for method, there in changes if there), "OPTIONS"]


def check_method(target: Target, method: str) -> None:
    """Raises MethodNotAllowed."""
    allowed = allowed_methods(target)
    if method not in allowed:
        raise MethodNotAllowed(
            path=target.path, method=printable(method), allowed=", ".join(allowed), methods=allowed
        )


def check_ids(target: Target) -> None:
    """Raises BadIdentifier for what can be nobody's id."""
    members = [*target.parents, *([(target.collection, target.id)] if target.id is not None else [])]
    for collection, text in members:
        if collection.uuids and not _is_uuid(text):
            raise BadIdentifier(text=text[:64])


def body_type_of(target: Target) -> str:
    """The table's type of what a request's body holds."""
    return target.collection.type if target.action is None else _ACTION


def answered(registry: Registry, call: Call, target: Target, method: str, body: Body) -> Answer:
    """What the handler of the method makes of it. Raises what handlers raise."""
    collection = target.collection
    if target.action is not None:
        return _acted(call, target, body)
    if method == "POST":
        return _added(call, target, body)
    if method == "PUT" and collection.update:
        changed = collection.update(call, target.ids, body)
        return Answer(status=200, content=_one(call, target, changed))
    if method == "DELETE" and collection.remove:
        collection.remove(call, target.ids)
        return Answer(status=200)
    return Answer(status=200, content=_read(registry, call, target))


def _read(registry: Registry, call: Call, target: Target) -> Node | NodeList:
    collection = target.collection
    tree = wanted(call.params.follow)
    if target.id is not None:
        return followed(registry, call, [_member(call, target)], tree)[0]
    _check_parents(call, target)
    if target.parents:
        above, parent = _above(target)
        nodes = members_below(call, collection, [(above, parent)]).get(above, [])
        nodes = nodes if call.params.max is None else nodes[: call.params.max]
    else:
        nodes = all_members(call, collection)
    return NodeList(type=collection.type, nodes=followed(registry, call, nodes, tree), tag=collection.tag)


def _above(target: Target) -> tuple[str, str]:
    """The path and the id of the innermost parent."""
    parts = [f"{collection.path}/{each}" for collection, each in target.parents]
    return "/".join(parts), target.parents[-1][1]


def _member(call: Call, target: Target) -> Node:
    """Raises NoSuchObject."""
    _check_parents(call, target)
    collection, member = target.collection, target.id or ""
    if target.parents:
        above = _above(target)
        nodes = members_below(call, collection, [above]).get(above[0], [])
    else:
        nodes = members_of(call, collection, [member])
    found = next((node for node in nodes if node.path == target.path), None)
    if found is None:
        raise NoSuchObject(type=collection.type, id=member)
    return found


def _check_parents(call: Call, target: Target) -> None:
    """What lies below an object that is not there, or not to be seen, is not there either. Raises NoSuchObject."""
    if target.parents:
        collection, each = target.parents[-1]
        _member(call, Target(collection=collection, parents=target.parents[:-1], id=each))


def _one(call: Call, target: Target, item: object) -> Node:
    base = target.path if target.id is None else target.path.rpartition("/")[0]
    return shown(call, target.collection, base, [item])[0]


def _added(call: Call, target: Target, body: Body) -> Answer:
    collection = target.collection
    if collection.add is None:
        raise NotServed(what=collection.refused_add)
    done = collection.add(call, target.ids, body)
    node = _one(call, target, done.object)
    return Answer(status=202 if done.pending else 201, content=node, location=node.path)


def _acted(call: Call, target: Target, body: Body) -> Answer:
    collection, name = target.collection, target.action or ""
    if name in collection.refused_actions:
        raise ActionRefused(action=name, type=collection.type, reason=collection.refused_actions[name])
    done = collection.actions[name](call, target.ids, body)
    return Answer(status=202 if done.pending else 200, content=_action(done))


def _action(done: Done) -> Node:
    values: Mapping[str, object] = {**done.values, "status": "pending" if done.pending else "complete"}
    return Node(type=_ACTION, values=values)  # type: ignore[arg-type] # the codec checks values against its table


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
