# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API's tree as data: routes, links, actions, the compatibility table and OpenAPI are made of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeAlias

from covirt.engine.api.call import Call
from covirt.engine.api.errors import NoSuchResource
from covirt.engine.api.node import Body, Node

# A handler works on the engine's own objects; ``Show`` makes nodes of them, given each with its path.
List: TypeAlias = Callable[[Call], Sequence[Any]]
Get: TypeAlias = Callable[[Call, Sequence[str]], Sequence[Any]]
Below: TypeAlias = Callable[[Call, Sequence[str]], Mapping[str, Sequence[Any]]]
Show: TypeAlias = Callable[[Call, Sequence[tuple[str, Any]]], Sequence[Node]]
# The tuples are the ids in the path, outermost first.
Add: TypeAlias = Callable[[Call, tuple[str, ...], Body], "Done"]
Update: TypeAlias = Callable[[Call, tuple[str, ...], Body], None]
Remove: TypeAlias = Callable[[Call, tuple[str, ...]], None]
Act: TypeAlias = Callable[[Call, tuple[str, ...], Body], "Done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a change answers: the id of what was added (it is then shown as it is in the database), or what an action
    gives back. ``pending``: a job goes on."""

    id: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    pending: bool = False
    job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection and its members.

    One at the top has ``list`` (by the call's search) and ``get`` (many ids at once, unknown ones left out). One
    below an object has ``below``, of many parents at once, so that ``follow`` costs one call for any number of them.

    Handlers of changes are called for what the caller sees; they change by ``call.changing()`` or ``call.run()``, and
    check what the caller may do.
    """

    path: str
    type: str
    show: Show
    list: List | None = None
    get: Get | None = None
    below: Below | None = None
    key: Callable[[Any], str] = attrgetter("id")
    tag: str | None = None  # of the list, where it is not the type's own
    members: bool = True  # whether a member may be asked for by its id
    uuids: bool = True  # whether ids are UUIDs
    open: bool = False  # readable without ``filter`` by users who administer nothing
    searchable: bool = False
    add: Add | None = None
    update: Update | None = None
    remove: Remove | None = None
    actions: Mapping[str, Act] = field(default_factory=dict)
    refused_actions: Mapping[str, str] = field(default_factory=dict)  # with the reason; refused with 400
    refused_add: str = ""  # the same for adding
    children: tuple["Collection", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path names: a collection, a member of it (one more id than the collection has parents), or an action."""

    collection: Collection
    parents: tuple[tuple[Collection, str], ...]
    id: str | None = None
    action: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(each for _, each in self.parents) + ((self.id,) if self.id is not None else ())

    @property
    def path(self) -> str:
        above = "".join(f"{collection.path}/{each}/" for collection, each in self.parents)
        return f"{above}{self.collection.path}" + (f"/{self.id}" if self.id is not None else "")


class Registry:
    """All collections of the API."""

    def __init__(self, collections: Iterable[Collection]) -> None:
        self.collections = tuple(collections)

    def target(self, segments: Sequence[str]) -> Target:
        """What the path names. Raises NoSuchResource."""
        known, rest = self.collections, list(segments)
        parents: tuple[tuple[Collection, str], ...] = ()
        while rest:
            collection = next((each for each in known if each.path == rest[0]), None)
            if collection is None:
                break
            if len(rest) == 1:
                return Target(collection=collection, parents=parents)
            if not collection.members:
                break
            member, rest = rest[1], rest[2:]
            if not rest:
                return Target(collection=collection, parents=parents, id=member)
            if len(rest) == 1 and (rest[0] in collection.actions or rest[0] in collection.refused_actions):
                return Target(collection=collection, parents=parents, id=member, action=rest[0])
            known, parents = collection.children, (*parents, (collection, member))
        raise NoSuchResource(path="/".join(segments))

    def walk(self) -> Iterable[tuple[tuple[Collection, ...], Collection]]:
        """Each collection with those above it."""
        pending: list[tuple[tuple[Collection, ...], Collection]] = [((), each) for each in reversed(self.collections)]
        while pending:
            above, collection = pending.pop()
            yield above, collection
            pending.extend(((*above, collection), child) for child in reversed(collection.children))
