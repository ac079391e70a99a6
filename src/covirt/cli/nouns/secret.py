# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt secret``."""

from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final

import click

from covirt.cli.nouns.common import ID, NAME, Face, add_list, add_remove, lazily, named
from covirt.cli.nouns.user import FACE as USERS
from covirt.cli.nouns.user import login_name
from covirt.cli.output import Column, at, output_option, tell_one

if TYPE_CHECKING:
    from covirt.client.record import Record

_USER_ROLE: Final = "SecretUser"


@click.group()
def secret() -> None:
    """Passwords and keys for containers and registries; no command tells their values."""


def _users(each: "Record") -> str:
    return ", ".join(map(str, each.values.get("used_by") or ()))


def _shared(each: "Record") -> str:
    from covirt.client.record import Record

    permissions = each.records("permissions.permission")
    return ", ".join(f"{login_name(Record({'user_name': one.name}))} ({one.text('role')})" for one in permissions)


def _changed(each: "Record") -> str:
    text = each.text("changed")
    return at(datetime.fromisoformat(text).astimezone()) if text else ""


_SHARED: Final = Column(title="ROLES", value=_shared)
FACE = Face(
    load=lazily("SECRETS"),
    columns=(
        NAME,
        named("USER", "username"),
        Column(title="USED BY", value=_users),
        Column(title="CHANGED", value=_changed),
        named("DESCRIPTION", "description", wide=True),
        ID,
    ),
)
add_list(secret, FACE, "secrets", searched=False)


@secret.command("show")
@click.argument("name", shell_complete=FACE.completed)
@output_option
def show(name: str, output: str) -> None:
    """Show a secret, by name or id, and who has a role on it."""
    from covirt.cli.session import engine
    from covirt.client.record import Record

    with engine() as resources:
        found = FACE.found(resources, name)
        permissions = resources.api.get(_permissions(found))
    tell_one(Record({**found.values, "permissions": permissions}), (*FACE.columns, _SHARED), output)


@secret.command("create")
@click.argument("name")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--user", "-u", default="", help="The user name that goes with it, for a registry's password.")
@click.option("--description", default="")
def create(name: str, file: IO[bytes] | None, user: str, description: str) -> None:
    """Keep a value under a name: all of FILE (- is standard input), or what is typed."""
    from covirt.cli.session import engine

    body = {"name": name, "username": user, "description": description, "value_base64": _value(name, file)}
    with engine() as resources:
        resources.add(FACE.load().path, body)
        click.echo(name)


@secret.command("set")
@click.argument("name", shell_complete=FACE.completed)
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--user", "-u", help="The user name that goes with it.")
def change(name: str, file: IO[bytes] | None, user: str | None) -> None:
    """Give it another value; a container has it once it is stopped and started, and not by a restart."""
    from covirt.cli.session import engine

    body: dict[str, Any] = {"value_base64": _value(name, file)}
    if user is not None:
        body["username"] = user
    with engine() as resources:
        found = FACE.found(resources, name)
        resources.api.put(f"{FACE.load().path}/{found.id}", body)
    click.echo(name)


@secret.command("share")
@click.argument("name", shell_complete=FACE.completed)
@click.argument("user", shell_complete=USERS.completed)
def share(name: str, user: str) -> None:
    """Let USER (as ann@internal) give it to containers."""
    from covirt.cli.session import engine

    with engine() as resources:
        body = {"role": {"name": _USER_ROLE}, "user": {"user_name": user}}
        resources.add(_permissions(FACE.found(resources, name)), body)
    click.echo(name)


@secret.command("unshare")
@click.argument("name", shell_complete=FACE.completed)
@click.argument("user", shell_complete=USERS.completed)
def unshare(name: str, user: str) -> None:
    """Let USER give it to no more containers; those that run keep what they have."""
    from covirt.cli.errors import NotShared
    from covirt.cli.session import engine

    with engine() as resources:
        path = _permissions(FACE.found(resources, name))
        for each in resources.api.get(path)["permission"]:
            if each["role"] == _USER_ROLE and each["name"] in (user, f"{user}-authz"):
                resources.api.delete(f"{path}/{each['id']}")
                break
        else:
            raise NotShared(name=name, user=user)
    click.echo(name)


add_remove(secret, FACE, "secrets")


def _permissions(found: "Record") -> str:
    return f"{FACE.load().path}/{found.id}/permissions"


def _value(name: str, file: IO[bytes] | None) -> str:
    """As base64. Raises NoValueGiven."""
    import base64
    import sys

    from covirt.cli.errors import NoValueGiven

    if file is not None:
        return base64.b64encode(file.read()).decode()
    if not sys.stdin.isatty():
        raise NoValueGiven
    typed = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True)
    return base64.b64encode(str(typed).encode()).decode()
