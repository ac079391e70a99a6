# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt job``."""

from typing import TYPE_CHECKING, Final

import click

from covirt.cli.nouns.common import Face, add_list, lazily, named
from covirt.cli.output import Column, ago, at, output_option, plain, say_data, say_table, tell_one

if TYPE_CHECKING:
    from covirt.client.record import Record


@click.group()
def job() -> None:
    """Operations, and how far they are."""


def _took(each: "Record") -> str:
    begun, ended = each.when("start_time"), each.when("end_time")
    return f"{(ended - begun).total_seconds():.1f} s" if begun and ended else ""


FACE = Face(
    load=lazily("JOBS"),
    columns=(
        named("ID", "id"),
        named("STATUS", "status"),
        Column(title="BEGUN", value=lambda each: ago(each.when("start_time"))),
        Column(title="TOOK", value=_took),
        named("JOB", "description"),
        Column(title="END", value=lambda each: at(each.when("end_time")), wide=True),
    ),
)
add_list(job, FACE, "jobs")

_STEP_TITLES: Final = ("STEP", "STATUS", "DONE")


@job.command()
@click.argument("job_id")
@output_option
def show(job_id: str, output: str) -> None:
    """Show a job with its steps."""
    from covirt.cli.session import engine
    from covirt.client.resources import JOBS, Collection

    with engine() as resources:
        found = resources.find(JOBS, job_id)
        below = Collection(path=f"jobs/{found.id}/steps", element="step", noun="step")
        steps = resources.list(below)
    if output in ("json", "yaml"):
        say_data(plain({**found.values, "steps": [each.values for each in steps]}), output)
        return
    tell_one(found, FACE.columns, output)
    ordered = sorted(steps, key=lambda each: each.whole("number"))
    rows = [[each.text("description"), each.text("status"), _percent(each)] for each in ordered]
    click.echo()
    say_table(_STEP_TITLES, rows)


def _percent(each: "Record") -> str:
    return f"{each.text('progress')} %" if each.text("progress") else ""
