# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The database as the rest of the engine sees it: transactions that read, and transactions that write."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from sqlalchemy import Engine

from covirt.engine.store.database import connect, transaction
from covirt.engine.store.migrate import migrate
from covirt.engine.store.session import Session


class Store:
    """Threads may share it; a Session they may not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect, and bring the tables up to date. Raises BadDatabaseUrl, DatabaseUnreachable, DatabaseTooNew."""
        engine = connect(url)
        try:
            with transaction(engine, writes=True) as connection:
                migrate(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """All statements see one state; nothing can be written."""
        with transaction(self._engine, writes=False) as connection:
            yield Session(connection)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """All of it, or nothing when it raises. Keep it short: on SQLite there is one writer at a time."""
        with transaction(self._engine, writes=True) as connection:
            yield Session(connection)

    def close(self) -> None:
        """Close what is idle."""
        self._engine.dispose()
