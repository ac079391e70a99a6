# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``covirt``: its commands are imported when they are needed."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import click

from covirt import __version__

# Name to module and attribute, and what --help says without an import.
_COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "up": ("covirt.cli.up.commands:up", "Run everything on this machine."),
        "down": ("covirt.cli.up.commands:down", "End what covirt up has started."),
        "status": ("covirt.cli.up.commands:status", "Tell what covirt up has started."),
        "engine": ("covirt.cli.up.init:engine", "The engine of an installation with PostgreSQL."),
        "host": ("covirt.cli.up.host:host", "Machines that the engine manages."),
    }
)


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Without an import."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in _COMMANDS.items()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found


@click.group(cls=_Lazy)
@click.version_option(__version__, prog_name="covirt")
def main() -> None:
    """Containers beside virtual machines."""
