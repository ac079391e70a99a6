# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Typed parameters that a client sends, checked as libvirt does: known names, each of its own type, none twice."""

from collections.abc import Iterable, Mapping

from covirt.virtocid.driver.errors import BadArgument, UnknownParameter
from covirt.wire.params import ParamType, ParamValue, TypedParam

Known = Mapping[str, ParamType]


def checked(
    params: Iterable[TypedParam], known: Known, *, refused: Mapping[str, str] | None = None
) -> dict[str, ParamValue]:
    """The values by name. ``refused`` has the reason for names that libvirt knows and a container has no use for.

    Raises UnknownParameter, BadArgument.
    """
    given: dict[str, ParamValue] = {}
    for param in params:
        kind = known.get(param.field)
        if kind is None:
            reason = (refused or {}).get(param.field, f"there are {', '.join(known)}")
            raise UnknownParameter(name=param.field, reason=reason)
        if param.type != kind:
            found = ParamType(param.type).name.lower()
            raise BadArgument(
                what=f"invalid type '{found}' for parameter '{param.field}', expected '{kind.name.lower()}'"
            )
        if param.field in given:
            raise BadArgument(what=f"parameter '{param.field}' occurs multiple times")
        given[param.field] = param.value
    return given


def numbers(given: Mapping[str, ParamValue]) -> dict[str, int]:
    """Those that are numbers."""
    return {name: int(value) for name, value in given.items() if not isinstance(value, str)}


def words(given: Mapping[str, ParamValue]) -> dict[str, int | str]:
    """Numbers and texts."""
    return {name: value if isinstance(value, str) else int(value) for name, value in given.items()}
