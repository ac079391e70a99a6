# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt container``."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from covirt.cli.completing import names_of
from covirt.cli.nouns.common import (
    CLUSTER_NAMES,
    NETWORK_NAMES,
    SECRET_NAMES,
    SIZE,
    STORAGE_NAMES,
    lazily,
    wait_option,
)
from covirt.cli.nouns.image import short_reference
from covirt.cli.nouns.machines import CONTAINER, add_common, find_machine, names_of_kind

if TYPE_CHECKING:
    from covirt.cli.containers import Recipe


@click.group()
def container() -> None:
    """Containers."""


add_common(container, CONTAINER)

_RESTARTS = ("never", "on-failure", "always")
_OPTIONS = (
    click.argument("image", shell_complete=names_of(lazily("IMAGES"), name=short_reference)),
    click.argument("command", nargs=-1, type=click.UNPROCESSED),
    click.option("--name", help="[default: one is made of the image's]"),
    click.option(
        "--net", "networks", shell_complete=NETWORK_NAMES, multiple=True, metavar="NETWORK",
        help="An interface in it; may be repeated.",
    ),
    click.option(
        "--volume", "-v", "volumes", multiple=True, metavar="[DISK:]/PATH[:SIZE|:discard]",
        help="A disk of at least this size, which is made where it is not there yet, or memory for one run; may be"
        " repeated.",
    ),
    click.option("--env", "-e", "environment", multiple=True, metavar="NAME=VALUE", help="May be repeated."),
    click.option(
        "--secret", "secrets", shell_complete=SECRET_NAMES, multiple=True, metavar="NAME[:/PATH|:VARIABLE]",
        help="As the file /run/secrets/NAME, another file, or a variable; may be repeated.",
    ),
    click.option("--restart", type=click.Choice(_RESTARTS), default="never", show_default=True),
    click.option(
        "--root-disk", type=SIZE, metavar="SIZE", help="Keep what is written outside of volumes on a disk so large."
    ),
    click.option("--memory", type=SIZE, default="256MiB", show_default=True, metavar="SIZE"),
    click.option("--cpus", type=click.IntRange(1, 710), default=1, show_default=True, metavar="NUMBER"),
    click.option("--runtime", default="docker", show_default=True, help="docker is the host's default."),
    click.option("--cluster", shell_complete=CLUSTER_NAMES, help="[default: Default, or the only one]"),
    click.option(
        "--storage", shell_complete=STORAGE_NAMES, metavar="NAME",
        help="For the image and new disks.  [default: the only one]",
    ),
    click.option("--tls-verify/--no-tls-verify", default=True, show_default=True, help="Of the registry."),
    click.option(
        "--credentials", shell_complete=SECRET_NAMES, metavar="SECRET",
        help="The secret with the registry's user and password.",
    ),
)  # fmt: skip


