# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt engine``: an engine that keeps everything in PostgreSQL."""

import sys

import click

from covirt.cli.up.commands import ROOT


@click.group()
def engine() -> None:
    """The engine of an installation with PostgreSQL."""


@engine.command()
@ROOT
@click.option(
    "--database",
    metavar="URL",
    help="As in postgresql://covirt@db.example.com/covirt.  [default: one is made in this machine's PostgreSQL]",
)
@click.option(
    "--password-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="With the password of the URL's user; it is copied.",
)
@click.option("--socket", metavar="DIR", help="Of this machine's PostgreSQL.  [default: /var/run/postgresql]")
@click.option("--port", type=click.IntRange(1, 65535), default=443, show_default=True, help="Where clients come.")
@click.option("--name", "names", multiple=True, help="That clients use, beside the machine's own; may be repeated.")
def init(
    root: str,
    database: str | None,
    password_file: str | None,
    socket: str | None,
    port: int,
    names: tuple[str, ...],
) -> None:
    """Make the database, the certificate authority and the first user. Nothing is started."""
    if database and socket:
        raise click.UsageError("--socket is of this machine's PostgreSQL; leave it out beside --database")
    if password_file and not database:
        raise click.UsageError("--password-file belongs to the user of a --database")
    from covirt.cli.up.new_engine import make_engine

    sys.exit(make_engine(root, database=database, password_file=password_file, socket=socket, port=port, names=names))
