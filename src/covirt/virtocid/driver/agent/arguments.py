# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of one command, read strictly; complaints are in the words of QEMU's guest agent."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from covirt.virtocid.driver.agent.errors import refused

_TOLD: Final = 64  # characters of what a client wrote that are told back
_INTEGERS: Final = range(-(1 << 63), 1 << 63)


class Arguments:
    """An object of JSON. Every method raises Refused for a value that does not fit."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def only(self, known: tuple[str, ...]) -> None:
        """Refuse what is not ``known``."""
        for name in self._values:
            if name not in known:
                raise refused(f"Parameter {name[:_TOLD]!r} is unexpected")

    def has(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._value(name, default)
        if not isinstance(value, str):
            raise _wrong(name, "string")
        return _usable(name, value)

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._value(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value not in _INTEGERS:
            raise _wrong(name, "integer")
        return value

    def boolean(self, name: str, default: bool | None = None) -> bool:  # noqa: FBT001 - the value is the point
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise _wrong(name, "boolean")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Empty when absent."""
        values = self._values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise _wrong(name, "array of strings")
        return tuple(_usable(name, value) for value in values)

    def data(self, name: str) -> bytes:
        """Base64; empty when absent."""
        text = self.text(name, "")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise refused(f"Base64 data of '{name}' is not valid: {error}") from error

    def raw(self, name: str) -> Any:
        return self._value(name, None)

    def _value(self, name: str, default: object) -> Any:
        value = self._values.get(name, default)
        if value is None:
            raise _wrong(name, "value") if name in self._values else refused(f"Parameter '{name}' is missing")
        return value


def _usable(name: str, value: str) -> str:
    if "\0" in value:
        raise refused(f"Invalid parameter '{name}': it holds a zero byte")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise refused(f"Invalid parameter '{name}': it is no text") from error
    return value


def _wrong(name: str, expected: str) -> Exception:
    return refused(f"Invalid parameter type for '{name}', expected: {expected}")
