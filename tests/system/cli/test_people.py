# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Users and what they may do, by the command line of an administrator, and by their own."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.system.cli.conftest import Terminal

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_PASSWORD = b"correct horse\n"


def _logged_in(terminal: Terminal, home: Path, password: bytes, *, status: int = 0) -> Terminal:
    """The terminal of ann, who has no file of the installation."""
    own = replace(terminal, home=home, root=home)
    engine = terminal.machine.status
    url = engine["url"].removesuffix("/ovirt-engine/api")
    login = ("login", url, "--user", "ann@internal", "--ca-file", engine["ca_file"], "--password-file", "-")
    own.type(*login, stdin=password, status=status)
    return own


def test_a_user_with_a_container(terminal: Terminal, open_dir: Path) -> None:
    """She administers nothing, and uses what was shared with her."""
    assert terminal.say("user", "create", "ann", "--password-file", "-", stdin=_PASSWORD) == "ann@internal\n"
    assert (
        "exists already"
        in terminal.type(
            "user", "create", "ann@internal", "--password-file", "-", stdin=_PASSWORD, status=5
        ).stderr.decode()
    )
    assert "no terminal to ask" in terminal.refused("user", "create", "bob", status=2)
    assert "ann@internal" in terminal.say("user", "list", "--filter", "user=ann*")
    for name in ("shared", "private"):
        words = ["--no-tls-verify", "--name", name, "--volume", "/data:discard", "--", "sleep", "1000"]
        terminal.say("container", "run", terminal.reference, *words)
    given = ("UserVmManager", "--user", "ann", "--container", "shared")
    assert terminal.say("permission", "add", *given) == "ann@internal has UserVmManager on shared\n"
    assert "vm shared" in terminal.say("permission", "list", "--user", "ann@internal")
    assert "there is no container nowhere" in terminal.refused(
        "permission", "list", "--container", "nowhere", status=3
    )
    assert "say on what" in terminal.refused("permission", "add", "UserRole", "--user", "ann", status=2)

    ann = _logged_in(terminal, open_dir, _PASSWORD)
    assert [each["name"] for each in ann.data("container", "list")] == ["shared"]
    assert ann.say("container", "exec", "shared", "echo", "hello") == "hello\n"
    ann.say("container", "stop", "--force", "shared")
    ann.say("container", "start", "shared")
    ann.refused("container", "stop", "private", status=3)
    ann.refused("user", "create", "bob", "--no-password", status=4)
    assert "not authorized" in ann.refused("host", "add", "node2", status=4)
    assert "no cluster that you may use" in ann.refused("container", "run", terminal.reference, status=3)

    terminal.say("permission", "add", "DiskCreator", "--user", "ann", "--storage", "local")
    terminal.say("permission", "add", "VnicProfileUser", "--user", "ann", "--network", "ovirtmgmt")
    assert [each["name"] for each in ann.data("storage", "list")] == ["local"]
    told = {each["role"]["name"]: each["on"] for each in terminal.data("permission", "list", "--user", "ann")}
    assert told["DiskCreator"] == "storage domain local"
    assert told["VnicProfileUser"] == "something else", "the API does not tell networks"
    (told_there,) = terminal.data("permission", "list", "--network", "ovirtmgmt", "--user", "ann")
    assert told_there["on"] == "ovirtmgmt"

    terminal.say("user", "password", "ann", "--password-file", "-", stdin=b"another horse")
    ann.refused("container", "list", status=4)
    _logged_in(terminal, open_dir, _PASSWORD, status=4)
    ann = _logged_in(terminal, open_dir, b"another horse")
    present, wrong = open_dir / "present", open_dir / "wrong"
    present.write_text("another horse\n")
    wrong.write_text("no horse\n")
    own = ("user", "password", "--password-file", "-", "--current-file")
    assert (
        "current password is another one" in ann.type(*own, str(wrong), stdin=b"her horse", status=4).stderr.decode()
    )
    ann.type(*own, str(present), stdin=b"her horse")
    assert ann.data("container", "list")[0]["name"] == "shared", "she is logged in with the new one"
    _logged_in(terminal, open_dir, b"another horse", status=4)
    ann = _logged_in(terminal, open_dir, b"her horse")
    assert terminal.say("permission", "remove", *given).endswith("on shared no more\n")
    assert "ann@internal has no role" in terminal.refused("permission", "remove", *given, status=3)
    assert ann.data("container", "list") == []
    terminal.say("container", "remove", "--force", "shared", "private")
    terminal.say("user", "remove", "ann")
    ann.refused("container", "list", status=4)
    terminal.say("image", "prune", "--yes")


def test_the_first_user(terminal: Terminal) -> None:
    """covirt up works with the new password, too."""
    file = terminal.machine.root.config_dir / "admin-password"
    before = file.read_bytes()
    terminal.say("user", "password", "admin", "--password-file", "-", stdin=b"another one")
    assert file.read_text() == "another one\n"
    assert file.stat().st_mode & 0o777 == 0o600
    terminal.say("logout")
    terminal.machine.up()
    assert terminal.say("user", "password", "admin", "--password-file", "-", stdin=before) == "admin@internal\n"
    assert file.read_bytes() == before
