# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``virtocid-exec``: run a program inside a running container.

Libraries are imported once the arguments are known to be good, so that --help and completion answer at once.
"""

import os
import sys
from pathlib import Path

import click

from covirt.virtocid.commands.entry import root_option, run_command

_PROGRAM = "virtocid-exec"
_SYNOPSIS = f"write {_PROGRAM} DOMAIN [OPTIONS] -- COMMAND"


class _Separated(click.Command):
    """Wants "--" in front of COMMAND: without it, an option of COMMAND's that is also ours would silently be ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        separated = "--" in args
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if separated:
                raise
            raise click.UsageError(f"{error.format_message().rstrip('.')}; {_SYNOPSIS}") from error
        except click.MissingParameter as error:
            raise click.UsageError(f"{error.format_message().rstrip('.')}; {_SYNOPSIS}") from error
        if not separated:
            raise click.UsageError(f"there is no '--' in front of the command; {_SYNOPSIS}")
        return rest


@click.command(cls=_Separated, context_settings={"help_option_names": ["-h", "--help"]}, options_metavar="")
@click.argument("domain", metavar="DOMAIN [OPTIONS] --")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-i", "--interactive", is_flag=True, help="Pass standard input on to the command.")
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal of its own, in front of this one.")
@click.option(
    "-u", "--user", metavar="NAME|UID[:GROUP]", help="Run as this user of the container; default: as its own process."
)
@click.option("-w", "--workdir", metavar="DIR", help="Run in this directory of the container.")
@click.option(
    "-e",
    "--env",
    "environment",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="Set a variable, or pass on this one of yours; may be repeated.",
)
@root_option
@click.version_option(package_name="covirt", prog_name=_PROGRAM)
def cli(
    domain: str,
    command: tuple[str, ...],
    user: str | None,
    workdir: str | None,
    environment: tuple[str, ...],
    root: Path,
    *,
    interactive: bool,
    tty: bool,
) -> int:
    """Run COMMAND in the running container DOMAIN (its name, UUID or id).

    The command has the rights, limits and environment of the container's own process. It ends when this program does.

    \b
    virtocid-exec shop -- ls -l /srv
    virtocid-exec shop -it -- sh
    virtocid-exec shop -i -- tar -x -C /srv < site.tar

    The exit status is the command's; 128 and the signal's number when a signal ended it; 127 when there is no such
    command, 126 when it cannot be executed, and 125 when anything else went wrong.
    """
    if tty and interactive and not sys.stdin.isatty():
        raise click.UsageError("standard input is no terminal: leave -t away")
    from covirt.common.channels import ChannelSize, ExecChannelRequest
    from covirt.virtocid.commands.exec_session import run_session

    variables = {name: value for name, value in map(_variable, environment) if value is not None}
    if tty and "TERM" in os.environ:
        variables.setdefault("TERM", os.environ["TERM"])
    size: ChannelSize | None = None
    if tty:
        present = os.get_terminal_size(sys.stdin.fileno()) if sys.stdin.isatty() else os.terminal_size((80, 24))
        size = ChannelSize(rows=max(1, present.lines), columns=max(1, present.columns))
    request = ExecChannelRequest(
        command=command, terminal=tty, user=user, working_directory=workdir, environment=variables, size=size
    )
    return run_session(_PROGRAM, root, domain, request, interactive=interactive)


def _variable(text: str) -> tuple[str, str | None]:
    """Name and value; None for one of ours that is not set, which is not set inside either."""
    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name)


def main() -> None:
    """The entry point."""
    run_command(cli, program=_PROGRAM)
