# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt job``."""

from typing import TYPE_CHECKING, Final

import click

from covirt.cli.nouns.common import Face, add_list, lazily, named
from covirt.cli.output import Column, ago, at, output_option, plain, say_data, say_table, tell_one

if TYPE_CHECKING:
    from covirt.client.record import Record
    from covirt.client.resources import Resources


@click.group()
def job() -> None:
    """Operations, and how far they are."""


def _took(each: "Record") -> str:
    begun, ended = each.when("start_time"), each.when("end_time")
    return f"{(ended - begun).total_seconds():.1f} s" if begun and ended else ""


_SHORT: Final = 8  # characters of an id that people type
_ABOUT: Final = (
    named("STATUS", "status"),
    Column(title="BEGUN", value=lambda each: ago(each.when("start_time"))),
    Column(title="TOOK", value=_took),
    named("JOB", "description", cut=True),
    Column(title="END", value=lambda each: at(each.when("end_time")), wide=True),
)
FACE = Face(
    load=lazily("JOBS"),
    columns=(Column(title="ID", value=lambda each: each.id[:_SHORT]), *_ABOUT, named("WHOLE ID", "id", wide=True)),
)
add_list(job, FACE, "jobs", searched=False)

_STEP_TITLES: Final = ("STEP", "STATUS", "DONE")


@job.command()
@click.argument("job_id")
@output_option
def show(job_id: str, output: str) -> None:
    """Show a job with its steps, by its id or how that begins."""
    from covirt.cli.session import engine
    from covirt.client.resources import Collection

    with engine() as resources:
        found = _found(resources, job_id)
        below = Collection(path=f"jobs/{found.id}/steps", element="step", noun="step")
        steps = resources.list(below)
    if output in ("json", "yaml"):
        say_data(plain({**found.values, "steps": [each.values for each in steps]}), output)
        return
    tell_one(found, (named("ID", "id"), *_ABOUT), output)
    ordered = sorted(steps, key=lambda each: each.whole("number"))
    rows = [[each.text("description"), each.text("status"), _percent(each)] for each in ordered]
    click.echo()
    say_table(_STEP_TITLES, rows)


def _found(resources: "Resources", job_id: str) -> "Record":
    """Raises NoSuchName, SeveralOfOneName."""
    from covirt.client.errors import NoSuchName, SeveralOfOneName
    from covirt.client.resources import JOBS

    found = [each for each in resources.list(JOBS) if each.id.startswith(job_id.lower())]
    if not found:
        raise NoSuchName(noun="job", name=job_id)
    if len(found) > 1:
        raise SeveralOfOneName(noun="job", name=job_id, ids=", ".join(each.id for each in found))
    return found[0]


def _percent(each: "Record") -> str:
    return f"{each.text('progress')} %" if each.text("progress") else ""
