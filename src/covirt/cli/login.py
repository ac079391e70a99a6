# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt login`` and ``logout``."""

from pathlib import Path
from typing import IO

import click

from covirt.cli.passwords import password_option


@click.command()
@click.argument("url", required=False)
@click.option("--user", "-u", default="admin@internal", show_default=True, help="With its domain.")
@password_option
@click.option(
    "--ca-file", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="The engine's authority."
)
def login(url: str | None, user: str, password_file: IO[str] | None, ca_file: str | None) -> None:
    """Log in to an engine, as in https://engine.example.com; further commands talk to it.

    Without a URL it is the engine that covirt up has made on this machine.
    """
    from covirt.cli.passwords import typed_password
    from covirt.cli.session import bare, local_login
    from covirt.client.engine import EngineApi
    from covirt.client.errors import NotLoggedIn
    from covirt.client.logins import Login, write_login

    if url is None:
        made = local_login()
        if made is None:
            raise NotLoggedIn
        click.echo(f"logged in to {made.url} as {made.user}")
        return
    where = bare(url)
    password = typed_password(f"Password of {user}", password_file)
    authority = str(Path(ca_file).resolve()) if ca_file else ""
    api = EngineApi(where, Path(authority) if authority else None).log_in(user, password)
    write_login(Login(url=where, ca_file=authority, user=user, token=str.__str__(api.token)))
    click.echo(f"logged in to {where} as {user}")


@click.command()
def logout() -> None:
    """End the login; its token is worth nothing any more."""
    from covirt.client.engine import EngineApi
    from covirt.client.logins import forget_login, read_login

    found = read_login()
    forget_login()
    if found is None:
        click.echo("nobody is logged in")
        return
    EngineApi(found.url, Path(found.ca_file) if found.ca_file else None, token=found.token).log_out()
    click.echo(f"logged out of {found.url}")
