# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A running engine: one on SQLite that a module shares, and one on each database for what depends on it."""

from collections.abc import Iterator

import pytest

from covirt.common.root import Root
from tests.support.covirt_engine import CovirtEngine, serve_covirt_engine
from tests.support.postgres import Postgres, serve_postgres
from tests.support.roots import new_directory, new_root


@pytest.fixture(scope="package")
def postgres() -> Iterator[Postgres]:
    with new_directory() as path, serve_postgres(path) as running:
        yield running


@pytest.fixture(scope="module")
def engine(module_root: Root) -> Iterator[CovirtEngine]:
    """On SQLite; it runs, whatever a test has done to it before."""
    with serve_covirt_engine(module_root) as running:
        yield running


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def any_engine(request: pytest.FixtureRequest) -> Iterator[CovirtEngine]:
    """On each of the two databases."""
    with new_root() as root:
        if request.param == "sqlite":
            with serve_covirt_engine(root) as running:
                yield running
            return
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_database()
        with serve_covirt_engine(root, database=url) as running:
            yield running
        postgres.remove_database(url)
