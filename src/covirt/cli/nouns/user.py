# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt user``."""

from typing import IO, TYPE_CHECKING, Final

import click

from covirt.cli.nouns.common import ID, Face, add_list, add_remove, add_show, lazily, named
from covirt.cli.output import Column
from covirt.cli.passwords import password_option

if TYPE_CHECKING:
    from covirt.client.record import Record

_PROFILE: Final = "internal"  # what people type behind the @
_DOMAIN: Final = "internal-authz"  # what the engine calls it


@click.group()
def user() -> None:
    """Who may log in."""


def full_name(typed: str) -> str:
    """As the engine has it, of what people log in with, or of the part before the @."""
    name, _, behind = typed.rpartition("@")
    if not name:
        return f"{typed}@{_DOMAIN}"
    return f"{name}@{_DOMAIN}" if behind == _PROFILE else typed


def login_name(found: "Record") -> str:
    """What he logs in with."""
    name, _, domain = found.text("user_name").rpartition("@")
    return f"{name}@{_PROFILE}" if domain == _DOMAIN else found.text("user_name")


def _groups(found: "Record") -> str:
    return ", ".join(each.name for each in found.records("groups.group"))


FACE: Final = Face(
    load=lazily("USERS"),
    columns=(
        Column(title="USER", value=login_name),
        named("NAME", "name"),
        named("EMAIL", "email"),
        Column(title="GROUPS", value=_groups),
        named("DOMAIN", "domain.name", wide=True),
        ID,
    ),
    follow="domain,groups",
    spelled=full_name,
    name=login_name,
)
add_list(user, FACE, "users")
add_show(user, FACE, "a user")


@user.command()
@click.argument("name")
@password_option
@click.option("--no-password", is_flag=True, help="He cannot log in until he has one.")
@click.option("--email", default="")
def create(name: str, password_file: IO[str] | None, email: str, *, no_password: bool) -> None:
    """Add a user, as in: covirt user create ann. He may do nothing yet: covirt permission add.

    The password is asked for, or comes from a file; it has at least 6 characters.
    """
    from covirt.cli.passwords import typed_password
    from covirt.cli.session import engine

    body = {"user_name": full_name(name), "email": email}
    if not no_password:
        body["password"] = typed_password(f"Password of {name}", password_file, again=True)
    with engine() as resources:
        click.echo(login_name(resources.add(FACE.load().path, body)))


@user.command()
@click.argument("name", required=False, shell_complete=FACE.completed)
@password_option
@click.option("--current-file", metavar="FILE", type=click.File("r"), help="With your own present one, without NAME.")
def password(name: str | None, password_file: IO[str] | None, current_file: IO[str] | None) -> None:
    """Give NAME another password, or yourself; whoever is logged in with the old one is no more.

    For your own the present one is asked for, too.
    """
    from covirt.cli.passwords import typed_password
    from covirt.cli.session import engine, logged_in_again

    with engine() as resources:
        if name is None:
            current = typed_password("Your present password", current_file)
            new = typed_password("Your new password", password_file, again=True)
            resources.api.put("/covirt/password", {"current": current, "password": new})
            logged_in_again(new)
            return
        found = FACE.find(resources, name)
        new = typed_password(f"New password of {login_name(found)}", password_file, again=True)
        resources.api.put(f"{FACE.load().path}/{found.id}", {"password": new})
        logged_in_again(new, login_name(found))
        click.echo(login_name(found))


add_remove(user, FACE, "users")
