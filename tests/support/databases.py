# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The two databases of the engine: the same tests on both."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from covirt.engine.store.store import Store
from tests.support.postgres import Postgres, serve_postgres
from tests.support.roots import new_directory


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with new_directory() as path, serve_postgres(path) as running:
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A database of each kind whose tables are made: tests take copies, which is quicker."""

    sqlite: Path
    postgresql: str


@pytest.fixture(scope="session")
def made(postgres: Postgres) -> Iterator[Made]:
    with new_directory() as path:
        databases = Made(sqlite=path / "made.db", postgresql=postgres.new_database())
        for url in (f"sqlite:///{databases.sqlite}", databases.postgresql):
            Store.open(url).close()
        yield databases


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, postgres: Postgres, made: Made, tmp_path: Path) -> Iterator[str]:
    """Of a database without rows."""
    if request.param == "sqlite":
        shutil.copyfile(made.sqlite, tmp_path / "engine.db")
        yield f"sqlite:///{tmp_path}/engine.db"
        return
    url = postgres.new_database(like=made.postgresql)
    yield url
    postgres.remove_database(url)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = Store.open(database_url)
    yield opened
    opened.close()
