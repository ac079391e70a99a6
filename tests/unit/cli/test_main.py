# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The command itself: --help imports nothing that takes time, and every command it lists is there."""

import sys
from typing import Final

import click

from covirt.cli.main import main
from covirt.common.process import run

# Prints which modules of ours, and which large ones of others, --help has imported.
_LOOK: Final = """
import sys
from covirt.cli.main import main
try:
    main(["--help"])
except SystemExit:
    pass
large = ("asyncio", "httpx", "lxml", "rich", "sqlalchemy", "ssl", "subprocess", "urllib")
ours = [name for name in sys.modules if name.startswith("covirt.") and not name.startswith("covirt.cli")]
print("imported", sorted(ours + [name for name in sys.modules if name in large]))
"""


def test_help_is_quick_because_it_imports_nothing() -> None:
    told = run([sys.executable, "-c", _LOOK], timeout_seconds=60).stdout.decode()
    assert "  up      Run everything on this machine." in told
    assert told.splitlines()[-1] == "imported []"


def test_every_command_is_there_and_explains_itself() -> None:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help
    assert main.get_command(context, "nonsense") is None
