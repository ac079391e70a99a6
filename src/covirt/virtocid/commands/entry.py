# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How virtocid-exec and virtocid-logs begin and end; it imports nothing else, so that --help answers at once."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import click

_USAGE_STATUS: Final = 125  # as Podman and Docker: 2 may be the command's own
_INTERRUPTED_STATUS: Final = 130

root_option: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default="/",
    show_default=True,
    help="The installation's directory.",
)


def run_command(command: click.Command, *, program: str) -> NoReturn:
    """Run it with this process's arguments and exit with its status; wrong usage is one line on stderr."""
    try:
        status = command.main(prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        sys.stderr.write(f"{program}: {error.format_message()}\n")
        status = _USAGE_STATUS
    except (click.Abort, KeyboardInterrupt):
        status = _INTERRUPTED_STATUS
    sys.exit(status or 0)