def _recipe(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def _of(words: dict[str, Any]) -> "Recipe":
    from covirt.cli.containers import Recipe

    return Recipe(**words)


@container.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": True})
@_recipe
def create(**words: Any) -> None:
    """Make a container, and import its image where it is not there yet."""
    from covirt.cli.containers import create_container
    from covirt.cli.session import engine

    with engine() as resources:
        click.echo(create_container(resources, _of(words)).vm.name)


@container.command(short_help="Make a container and start it.")
@_recipe
@click.option("--attach", "-a", is_flag=True, help="Show what it writes until it ends, and end as it does.")
@click.option(
    "--rm", "removed", is_flag=True, help="Remove it when it has ended, with disks that have no name; with --attach."
)
@wait_option
def run(*, attach: bool, removed: bool, wait: bool, **words: Any) -> None:
    """Make a container and start it. Its image is imported where it is not there yet.

    \b
    covirt container run nginx --name web --net ovirtmgmt
    covirt container run postgres --volume data:/var/lib/postgresql/data:10GiB --env POSTGRES_PASSWORD
    covirt container run busybox --attach --rm -- echo hello
    """
    from covirt.cli.containers import create_container, exit_code_of, follow_to_its_end, remove_with_its_own
    from covirt.cli.machines import taken_back
    from covirt.cli.nouns.machines import start_machine
    from covirt.cli.session import engine

    if removed and not attach:
        raise click.UsageError("--rm belongs to --attach: who does not wait cannot remove it")
    with engine() as resources:
        made = create_container(resources, _of(words))
        with taken_back(resources, made):
            start_machine(resources, made.vm, host_name=None, wait=wait and not attach)
        if not attach:
            click.echo(made.vm.name)
            return
        ended = follow_to_its_end(resources, made.vm)
        if removed:
            remove_with_its_own(resources, made)
        sys.exit(exit_code_of(ended))


@container.command()
@click.argument("name", shell_complete=names_of_kind(CONTAINER))
@click.option("--follow", "-f", is_flag=True, help="Go on with what it writes now.")
@click.option("--tail", type=click.IntRange(0), metavar="LINES", help="Only the last ones.")
@click.option("--since", metavar="TIME", help="As in 2026-01-31T12:00:00Z.")
@click.option("--timestamps", "-t", is_flag=True, help="Say when each line was written.")
def logs(name: str, tail: int | None, since: str | None, *, follow: bool, timestamps: bool) -> None:
    """Show what a container that runs has written."""
    from covirt.cli.session import engine
    from covirt.cli.terminal import show_log

    request: dict[str, Any] = {"follow": follow, "timestamps": timestamps}
    if tail is not None:
        request["tail"] = tail
    if since is not None:
        request["since"] = since
    with engine() as resources:
        show_log(resources, find_machine(resources, name, CONTAINER), request)


@container.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name", shell_complete=names_of_kind(CONTAINER))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--interactive", "-i", is_flag=True, help="Pass on standard input.")
@click.option("--tty", "-t", is_flag=True, help="In a terminal.")
@click.option("--user", "-u", help="Whose rights it has inside, as in 1000:1000.")
@click.option("--workdir", "-w", metavar="DIR")
@click.option("--env", "-e", "environment", multiple=True, metavar="NAME=VALUE", help="May be repeated.")
def exec(  # noqa: A001 - the word that everybody knows
    name: str, command: tuple[str, ...], user: str | None, workdir: str | None, environment: tuple[str, ...],
    *, interactive: bool, tty: bool,
) -> None:  # fmt: skip
    """Run a command inside; it ends as the command does. As in: covirt container exec -it web sh."""
    from covirt.cli.session import engine
    from covirt.cli.terminal import Inside, run_inside

    command = command[1:] if command[0] == "--" else command  # what run, kubectl and virtocid-exec end options with
    if not command:
        raise click.UsageError("COMMAND is missing behind --")
    inside = Inside(
        command=command, interactive=interactive, terminal=tty, user=user or "", workdir=workdir or "",
        environment=environment,
    )  # fmt: skip
    with engine() as resources:
        sys.exit(run_inside(resources, find_machine(resources, name, CONTAINER), inside))


@container.command()
@click.argument("name", shell_complete=names_of_kind(CONTAINER))
@click.option("--force", is_flag=True, help="Take it over from somebody else.")
def console(name: str, *, force: bool) -> None:
    """Open its terminal; Ctrl-] leaves it."""
    from covirt.cli.session import engine
    from covirt.cli.terminal import open_console

    with engine() as resources:
        open_console(resources, find_machine(resources, name, CONTAINER), force=force)


@container.command()
@click.argument("source")
@click.argument("target")
def cp(source: str, target: str) -> None:
    """Copy files out of a container that runs, or into it, as in: covirt container cp web:/etc/motd .

    The container needs a program tar.
    """
    from covirt.cli.copying import copy_in, copy_out, split_place
    from covirt.cli.session import engine

    from_name, from_path = split_place(source)
    to_name, to_path = split_place(target)
    if bool(from_name) == bool(to_name):
        raise click.UsageError("one of both is NAME:PATH of a container, the other a path of this machine")
    with engine() as resources:
        found = find_machine(resources, from_name or to_name, CONTAINER)
        if from_name:
            copy_out(resources, found, from_path, to_path)
        else:
            copy_in(resources, found, from_path, to_path)
