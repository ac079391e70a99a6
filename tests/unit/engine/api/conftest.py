# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API over a small installation in SQLite."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from covirt.engine.store.store import Store
from tests.support.engine_api import api_app, api_client
from tests.support.engine_changing import admin, cook, installed, store
from tests.support.engine_samples import fill
from tests.support.roots import new_directory

__all__ = ["admin", "api", "cook", "installed", "samples", "store", "user_api"]


@pytest.fixture(scope="package")
def samples() -> Iterator[Store]:
    """Read by all tests, changed by none."""
    with new_directory() as path:
        store = Store.open(f"sqlite:///{path}/engine.db")
        fill(store)
        yield store
        store.close()


@pytest.fixture(params=[False, True], ids=["once", "again"])
def again(request: pytest.FixtureRequest) -> bool:
    """Whether each step of an operation is run a second time, as after a kill of the engine."""
    return bool(request.param)


@pytest.fixture
def api(samples: Store) -> TestClient:
    """As an administrator."""
    return api_client(api_app(samples))


@pytest.fixture
def user_api(samples: Store) -> TestClient:
    """As a user who administers nothing, and has a role on one machine."""
    return api_client(api_app(samples), user="user")
