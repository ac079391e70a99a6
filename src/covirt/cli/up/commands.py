# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt up``, ``down`` and ``status``."""

import sys

import click

ROOT = click.option(
    "--root",
    default="/",
    envvar="COVIRT_ROOT",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Where everything lies; it is there already.",
)


@click.command()
@ROOT
@click.option("--port", type=click.IntRange(1, 65535), help="Of the engine.  [default: 443]")
@click.option("--host-port", type=click.IntRange(1, 65535), help="Of the host's agent.  [default: 54321]")
@click.option("--subnet", metavar="NETWORK", help="For guests, as in 10.77.0.0/24.  [default: one that is free]")
def up(root: str, port: int | None, host_port: int | None, subnet: str | None) -> None:
    """Run everything on this machine: containers and virtual machines, and the engine that manages them.

    Repeat it as you like: what runs is left alone, what is missing is made.
    """
    from covirt.cli.up.run import bring_up

    sys.exit(bring_up(root, port=port, host_port=host_port, subnet=subnet))


@click.command()
@ROOT
@click.option("--guests", is_flag=True, help="Shut down what runs in the engine's charge first.")
def down(root: str, *, guests: bool) -> None:
    """End what covirt up has started, and keep all data. Guests go on, unless they are to be ended too."""
    from covirt.cli.up.run import take_down

    sys.exit(take_down(root, guests=guests))


@click.command()
@ROOT
@click.option("--output", type=click.Choice(("table", "json")), default="table", help="How it is told.")
def status(root: str, output: str) -> None:
    """Tell what covirt up has started, and how it is; status 3 when something of it does not run."""
    from covirt.cli.up.run import tell_status

    sys.exit(tell_status(root, as_json=output == "json"))
