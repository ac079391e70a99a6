# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The database as the rest of the engine sees it: transactions that read, and transactions that write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from sqlalchemy import Engine, text

from covirt.engine.store.database import BUSY_SECONDS, POOL_SIZE, connect, transaction
from covirt.engine.store.errors import DatabaseBusy
from covirt.engine.store.migrate import migrate
from covirt.engine.store.session import Session

_LIMIT: Final = text("SET LOCAL lock_timeout = '30s'")  # as SQLite's writers wait
_ONE_AT_A_TIME: Final = text(f"SELECT pg_advisory_xact_lock({0x636F76697274})")  # the number is ours: "covirt"


class Store:
    """Threads may share it; a Session they may not.

    Who waits for the turn to write holds no connection: who writes may read beside it, and would else wait for those
    that wait for him.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writers = threading.BoundedSemaphore(1 if engine.dialect.name == "sqlite" else POOL_SIZE // 2)

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
        """All of it, or nothing when it raises. Keep it short: on SQLite there is one writer at a time. Raises
        DatabaseBusy."""
        if not self._writers.acquire(timeout=BUSY_SECONDS):
            raise DatabaseBusy
        try:
            with transaction(self._engine, writes=True) as connection:
                yield Session(connection)
        finally:
            self._writers.release()

    @contextmanager
    def change(self) -> Iterator[Session]:
        """As write(), and on PostgreSQL, too, one at a time: what was looked at is so until the end, so that of two
        who add to the same object neither takes away what the other has added."""
        with self.write() as session:
            if session.connection.dialect.name == "postgresql":
                session.connection.execute(_LIMIT)
                session.connection.execute(_ONE_AT_A_TIME)
            yield session

    def close(self) -> None:
        """Close what is idle."""
        self._engine.dispose()
