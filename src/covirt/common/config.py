# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration: TOML drop-ins over defaults, read once into a frozen dataclass whose comments are the manual.

A vendor's file and an administrator's of the same name are one file: the administrator's counts. All files are then
read in the order of their names, and later ones win, key by key; lists are replaced whole, tables are merged.
"""

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from covirt.common.errors import InvalidRequest

Config = TypeVar("Config")
Check = Callable[[Any], object]

_CHECK: Final = "check"
_WORDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


class UnknownConfigKey(InvalidRequest):
    template = "{path}: there is no setting {key!r}; --show-config prints those there are"


class BadConfigValue(InvalidRequest):
    template = "{path}: {key} {reason}"


class BrokenConfigFile(InvalidRequest):
    template = "{path} is not TOML: {reason}"


def setting(default: Any, *, check: Check) -> Any:
    """A field of a configuration with a check, which raises ValueError with what is wrong in words."""
    return dataclasses.field(default=default, metadata={_CHECK: check})


def check_of(field: dataclasses.Field[Any]) -> Check | None:
    """The check that setting() gave to this field."""
    return field.metadata.get(_CHECK)


@dataclasses.dataclass(frozen=True, slots=True)
class Between:
    """A check for numbers, both ends included."""

    minimum: int
    maximum: int

    def __call__(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"must be {self.minimum} to {self.maximum}, and is {value}")


def in_words(hint: Any) -> str:
    """What a value of this type is in a TOML file: "a whole number"."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return in_words(_without_none(hint))
    if origin is tuple:
        return f"a list, each item {in_words(get_args(hint)[0])}"
    return _WORDS.get(hint, "a table")


def load_config(kind: type[Config], directories: Sequence[Path]) -> Config:
    """Read ``*.toml`` of the directories, the least important first; absent ones are fine.

    Fields may be bool, int, float, str, Path, a StrEnum, a tuple of one of these, a dataclass, ``Mapping[str, …]`` of
    one, or ``… | None``. Raises UnknownConfigKey, BadConfigValue and BrokenConfigFile, which all name file and key.
    """
    value = kind()
    for path in _files(directories):
        value = _merge(value, _read(path), path=path, prefix="")
    return value


def _files(directories: Sequence[Path]) -> list[Path]:
    by_name: dict[str, Path] = {}
    for directory in directories:
        by_name |= {path.name: path for path in directory.glob("*.toml")}
    return [by_name[name] for name in sorted(by_name)]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrokenConfigFile(path=path, reason=error) from error
    except OSError as error:
        raise BrokenConfigFile(path=path, reason=error.strerror) from error


def _merge(value: Config, table: Mapping[str, Any], *, path: Path, prefix: str) -> Config:
    """A copy of the dataclass ``value`` with the table's keys replaced."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{value!r} is not a dataclass instance")
    hints = get_type_hints(type(value))
    fields = {field.name: field for field in dataclasses.fields(value)}
    changes: dict[str, Any] = {}
    for name, raw in table.items():
        key = prefix + name
        if name not in fields:
            raise UnknownConfigKey(path=path, key=key)
        try:
            new = _convert(hints[name], raw, getattr(value, name), path=path, key=key)
            check = check_of(fields[name])
            if check is not None:
                check(new)
        except ValueError as error:
            raise BadConfigValue(path=path, key=key, reason=error) from error
        changes[name] = new
    try:
        return cast(Config, dataclasses.replace(value, **changes))
    except ValueError as error:  # from __post_init__, about keys that do not fit together
        raise BadConfigValue(path=path, key=prefix.rstrip(".") or "the file", reason=error) from error


def _convert(hint: Any, raw: Any, present: Any, *, path: Path, key: str) -> Any:
    """``raw`` from TOML as the type ``hint`` says; tables go on top of what is present."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _convert(_without_none(hint), raw, present, path=path, key=key)
    if origin is tuple:
        return _convert_list(get_args(hint)[0], raw, path=path, key=key)
    if origin is not None and issubclass(origin, Mapping):
        return _convert_mapping(get_args(hint)[1], raw, present, path=path, key=key)
    if dataclasses.is_dataclass(hint):
        base = present if isinstance(present, cast(type, hint)) else cast(type, hint)()
        return _merge(base, _table(raw), path=path, prefix=f"{key}.")
    return _convert_plain(hint, raw)


def _without_none(hint: Any) -> Any:
    return next(choice for choice in get_args(hint) if choice is not NoneType)


def _table(raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise ValueError("must be a table")
    return raw


def _convert_list(item: Any, raw: Any, *, path: Path, key: str) -> tuple[Any, ...]:
    if not isinstance(raw, list):
        raise ValueError(f"must be {in_words(tuple[item, ...])}")
    return tuple(_convert(item, value, None, path=path, key=f"{key}[{index}]") for index, value in enumerate(raw))


def _convert_mapping(item: Any, raw: Any, present: Any, *, path: Path, key: str) -> Mapping[str, Any]:
    merged = dict(present or {})
    for name, value in _table(raw).items():
        merged[name] = _convert(item, value, merged.get(name), path=path, key=f"{key}.{name}")
    return MappingProxyType(merged)


def _convert_plain(hint: Any, raw: Any) -> Any:
    if hint is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if hint in (Path,) and isinstance(raw, str):
        if not raw.startswith("/"):
            raise ValueError(f"must be an absolute path, and is {raw!r}")
        return Path(raw)
    if isinstance(hint, type) and issubclass(hint, str) and hint is not str and isinstance(raw, str):
        return _member(hint, raw)
    if type(raw) is not hint:
        raise ValueError(f"must be {_WORDS.get(hint, hint)}, and is {raw!r}")
    return raw


def _member(kind: Any, raw: str) -> Any:
    try:
        return kind(raw)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(kind)}, and is {raw!r}") from None


def config_json(config: object) -> str:
    """The effective configuration, for --show-config."""
    return json.dumps(_plain(config), indent=2)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
