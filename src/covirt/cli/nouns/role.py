# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt role``."""

from typing import TYPE_CHECKING, Final

import click

from covirt.cli.nouns.common import ID, NAME, Face, add_list, add_show, lazily, named
from covirt.cli.output import Column

if TYPE_CHECKING:
    from covirt.client.record import Record


@click.group()
def role() -> None:
    """What somebody may do who has one on an object."""


def _permits(found: "Record") -> str:
    return ", ".join(sorted(each.name for each in found.records("permits.permit")))


FACE: Final = Face(
    load=lazily("ROLES"),
    columns=(
        NAME,
        Column(title="FOR", value=lambda each: "administrators" if each.flag("administrative") else "users"),
        named("DESCRIPTION", "description", cut=True),
        Column(title="PERMITS", value=_permits, wide=True),
        ID,
    ),
    follow="permits",
)
add_list(role, FACE, "roles", searched=False)
add_show(role, FACE, "a role")
