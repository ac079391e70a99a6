# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What handlers of changes need of a request's body: required fields, and references by id or name."""

from collections.abc import Sequence
from typing import Any

from covirt.engine.api.errors import BadValue, Incomplete, printable
from covirt.engine.api.node import Body, BodyValue
from covirt.engine.store.errors import NoSuchObject


def at(body: Body, path: str) -> "BodyValue | None":
    """The value at a path such as ``cpu.topology.cores``; None where the body says nothing."""
    value: BodyValue | None = body
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def require_fields(kind: str, body: Body, action: str, *paths: str) -> None:
    """Each path may have alternatives in its last part, as in ``cluster.id|name``. Raises Incomplete, in oVirt's
    words: Vm [name] required for add."""
    missing = [path for path in paths if not _given(body, path)]
    if missing:
        raise Incomplete(type=kind, names=", ".join(missing), action=action)


def referred(repository: Any, body: Body, name: str, **where: object) -> Any | None:
    """The object that the field refers to by its id, or else by its name (among those with the columns' values); None
    where the body has no such field. Raises NoSuchObject, and BadValue for a reference without id and name."""
    value = body.get(name)
    if value is None:
        return None
    return referred_object(repository, value, name, **where)


def referred_object(repository: Any, value: "BodyValue", field: str, **where: object) -> Any:
    """As referred, for a reference itself."""
    if isinstance(value, dict):
        if identifier := value.get("id"):
            return repository.get(str(identifier).lower())
        if "name" in repository.table.c and (called := value.get("name")):
            found = repository.find(name=called, **where)
            if found is None:
                raise NoSuchObject(noun=repository.noun, id=printable(str(called)))
            return found
    raise BadValue(text="", kind="reference", name=field, hint="; it needs an id or a name")


def items(body: Body, path: str) -> Sequence[Body] | None:
    """The objects of a list such as ``custom_properties``; None where the body says nothing of it."""
    value = at(body, path)
    if value is None:
        return None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _given(body: Body, path: str) -> bool:
    above, _, last = path.rpartition(".")
    return any(at(body, f"{above}.{name}" if above else name) not in (None, "", {}, []) for name in last.split("|"))
