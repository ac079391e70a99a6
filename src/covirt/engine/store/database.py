# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The connection to SQLite or PostgreSQL, and how a transaction begins on each."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from covirt.common.errors import InvalidRequest
from covirt.engine.store.errors import DatabaseBusy, DatabaseUnreachable, UnfitValue

_WRITES: Final = "covirt_writes"
BUSY_SECONDS: Final = 30
_MAPPED_BYTES: Final = 1 << 30  # of the file; pages in the system's cache are read where they are
POOL_SIZE: Final = 20  # the API's threads, and a few for what runs behind


class BadDatabaseUrl(InvalidRequest):
    """Never tells the URL itself, which may hold a password."""

    template = (
        "[database] url must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME, and is of another kind."
    )


def connect(url: str) -> Engine:
    """An engine for ``sqlite:///PATH`` or ``postgresql://…``. Nothing is opened yet."""
    try:
        parsed = make_url(url)
    except Exception as error:  # noqa: BLE001 - its own error would print the password
        raise BadDatabaseUrl from error.__class__("not a database URL")
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    raise BadDatabaseUrl


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url, connect_args={"timeout": BUSY_SECONDS}, pool_size=POOL_SIZE, max_overflow=0, hide_parameters=True
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    """WAL: readers never wait for the writer. FULL: what was answered is still there after a power cut."""
    del record
    connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII only
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where Python guesses
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
        f"mmap_size={_MAPPED_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _lower(value: str | float | None) -> str | float | None:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Connection) -> None:
    """A writer locks first: one that reads, then writes, would fail when another was quicker."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """One transaction: all of it or nothing. Raises DatabaseBusy, DatabaseUnreachable, UnfitValue."""
    try:
        with engine.connect() as connection:
            options: dict[str, Any] = {_WRITES: writes}
            if not writes and engine.dialect.name == "postgresql":
                # every statement of a read sees the same state, as in SQLite
                options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            with connection.execution_options(**options).begin():
                yield connection
    except DataError as error:
        raise UnfitValue from error
    except OperationalError as error:
        raise _unavailable(error) from error


def _unavailable(error: DBAPIError) -> Exception:
    reason = str(error.orig).strip().splitlines()[0] if str(error.orig) else "no reason given"
    if "locked" in reason or "lock timeout" in reason or "deadlock" in reason:
        return DatabaseBusy()
    return DatabaseUnreachable(reason=reason)
