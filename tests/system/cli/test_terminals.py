# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A person's terminal in front of a container: a shell, the console, a log that goes on."""

import signal

import pytest

from covirt.common.process import Argument
from tests.support.terminal import at_terminal
from tests.system.cli.conftest import PROGRAM, Terminal

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_CONSOLE = ("container", "console", "shell")
_COUNTING = "n=0; while sleep 1; do n=$((n+1)); echo tick $n; done"


def test_a_terminal_in_front_of_a_container(terminal: Terminal) -> None:
    environment = {**terminal.environment, "TERM": "xterm"}
    new = ["--name", "shell", "--no-tls-verify", "--volume", "/data:discard", "--", "sh"]
    terminal.say("container", "run", terminal.reference, *new)
    shell: list[Argument] = [PROGRAM, "container", "exec", "-it", "shell", "sh"]
    with at_terminal(shell, environment=environment) as inside:
        inside.wait_until_raw()
        inside.type("echo $((40 + 2)) $TERM\r")
        inside.wait_for("42 xterm")
        inside.type("stty size; exit 9\r")
        assert inside.wait_for_end() == 9
    with at_terminal([PROGRAM, *_CONSOLE], environment=environment) as console:
        console.wait_for("Ctrl-] leaves")
        console.wait_until_raw()
        console.type("echo $((40 + 3))\r")
        console.wait_for("43")
        console.type("\x1d")
        assert console.wait_for_end() == 0
    assert "needs a terminal" in terminal.refused(*_CONSOLE, status=2)
    terminal.say("container", "remove", "--force", "shell")


def test_a_log_that_goes_on(terminal: Terminal) -> None:
    new = ["--name", "ticks", "--no-tls-verify", "--volume", "/data:discard", "--", "sh", "-c", _COUNTING]
    terminal.say("container", "run", terminal.reference, *new)
    argv: list[Argument] = [PROGRAM, "container", "logs", "--follow", "ticks"]
    with at_terminal(argv, environment=terminal.environment) as log:
        log.wait_for("tick 1")
        log.wait_for("tick 3")
        log.child.signal(signal.SIGINT)
        assert log.wait_for_end() == 130
    terminal.say("container", "remove", "--force", "ticks")
