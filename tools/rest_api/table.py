# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API's registry beside what the SDK has for the same paths."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from covirt.engine.api.codec.table import SERVICES
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.registered import REGISTRY

_METHODS: Final = {"add": "add", "update": "change", "remove": "remove"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A collection. ``refused``: what is answered with 400 and a reason; ``missing``: what oVirt has besides."""

    path: str
    answered: Sequence[str]
    refused: Sequence[str]
    missing: Sequence[str]
    always_empty: bool


def rows() -> Iterator[Row]:
    """A row for each collection of the API, in the order of its paths."""
    for above, collection in REGISTRY.walk():
        yield _row(above, collection)


def absent() -> Sequence[str]:
    """The paths at the top and one below that oVirt's SDK knows and covirt does not answer (404)."""
    known = {tuple(each.path for each in (*above, collection)) for above, collection in REGISTRY.walk()}
    found = []
    for top, service in sorted(_children("System").items()):
        if (top,) not in known:
            found.append(top)
            continue
        member = _children(service).get("*", "")
        found += [f"{top}/*/{each}" for each in sorted(_children(member)) if each != "*" and (top, each) not in known]
    return found


def _row(above: Sequence[Collection], collection: Collection) -> Row:
    service = "System"
    for each in above:
        service = _children(_children(service)[each.path])["*"]
    service = _children(service)[collection.path]
    member = _children(service).get("*", "")
    ours = {
        "list": True,
        "get": collection.members,
        "search": collection.searchable,
        "add": bool(collection.add),
        "change": bool(collection.update),
        "remove": bool(collection.remove),
    }
    theirs = [_METHODS[name] for each in (service, member) for name in _METHODS if name in _methods(each)]
    actions = [*_actions(service), *_actions(member)]
    refused = [*(["add"] if collection.refused_add else []), *collection.refused_actions]
    answered = [*(name for name, there in ours.items() if there), *collection.actions]
    return Row(
        path="/".join([*(f"{each.path}/*" for each in above), collection.path]),
        answered=answered,
        refused=refused,
        missing=[name for name in dict.fromkeys([*theirs, *actions]) if name not in (*answered, *refused)],
        always_empty=_shows_nothing(collection),
    )


def _shows_nothing(collection: Collection) -> bool:
    loads = collection.list or collection.below
    return loads is not None and loads.__name__ in ("none", "nothing")


def _lineage(service: str) -> Iterator[str]:
    while service in SERVICES:
        yield service
        service = SERVICES[service].base


def _children(service: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in _lineage(service):
        found = {**SERVICES[each].children, **found}
    return found


def _methods(service: str) -> set[str]:
    return {name for each in _lineage(service) for name in SERVICES[each].methods}


def _actions(service: str) -> list[str]:
    return sorted({name for each in _lineage(service) for name in SERVICES[each].actions})
