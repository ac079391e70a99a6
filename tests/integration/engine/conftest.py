# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API over a small installation, on a port, and the stock SDK connected to it."""

from collections.abc import Callable, Iterator

import ovirtsdk4 as sdk
import pytest

from covirt.engine.auth.seed import seed_access
from covirt.engine.store.seed import seed
from covirt.engine.store.store import Store
from tests.support.engine_api import api_app, serve_api
from tests.support.engine_samples import fill
from tests.support.roots import new_directory


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def samples(request: pytest.FixtureRequest) -> Iterator[Store]:
    """What a new engine begins with, and one of everything; on each of the two databases."""
    with new_directory() as path:
        url = f"sqlite:///{path}/engine.db"
        if request.param == "postgresql":
            url = request.getfixturevalue("postgres").new_database()
        store = Store.open(url)
        with store.write() as session:
            seed(session)
            seed_access(session)
        fill(store)
        yield store
        store.close()


@pytest.fixture
def api_url(samples: Store) -> Iterator[str]:
    with serve_api(api_app(samples)) as url:
        yield url


@pytest.fixture
def connect(api_url: str) -> Iterator[Callable[..., sdk.Connection]]:
    """By a token, since logging in is another matter."""
    opened: list[sdk.Connection] = []

    def connected(user: str = "admin", **options: object) -> sdk.Connection:
        opened.append(sdk.Connection(url=api_url, token=user, timeout=30, **options))
        return opened[-1]

    yield connected
    for connection in opened:
        connection.close(logout=False)


@pytest.fixture
def connection(connect: Callable[..., sdk.Connection]) -> sdk.Connection:
    return connect()
