# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Values of a body beside those of the object that it changes. The codec has checked their types."""

from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar, cast

from covirt.common.errors import InvalidRequest
from covirt.engine.api.call import Call
from covirt.engine.api.errors import BadValue
from covirt.engine.api.node import Body, BodyValue
from covirt.engine.api.reading import at, referred_object


class NotOffered(InvalidRequest):
    """Fields: field, what."""

    template = "covirt has no {what}; leave out '{field}'."


T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
_CALLED = ("name", "description", "comment")
_SHOWN = 40
_LONGEST_TEXT = 4000  # as oVirt's; every list of the objects holds it


def told(body: Body, path: str, default: T) -> T:
    """What the body says at the path, or else the default, which is of the same type."""
    value = at(body, path)
    return default if value is None else cast("T", value)


def told_word(body: Body, path: str, default: E) -> E:
    """The same for a word of an enumeration. Raises BadValue for one that covirt has not."""
    value = at(body, path)
    if value is None:
        return default
    try:
        return type(default)(str(value))
    except ValueError as error:
        allowed = ", ".join(str(word) for word in type(default))
        raise BadValue(text=str(value), kind="value", name=path, hint=f": there are {allowed}") from error


def called(item: T, body: Body) -> T:
    """The object, with what the body calls it. Raises BadValue."""
    words: dict[str, Any] = {name: body[name] for name in _CALLED if name in body}
    for name, text in words.items():
        if len(text) > _LONGEST_TEXT:
            hint = f": it has more than {_LONGEST_TEXT} characters"
            raise BadValue(text=f"{text[:_SHOWN]}…", kind="text", name=name, hint=hint)
    return replace(item, **words)  # type: ignore[type-var] # entities are dataclasses


def owner(repository: Any, ids: tuple[str, ...], body: Body, field: str) -> Any:
    """The object that the path lies below, or else the one that the body refers to. Raises NoSuchObject."""
    named: BodyValue = {"id": ids[-1]} if ids else body[field]
    return referred_object(repository, named, field)


def seen(call: Call, repository: Any, named: BodyValue, field: str) -> Any:
    """The object that a reference names, if the caller sees it. Raises NoSuchObject."""
    found = referred_object(repository, named, field)
    return repository.get_visible(found.id, call.viewer)


def has(body: Body, path: str) -> bool:
    """Whether the body says anything at the path, be it that there is nothing."""
    above, _, last = path.rpartition(".")
    holder: BodyValue | None = at(body, above) if above else body
    return isinstance(holder, dict) and last in holder


def refuse_set(body: Body, **fields: str) -> None:
    """Fields that ask for what covirt has not; false and empty ones ask for nothing. Raises NotOffered."""
    for name, what in fields.items():
        if body.get(name):
            raise NotOffered(field=name, what=what)
