# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt host add``: a machine that an engine shall manage."""

import click

from covirt.cli.up.commands import ROOT


@click.command()
@click.argument("name")
@click.option("--address", help="How the engine reaches it, a name or an IP address.  [default: NAME]")
@click.option("--cluster", default="Default", show_default=True, help="Where it belongs.")
@click.option("--minutes", type=click.IntRange(1, 10080), default=60, show_default=True, help="How long it may take.")
@click.option("--wait", is_flag=True, help="Return when the host is up.")
@click.option("--output", type=click.Choice(("text", "json")), default="text", help="How it is told.")
@click.option("--url", metavar="URL", help="Of an engine elsewhere, as in https://engine.example.com.")
@click.option("--ca-file", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="Its authority.")
@click.option("--user", default="admin@internal", show_default=True, help="Whose password COVIRT_PASSWORD has.")
@ROOT
def add(
    name: str,
    address: str | None,
    cluster: str,
    minutes: int,
    *,
    wait: bool,
    output: str,
    url: str | None,
    ca_file: str | None,
    user: str,
    root: str,
) -> None:
    """Let a machine in: makes a token, and tells what to type there.

    The engine is the one of this machine, with its first password, else that of covirt login, unless --url names
    another.
    """
    if bool(url) != bool(ca_file):
        raise click.UsageError("--url and --ca-file belong together")
    from covirt.cli.up.new_host import Engine, NewHost, add_host

    wanted = NewHost(name=name, address=address or name, cluster=cluster, minutes=minutes)
    engine = Engine(url=url or "", ca_file=ca_file or "", user=user, root=root)
    add_host(wanted, engine, wait=wait, as_json=output == "json")
