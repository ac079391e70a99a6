# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A secret from a file to its container, through command line, engine, host and virtocid: and nowhere else."""

import base64
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.system.cli.conftest import Terminal

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_VALUE: Final = "correct horse battery staple"
_CLEAR: Final = (_VALUE.encode(), base64.b64encode(_VALUE.encode()))
# Below these the container has it, or virtocid keeps it for the container's restarts.
_OWN: Final = ("bundle/secrets", "bundle/config.json", "virtocid/secrets", "runtimes/crun")


def readable(top: Path) -> Iterator[tuple[Path, bytes]]:
    """Files of the installation, and what ps shows of all processes."""
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if name not in ("rootfs", "namespaces")]
        for name in files:
            path = Path(directory, name)
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path, path.read_bytes()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path, path.read_bytes()


def holding(terminal: Terminal) -> list[str]:
    found = readable(terminal.machine.root.path)
    return [str(path) for path, data in found if any(word in data for word in _CLEAR)]


def test_a_secret(terminal: Terminal) -> None:
    terminal.say("secret", "create", "db-password", "-", stdin=_VALUE.encode())
    words = ["--name", "keeper", "--net", "ovirtmgmt", "--volume", "/data:discard", "--no-tls-verify"]
    given = ["--secret", "db-password", "--secret", "db-password:DB_PASSWORD", "--secret", "db-password:/etc/db.key"]
    terminal.say("container", "run", terminal.reference, *words, *given, "--", "sleep", "1000")
    for path in ("/run/secrets/db-password", "/etc/db.key"):
        assert terminal.say("container", "exec", "keeper", "cat", path) == _VALUE
    assert terminal.say("container", "exec", "keeper", "sh", "-c", 'printf %s "$DB_PASSWORD"') == _VALUE
    told = holding(terminal)
    assert told
    assert not [path for path in told if not any(own in path for own in _OWN)]
    for path in told:
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, path
    assert "is given to: keeper" in terminal.refused("secret", "remove", "db-password", status=5)

    terminal.say("secret", "set", "db-password", "-", stdin=b"another one")
    terminal.say("container", "stop", "keeper")
    assert holding(terminal) == []
    terminal.say("container", "start", "keeper")
    assert terminal.say("container", "exec", "keeper", "cat", "/run/secrets/db-password") == "another one"
    terminal.say("container", "remove", "--force", "keeper")
    terminal.say("secret", "remove", "db-password")
    assert not list(terminal.machine.root.path.glob("run/covirt/virtocid/secrets/*/*"))
