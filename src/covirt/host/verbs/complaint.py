# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a call's parameters, in words: the parameter's name on the wire, and what it must be."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import ValidationError

from covirt.hostapi.verb import Params

_LIST: Final = "a list"
_OBJECT: Final = "an object"
_NUMBER: Final = "a whole number"
_TRUTH: Final = "true or false"
_TEXT: Final = "a text"

# By the types of pydantic's errors; {names} are in their context.
_MUST_BE: Final[Mapping[str, str]] = {
    "string_type": _TEXT, "int_type": _NUMBER, "int_parsing": _NUMBER, "int_from_float": _NUMBER,
    "int_parsing_size": "a smaller number", "bool_type": _TRUTH, "bool_parsing": _TRUTH, "list_type": _LIST,
    "tuple_type": _LIST, "dict_type": _OBJECT, "model_type": _OBJECT, "model_attributes_type": _OBJECT,
    "literal_error": "{expected}", "enum": "{expected}", "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}", "less_than_equal": "{le} or less", "less_than": "less than {lt}",
    "too_short": "a list of {min_length} or more", "too_long": "a list of {max_length} or less",
    "string_too_long": "a text of {max_length} characters or less",
    "string_too_short": "a text of {min_length} characters or more",
}  # fmt: skip
# Where a parameter may be of several types, pydantic names the type that did not fit as if it were a part of it.
_TYPES: Final = frozenset({"str", "int", "bool", "float", "list", "dict"})


def complaint(error: ValidationError) -> str:
    """About the first parameter that is wrong; what was sent is not in it, for it may be a secret."""
    found = error.errors(include_url=False, include_input=False)
    name = _name(found[0]["loc"])
    if found[0]["type"] == "missing":
        return f"{name} is missing"
    choices = [_must_be(one) for one in found if _name(one["loc"]) == name]
    return f"{name} must be {' or '.join(dict.fromkeys(choices))}"


def _name(place: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in place if part not in _TYPES | _models() and "[" not in str(part)]
    return ".".join(parts) or "params"


@cache
def _models() -> frozenset[str]:
    pending: list[type[Params]] = [Params]
    for kind in pending:
        pending += kind.__subclasses__()
    return frozenset(kind.__name__ for kind in pending)


def _must_be(one: Any) -> str:
    words = _MUST_BE.get(one["type"])
    return words.format(**one.get("ctx", {})) if words else f"another value ({one['msg']})"
