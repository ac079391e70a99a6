# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration as TOML tables: types and defaults from its dataclasses, meanings from their comments."""

import ast
import dataclasses
import inspect
import io
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, get_args, get_origin, get_type_hints

from covirt.common.config import Check, check_of, in_words
from covirt.virtocid import config
from covirt.virtocid.config import VirtocidConfig
from tools.pages import CannotTell

_ANY_NAME: Final = "NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    key: str
    type: str  # in words
    default: Any
    check: Check | None
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``name`` as in a file, ``slice.disks.NAME``; empty for what stands above all tables."""

    name: str
    meaning: str
    settings: tuple[Setting, ...]


def tables(kind: type[Any] = VirtocidConfig, module: ModuleType = config) -> tuple[Table, ...]:
    """All tables, in the order of their fields. Raises CannotTell for a setting that no comment explains.

    ``module`` and those where its tables come from hold the comments.
    """
    modules = {module, *(inspect.getmodule(one) for one in vars(module).values() if dataclasses.is_dataclass(one))}
    comments: dict[tuple[str, str], str] = {}
    for one in filter(None, modules):
        comments.update(_comments(inspect.getsource(one)))
    return tuple(_tables(kind, "", "", comments))


def _tables(kind: type[Any], name: str, meaning: str, comments: Mapping[tuple[str, str], str]) -> Iterator[Table]:
    hints = get_type_hints(kind)
    settings: list[Setting] = []
    below: list[Table] = []
    for field in dataclasses.fields(kind):
        comment, hint = comments.get((kind.__name__, field.name), ""), hints[field.name]
        key, table = _table_of(field.name, hint)
        if table is not None:
            words = " ".join(filter(None, (inspect.getdoc(table), comment)))
            below += _tables(table, f"{name}.{key}" if name else key, words, comments)
            continue
        if not comment:
            raise CannotTell(f"{kind.__name__}.{field.name} has no comment above it that says what it means")
        settings.append(
            Setting(key=key, type=in_words(hint), default=field.default, check=check_of(field), meaning=comment)
        )
    if settings:
        yield Table(name=name, meaning=meaning, settings=tuple(settings))
    yield from below


def _table_of(name: str, hint: Any) -> tuple[str, type[Any] | None]:
    """The field's key, and the dataclass that its table is read as; None for a plain value."""
    if get_origin(hint) is not None and issubclass(get_origin(hint), Mapping):
        return f"{name}.{_ANY_NAME}", get_args(hint)[1]
    return name, hint if dataclasses.is_dataclass(hint) and isinstance(hint, type) else None


def _comments(source: str) -> dict[tuple[str, str], str]:
    """The comment lines right above each field, as one text, by class and field."""
    lines = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }
    found = {}
    for kind in (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)):
        for field in kind.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                found[kind.name, field.target.id] = _above(field.lineno, lines)
    return found


def _above(number: int, lines: Mapping[int, str]) -> str:
    first = number
    while first - 1 in lines:
        first -= 1
    return " ".join(lines[each] for each in range(first, number))
