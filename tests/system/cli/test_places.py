# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage domains, networks and clusters by the command line: with several of them, and with what cannot be made."""

import os

import pytest

from tests.system.cli.conftest import Terminal

pytestmark = [pytest.mark.qemu, pytest.mark.runc]


def test_a_second_storage_domain(terminal: Terminal) -> None:
    """Then who makes a disk says on which."""
    directory = terminal.machine.root.path / "second"
    directory.mkdir(mode=0o755)
    os.chown(directory, 36, 36)
    terminal.say("storage", "create", "second", "--host", "testhost", "--path", str(directory))
    run = ("container", "run", terminal.reference, "--no-tls-verify", "--name", "rooted", "--root-disk", "16MiB")
    words = ("--volume", "/data:discard", "--", "sleep", "1000")
    for asked in ((*run, *words), ("disk", "create", "data", "1MiB"), ("vm", "create", "db", "--disk", "1MiB")):
        assert "say which by --storage: local, second" in terminal.refused(*asked, status=2)
    assert terminal.data("vm", "list") == []
    terminal.say(*run, "--storage", "second", *words)
    terminal.say("container", "exec", "rooted", "sh", "-c", "echo kept >/kept")
    terminal.say("container", "stop", "--force", "rooted")
    terminal.say("container", "start", "rooted")
    assert terminal.say("container", "exec", "rooted", "cat", "/kept") == "kept\n"
    terminal.say("container", "remove", "--force", "--volumes", "rooted")
    terminal.say("image", "prune", "--yes")
    terminal.say("storage", "remove", "second", "--format")
    assert [each["name"] for each in terminal.data("storage", "list")] == ["local"]


def test_networks(terminal: Terminal) -> None:
    assert "no cluster nowhere" in terminal.refused("network", "create", "blue", "--cluster", "nowhere", status=3)
    assert terminal.say("network", "create", "blue", "--vlan", "7", "--mtu", "1400") == "blue\n"
    told = terminal.say("network", "list", "--filter", "name=blue").splitlines()[1]
    assert told.split() == ["blue", "7", "1400", "Default"]
    terminal.say("network", "remove", "blue")
    assert [each["name"] for each in terminal.data("network", "list")] == ["ovirtmgmt"]
