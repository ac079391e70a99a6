# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt template``."""

import click

from covirt.cli.nouns.common import ID, NAME, Face, add_list, add_remove, add_show, lazily, named, sized


@click.group()
def template() -> None:
    """What machines are made from."""


FACE = Face(
    load=lazily("TEMPLATES"),
    columns=(
        NAME,
        named("STATUS", "status"),
        sized("MEMORY", "memory"),
        named("CLUSTER", "cluster.name"),
        named("DESCRIPTION", "description", wide=True),
        ID,
    ),
    follow="cluster",
)
add_list(template, FACE, "templates")
add_show(template, FACE, "a template")
add_remove(template, FACE, "templates")
