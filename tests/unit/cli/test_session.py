# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine a command talks to: never another one than the user thinks of."""

from pathlib import Path

import pytest

from covirt.cli import session
from covirt.cli.up.installation import Choices, Installation
from covirt.client.errors import NotLoggedIn
from covirt.client.logins import Login, login_path, read_login, write_login


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of an installation whose engine is on port 8443, and whose first user is logged in."""
    for name in ("COVIRT_URL", "COVIRT_TOKEN", "COVIRT_CA_FILE", "COVIRT_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = tmp_path / "root"
    root.mkdir()
    Installation.at(str(root)).keep(Choices(engine_port=8443))
    write_login(Login(url="https://localhost:8443", ca_file="", user="admin@internal", token="t", root=str(root)))  # noqa: S106
    return root


def test_a_login_is_kept_for_its_user_alone(root: Path) -> None:
    assert login_path().stat().st_mode & 0o777 == 0o600
    kept = session._kept()
    assert kept == read_login()
    assert kept is not None
    assert kept.root == str(root)


def test_another_root_is_another_engine(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVIRT_ROOT", str(root))
    assert session._kept() is not None
    monkeypatch.setenv("COVIRT_ROOT", str(tmp_path))
    assert session._kept() is None
    with pytest.raises(NotLoggedIn), session.engine():
        pass


def test_an_engine_that_has_moved_is_asked_where_it_is(root: Path) -> None:
    Installation.at(str(root)).keep(Choices(engine_port=9443))
    assert session._kept() is None


def test_the_environment_counts_most(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVIRT_URL", "engine.example.com/ovirt-engine/api")
    with pytest.raises(NotLoggedIn), session.engine():
        pass
    monkeypatch.setenv("COVIRT_TOKEN", "secret")
    with session.engine() as resources:
        assert resources.api.url == "https://engine.example.com"
        assert "secret" not in repr(resources.api.token)
