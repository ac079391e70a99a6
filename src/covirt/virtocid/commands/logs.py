# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``virtocid-logs``: show what a container wrote.

Libraries are imported once the arguments are known to be good, so that --help and completion answer at once.
"""

from pathlib import Path

import click

from covirt.virtocid.commands.entry import root_option, run_command

_PROGRAM = "virtocid-logs"


def _lines(_context: click.Context, _parameter: click.Parameter, text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 31:
        raise click.BadParameter(f"{text!r} is neither a number of lines nor all")
    return int(text)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("domain")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until the container stops.")
@click.option(
    "-n", "--tail", metavar="N|all", callback=_lines, default="all", show_default=True, help="Only the last N lines."
)
@click.option(
    "--since",
    metavar="TIME",
    help="Only lines since then: 2026-01-31T12:00:00Z, seconds since 1970, or how long ago (90s, 10m, 1h30m).",
)
@click.option("-t", "--timestamps", is_flag=True, help="Put each line's time in front of it.")
@root_option
@click.version_option(package_name="covirt", prog_name=_PROGRAM)
def cli(domain: str, tail: int | None, since: str | None, root: Path, *, follow: bool, timestamps: bool) -> int:
    """Show what the process of DOMAIN (its name, UUID or id) wrote to its output, running or not.

    Both outputs come in the order in which they were written. Lines of earlier runs are shown too, as far as the log
    reaches back.

    \b
    virtocid-logs shop
    virtocid-logs -f --tail 20 shop
    virtocid-logs --since 1h30m shop
    """
    from covirt.common.channels import LogChannelRequest
    from covirt.virtocid.commands.logs_session import show_log

    request = LogChannelRequest(since=since, tail=tail, follow=follow, timestamps=timestamps)
    return show_log(_PROGRAM, root, domain, request)


def main() -> None:
    """The entry point."""
    run_command(cli, program=_PROGRAM)
