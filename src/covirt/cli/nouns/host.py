# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt host``."""

import click

from covirt.cli.nouns.common import ID, NAME, Face, add_list, add_remove, add_show, lazily, named, sized
from covirt.cli.up.host import add


@click.group()
def host() -> None:
    """Machines that the engine manages."""


FACE = Face(
    load=lazily("HOSTS"),
    columns=(
        NAME,
        named("STATUS", "status"),
        named("ADDRESS", "address"),
        named("CLUSTER", "cluster.name"),
        named("MACHINES", "summary.active"),
        sized("MEMORY", "memory"),
        named("REASON", "status_detail", wide=True),
        named("SOFTWARE", "version.full_version", wide=True),
        ID,
    ),
    follow="cluster",
)
host.add_command(add)
add_list(host, FACE, "hosts")
add_show(host, FACE, "a host")
add_remove(host, FACE, "hosts in maintenance")


@host.command()
@click.argument("name", shell_complete=FACE.completed)
def activate(name: str) -> None:
    """Let machines run on it again."""
    _act(name, "activate")


@host.command()
@click.argument("name", shell_complete=FACE.completed)
def maintenance(name: str) -> None:
    """Take it out of use; nothing is started there until it is activated."""
    _act(name, "deactivate")


def _act(name: str, verb: str) -> None:
    from covirt.cli.session import engine

    with engine() as resources:
        resources.act(FACE.load(), resources.find(FACE.load(), name).id, verb)
        click.echo(name)
