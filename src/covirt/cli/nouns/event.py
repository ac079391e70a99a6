# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt event``."""

from typing import TYPE_CHECKING, Final

import click

from covirt.cli.nouns.common import named
from covirt.cli.output import Column, at, filter_option, output_option, printable, tell_list

if TYPE_CHECKING:
    from covirt.client.record import Record

_LOOK_SECONDS: Final = 1.0


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
    import time

    from covirt.cli.output import filtered
    from covirt.cli.session import engine
    from covirt.client.resources import EVENTS

    with engine() as resources:
        found = resources.list(EVENTS, search=search, maximum=limit)[::-1]
        tell_list(found, _COLUMNS, output, filters)
        last = max((each.whole("id") for each in found), default=0)
        while follow:
            time.sleep(_LOOK_SECONDS)
            for each in filtered(
                _since(resources.list(EVENTS, search=search, maximum=limit), last), _COLUMNS, filters
            ):
                click.echo(f"{at(each.when('time'))}  {each.text('severity')}  {printable(each.text('description'))}")
                last = max(last, each.whole("id"))


def _since(found: "list[Record]", last: int) -> "list[Record]":
    return [each for each in reversed(found) if each.whole("id") > last]
