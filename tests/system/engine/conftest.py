# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A running engine on each of the two databases, and the one on SQLite alone for what does not depend on it."""

from collections.abc import Iterator

import pytest

from tests.support.covirt_engine import CovirtEngine, serve_covirt_engine
from tests.support.postgres import Postgres, serve_postgres
from tests.support.roots import new_directory, new_root


@pytest.fixture(scope="package")
def postgres() -> Iterator[Postgres]:
    with new_directory() as path, serve_postgres(path) as running:
        yield running


@pytest.fixture(scope="package")
def engine() -> Iterator[CovirtEngine]:
    """On SQLite, shared by all tests: who ends it in a test has one of its own."""
    with new_root() as root, serve_covirt_engine(root) as running:
        yield running


@pytest.fixture(scope="package")
def postgres_engine(postgres: Postgres) -> Iterator[CovirtEngine]:
    url = postgres.new_database()
    with new_root() as root, serve_covirt_engine(root, database=url) as running:
        yield running
    postgres.remove_database(url)


@pytest.fixture(scope="package", params=["engine", "postgres_engine"], ids=["sqlite", "postgresql"])
def any_engine(request: pytest.FixtureRequest) -> CovirtEngine:
    """On each of the two databases."""
    running: CovirtEngine = request.getfixturevalue(request.param)
    return running
