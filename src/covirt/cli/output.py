# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How objects are told: tables that fit the terminal, and all of an object as JSON or YAML."""

import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

import click

from covirt.cli.errors import BadFilter
from covirt.client.record import Record

FORMATS: Final = ("table", "wide", "json", "yaml")
_UNBOUNDED: Final = 100_000  # columns, where nobody looks: a program reads whole words
_GAP: Final = 2  # between columns
_NARROWEST: Final = 12
_LINKS: Final = ("actions", "link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """``value`` of an object; ``wide``: only in wide tables; ``cut``: where a line is too long for the terminal."""

    title: str
    value: Callable[[Record], str]
    wide: bool = False
    cut: bool = False


def output_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--output", "-o", type=click.Choice(FORMATS), default="table", help="How it is told.  [default: table]"
    )(function)


def filter_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--filter", "-f", "filters", multiple=True, metavar="NAME=VALUE",
        help="Only those whose column is so; * stands for anything. May be repeated.",
    )(function)  # fmt: skip


def tell_list(records: Sequence[Record], columns: Sequence[Column], output: str, filters: Sequence[str] = ()) -> None:
    """Raises BadFilter."""
    chosen = filtered(records, columns, filters)
    if output in ("json", "yaml"):
        say_data([plain(each.values) for each in chosen], output)
        return
    shown = [column for column in columns if output == "wide" or not column.wide]
    rows = [[column.value(each) for column in shown] for each in chosen]
    cut = [column.title for column in shown if column.cut and output != "wide"]
    say_table([column.title for column in shown], rows, cut=cut)


def tell_one(record: Record, columns: Sequence[Column], output: str) -> None:
    """Each column as a line."""
    if output in ("json", "yaml"):
        say_data(plain(record.values), output)
        return
    say_fields([(column.title, column.value(record)) for column in columns])


def say_fields(fields: Iterable[tuple[str, str]]) -> None:
    found = [(title.lower(), value) for title, value in fields if value]
    longest = max((len(title) for title, _ in found), default=0)
    for title, value in found:
        click.echo(f"{title + ':':<{longest + 1}} {value}")


def filtered(records: Iterable[Record], columns: Sequence[Column], filters: Sequence[str]) -> list[Record]:
    """Raises BadFilter."""
    by_title = {column.title.lower(): column for column in columns}
    wanted = []
    for text in filters:
        name, equals, value = text.partition("=")
        if not equals or name.lower() not in by_title:
            raise BadFilter(text=text, names=", ".join(by_title))
        wanted.append((by_title[name.lower()], value.lower()))
    return [
        each for each in records if all(fnmatchcase(column.value(each).lower(), value) for column, value in wanted)
    ]


def say_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, cut: Collection[str] = ()) -> None:
    """On a terminal the columns to ``cut`` are made narrower until lines fit; the others are always whole: names and
    ids are there to be typed."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[printable(cell) for cell in row] for row in rows]
    natural = [max(map(cell_len, column)) for column in zip(titles, *cells, strict=True)]
    widths = dict(zip(titles, natural, strict=True))
    if sys.stdout.isatty():
        widths = fitted(widths, cut, Console().width)
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for title in titles:
        table.add_column(title, overflow="ellipsis", no_wrap=True, width=widths[title])
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console(width=_UNBOUNDED, soft_wrap=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def fitted(widths: Mapping[str, int], cut: Collection[str], width: int) -> dict[str, int]:
    """Widths of columns, of which those to ``cut`` share what the others leave of ``width``."""
    found = dict(widths)
    over = sum(found.values()) + _GAP * (len(found) - 1) - width
    for title in sorted(cut, key=found.__getitem__, reverse=True):
        less = max(0, min(over, found[title] - _NARROWEST))
        found[title] -= less
        over -= less
    return found


def say_data(value: Any, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    import yaml

    click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)


def plain(value: Any) -> Any:
    """Without links and actions, which only programs of the API follow."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items() if name not in _LINKS}
    return [plain(each) for each in value] if isinstance(value, list) else value


def printable(text: str) -> str:
    """What guests and users have named may not steer the terminal."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def ago(when: datetime | None) -> str:
    """As in 3 h ago."""
    if when is None:
        return ""
    seconds = max(timedelta(0), datetime.now(when.tzinfo) - when).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return f"{int(seconds)} s ago"


def at(when: datetime | None) -> str:
    return "" if when is None else when.strftime("%Y-%m-%d %H:%M:%S")
