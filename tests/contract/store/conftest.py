# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The two databases of the engine: the same tests on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.engine.store.store import Store
from tests.support.postgres import Postgres, serve_postgres
from tests.support.roots import new_directory


@pytest.fixture(scope="package")
def postgres() -> Iterator[Postgres]:
    with new_directory() as path, serve_postgres(path) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path) -> Iterator[str]:
    """Of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/engine.db"
        return
    url = postgres.new_database()
    yield url
    postgres.remove_database(url)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = Store.open(database_url)
    yield opened
    opened.close()
