# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt event``."""

import json
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from covirt.cli.nouns.common import named
from covirt.cli.output import (
    Column,
    at,
    filter_option,
    filtered,
    output_option,
    plain,
    printable,
    say_data,
    tell_list,
)

if TYPE_CHECKING:
    from covirt.client.record import Record

_LOOK_SECONDS: Final = 1.0
_LONGEST: Final = "warning"  # of the severities


@click.group()
def event() -> None:
    """What has happened."""


_COLUMNS: Final = (
    Column(title="TIME", value=lambda each: at(each.when("time"))),
    named("SEVERITY", "severity"),
    named("EVENT", "description"),
    named("CODE", "code", wide=True),
    named("CORRELATION ID", "correlation_id", wide=True),
    named("ID", "id", wide=True),
)


@event.command("list")
@filter_option
@click.option("--search", default="", metavar="QUERY", help="In oVirt's search language, as in 'severity > normal'.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest of them.")
@click.option("--follow", is_flag=True, help="Go on with what happens now.")
@output_option
def listing(filters: tuple[str, ...], search: str, limit: int, output: str, *, follow: bool) -> None:
    """List events, the oldest of them first."""
    from covirt.cli.session import engine
    from covirt.client.resources import EVENTS

    with engine() as resources:
        found = resources.list(EVENTS, search=search, maximum=limit)[::-1]
        if not follow:
            tell_list(found, _COLUMNS, output, filters)
            return
        last = max((each.whole("id") for each in found), default=0)
        while True:
            for each in filtered(found, _COLUMNS, filters):
                _tell_at_once(each, output)
            time.sleep(_LOOK_SECONDS)
            found = resources.list(EVENTS, search=search, after=str(last))[::-1]
            last = max((each.whole("id") for each in found), default=last)


def _tell_at_once(each: "Record", output: str) -> None:
    """A line of text or of JSON, or a document of YAML, which a program reads as it comes."""
    if output == "json":
        click.echo(json.dumps(plain(each.values), ensure_ascii=False))
    elif output == "yaml":
        click.echo("---")
        say_data(plain(each.values), output)
    else:
        shown = [column for column in _COLUMNS if output == "wide" or not column.wide]
        click.echo("  ".join(printable(column.value(each)).ljust(len(_LONGEST)) for column in shown).rstrip())
    sys.stdout.flush()
