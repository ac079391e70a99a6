# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's settings, and the database's URL that they make."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from covirt.common.config import BadConfigValue
from covirt.common.root import Root
from covirt.engine.config import DatabaseConfig, EngineConfig, load_engine_config
from covirt.engine.services import UnreadablePassword, database_url


def _load(root: Root, text: str) -> EngineConfig:
    directory = root.config_dir / "engine.d"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "a.toml").write_text(text)
    return load_engine_config(root)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@db/covirt",
        "postgresql://me@db/covirt?password=secret",
        "mysql://me@db/covirt",
        "engine.db",
        "postgresql://[::1/covirt",
    ],
)
def test_a_url_that_is_none_or_holds_a_password_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadConfigValue) as caught:
        _load(Root(tmp_path), f'[database]\nurl = "{url}"\n')
    assert "secret" not in str(caught.value)


def test_a_wrong_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfigValue):
        _load(Root(tmp_path), 'log_level = "loud"\n')


def test_without_a_url_it_is_sqlite_in_the_state_directory(tmp_path: Path) -> None:
    root = Root(tmp_path)
    assert make_url(database_url(root, DatabaseConfig())).database == f"{tmp_path}/var/lib/covirt/engine/engine.db"


def test_the_password_comes_from_its_file_whatever_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p@ss:/w?rd%ü\n")
    url = "postgresql://me@db.example.com:5433/covirt?sslmode=require"
    config = DatabaseConfig(url=url, password_file="secret")  # noqa: S106 - a file
    made = make_url(database_url(Root(tmp_path), config))
    assert (made.username, made.password, made.host, made.port) == ("me", "p@ss:/w?rd%ü", "db.example.com", 5433)
    assert made.query == {"sslmode": "require"}


def test_a_password_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    config = DatabaseConfig(url="postgresql://me@db/covirt", password_file="/secret")  # noqa: S106
    with pytest.raises(UnreadablePassword, match="/secret"):
        database_url(Root(tmp_path), config)
