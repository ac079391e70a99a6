# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A database for the engine in this machine's PostgreSQL, which knows the engine's user by itself: no password."""

import pwd
from pathlib import Path
from typing import Final
from urllib.parse import quote

from covirt.cli.up.errors import NoPostgres
from covirt.common.errors import CommandFailed
from covirt.common.process import Argument, CommandMissing, run

SOCKETS: Final = Path("/var/run/postgresql")
_ADMINISTRATOR: Final = "postgres"
_DATABASE: Final = "covirt"
_SECONDS: Final = 60.0


def make_database(sockets: Path, owner: str) -> str:
    """Its URL; one that is there already is taken. Raises NoPostgres."""
    if not _ask(sockets, owner, "SELECT 1 FROM pg_roles WHERE rolname = :'owner'"):
        _ask(sockets, owner, 'CREATE ROLE :"owner" LOGIN')
    if not _ask(sockets, owner, "SELECT 1 FROM pg_database WHERE datname = :'database'"):
        _ask(sockets, owner, 'CREATE DATABASE :"database" OWNER :"owner" ENCODING \'UTF8\' TEMPLATE template0')
    return f"postgresql://{quote(owner)}@/{_DATABASE}?host={quote(str(sockets))}"


def user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _ask(sockets: Path, owner: str, sql: str) -> str:
    if not user_exists(_ADMINISTRATOR):
        raise NoPostgres(reason=f"there is no user {_ADMINISTRATOR}")
    argv: list[Argument] = ["runuser", "-u", _ADMINISTRATOR, "--", "psql", "-h", sockets, "-d", "postgres", "-tAXq"]
    argv += ["-v", "ON_ERROR_STOP=1", "-v", f"owner={owner}", "-v", f"database={_DATABASE}"]
    try:
        completed = run(argv, stdin_data=sql.encode(), timeout_seconds=_SECONDS, directory="/")
    except (CommandFailed, CommandMissing) as error:
        raise NoPostgres(reason=error.fields.get("stderr") or error) from error
    return completed.stdout.decode().strip()
