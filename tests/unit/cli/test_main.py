# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The command itself: --help imports nothing that takes time, and every command it lists is there."""

import sys
from typing import Final

import click
import pytest

from covirt.cli.main import main
from covirt.common.process import run

# Prints which modules of ours, and which large ones of others, --help has imported.
_LOOK: Final = """
import sys
from covirt.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
large = ("asyncio", "httpx", "lxml", "rich", "sqlalchemy", "ssl", "subprocess", "urllib")
ours = [name for name in sys.modules if name.startswith("covirt.") and not name.startswith("covirt.cli")]
print("imported", sorted(ours + [name for name in sys.modules if name in large]))
"""


def _told(*words: str) -> str:
    return run([sys.executable, "-c", _LOOK, *words], timeout_seconds=60).stdout.decode()


def test_help_is_quick_because_it_imports_nothing() -> None:
    told = _told("--help")
    assert "Run everything on this machine." in told
    assert told.splitlines()[-1] == "imported []"


@pytest.mark.parametrize("noun", ["container", "vm", "image", "disk", "host", "event"])
def test_help_of_a_noun_is_as_quick(noun: str) -> None:
    """What errors need is little; nothing that talks to anybody is imported."""
    for words in ((noun, "--help"), (noun, "list", "--help")):
        found = _told(*words).splitlines()[-1]
        assert not [name for name in ("httpx", "rich", "ssl", "asyncio", "lxml") if f"'{name}'" in found], found
        assert "covirt.client.engine" not in found


def test_every_command_is_there_and_explains_itself() -> None:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help
    assert main.get_command(context, "nonsense") is None
