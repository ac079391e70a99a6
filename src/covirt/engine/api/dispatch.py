# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From a parsed request to what is answered: which handler it is for, and what its result looks like."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

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
from covirt.engine.api.listing import all_members, members_below, members_of
from covirt.engine.api.node import Body, Node, NodeList
from covirt.engine.api.params import is_uuid
from covirt.engine.api.registry import Done, Registry, Target
from covirt.engine.api.resources.values import reference

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
        if collection.uuids and not is_uuid(text):
            raise BadIdentifier(text=text[:64])


def body_type_of(target: Target) -> str:
    """The table's type of what a request's body holds."""
    return target.collection.type if target.action is None else _ACTION


def read(registry: Registry, call: Call, target: Target) -> Answer:
    """What the path names. Raises what handlers raise."""
    return Answer(status=200, content=_read(registry, call, target))


def change(call: Call, target: Target, method: str, body: Body) -> Done:
    """Have the handler of the method do it, of what the caller sees. Raises what handlers raise."""
    collection = target.collection
    if target.id is None:
        return _added(call, target, body)
    _member(call, target)
    if target.action is not None:
        return _acted(call, target, body)
    if method == "PUT" and collection.update:
        collection.update(call, target.ids, body)
        return Done(id=target.id)
    if method == "DELETE" and collection.remove:
        collection.remove(call, target.ids)
    return Done()


def outcome(call: Call, target: Target, done: Done) -> Answer:
    """The answer to a change, from the database as it is afterwards."""
    if target.action is not None:
        return Answer(status=202 if done.pending else 200, content=_action(done))
    if done.id is None:
        return Answer(status=200)
    node = _member(call, replace(target, id=done.id))
    if target.id is not None:
        return Answer(status=200, content=node)
    return Answer(status=202 if done.pending else 201, content=node, location=node.path)


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


def _added(call: Call, target: Target, body: Body) -> Done:
    collection = target.collection
    if collection.add is None:
        raise NotServed(what=collection.refused_add)
    _check_parents(call, target)
    return collection.add(call, target.ids, body)


def _acted(call: Call, target: Target, body: Body) -> Done:
    collection, name = target.collection, target.action or ""
    if name in collection.refused_actions:
        raise ActionRefused(action=name, type=collection.type, reason=collection.refused_actions[name])
    return collection.actions[name](call, target.ids, body)


def _action(done: Done) -> Node:
    values: dict[str, Any] = {**done.values, "status": "pending" if done.pending else "complete"}
    if done.job_id is not None:
        values["job"] = reference("Job", done.job_id)
    return Node(type=_ACTION, values=values)
