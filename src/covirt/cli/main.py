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
        "login": ("covirt.cli.login:login", "Log in to an engine."),
        "logout": ("covirt.cli.login:logout", "End the login."),
        "container": ("covirt.cli.nouns.container:container", "Containers."),
        "vm": ("covirt.cli.nouns.vm:vm", "Virtual machines."),
        "image": ("covirt.cli.nouns.image:image", "Container images."),
        "disk": ("covirt.cli.nouns.disk:disk", "Disks of machines, and volumes of containers."),
        "storage": ("covirt.cli.nouns.storage:storage", "Storage domains."),
        "network": ("covirt.cli.nouns.network:network", "Networks."),
        "host": ("covirt.cli.nouns.host:host", "Machines that the engine manages."),
        "cluster": ("covirt.cli.nouns.cluster:cluster", "Clusters of hosts."),
        "template": ("covirt.cli.nouns.template:template", "What machines are made from."),
        "snapshot": ("covirt.cli.nouns.snapshot:snapshot", "What the disks of a virtual machine were."),
        "user": ("covirt.cli.nouns.user:user", "Who may log in."),
        "role": ("covirt.cli.nouns.role:role", "What somebody may do who has one on an object."),
        "permission": ("covirt.cli.nouns.permission:permission", "Who has which role on what."),
        "secret": ("covirt.cli.nouns.secret:secret", "Passwords and keys for containers and registries."),
        "event": ("covirt.cli.nouns.event:event", "What has happened."),
        "job": ("covirt.cli.nouns.job:job", "Operations, and how far they are."),
        "completion": ("covirt.cli.completion:completion", "Completion for a shell."),
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

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt) as error:
            from covirt.cli.exits import told

            raise told(error) from error

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
