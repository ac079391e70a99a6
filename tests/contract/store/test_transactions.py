# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a transaction promises, on both databases."""

import dataclasses
import threading

import pytest
from sqlalchemy import text

from covirt.engine.model.network import MacPool, MacRange
from covirt.engine.store.database import BadDatabaseUrl
from covirt.engine.store.errors import (
    BadReference,
    DatabaseTooNew,
    DatabaseUnreachable,
    NameInUse,
    NoSuchObject,
    StillInUse,
    UnfitValue,
)
from covirt.engine.store.store import Store
from tests.support.engine_objects import add_blank, add_cluster, new_id, new_vm
from tests.support.postgres import Postgres


def _pool(name: str) -> MacPool:
    return MacPool(id=new_id(), name=name, ranges=(MacRange(first="56:6f:00:00:00:00", last="56:6f:00:00:00:ff"),))


def test_what_was_written_is_there_after_a_restart(database_url: str) -> None:
    pool = _pool("first")
    store = Store.open(database_url)
    with store.write() as session:
        session.mac_pools.add(pool)
    store.close()
    again = Store.open(database_url)
    with again.read() as session:
        assert session.mac_pools.get(pool.id) == pool
    again.close()


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def add_twice() -> None:
        with store.write() as session:
            session.mac_pools.add(_pool("twice"))
            session.mac_pools.add(_pool("twice"))

    with pytest.raises(NameInUse, match="The name twice is in use by another MAC Pool"):
        add_twice()
    with store.read() as session:
        assert session.mac_pools.list() == []


def test_a_read_sees_one_state(store: Store) -> None:
    with store.read() as reading:
        assert reading.mac_pools.list() == []
        with store.write() as writing:
            writing.mac_pools.add(_pool("meanwhile"))
        assert reading.mac_pools.list() == []
    with store.read() as session:
        assert [pool.name for pool in session.mac_pools.list()] == ["meanwhile"]


def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match=r"read-?only|readonly"), store.read() as session:
        session.mac_pools.add(_pool("sly"))


def test_writers_wait_for_each_other(store: Store) -> None:
    """Each reads what it changes: none of sixteen additions is lost."""
    with store.write() as session:
        pool = _pool("0")
        session.mac_pools.add(pool)

    def count_up() -> None:
        for _ in range(4):
            with store.write() as session:
                session.connection.execute(text("UPDATE mac_pools SET comment = comment || 'x'"))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as session:
        assert session.mac_pools.get(pool.id).comment == "x" * 16


def test_what_is_referred_to_cannot_be_removed(store: Store) -> None:
    with store.write() as session:
        cluster = add_cluster(session)
    with pytest.raises(StillInUse), store.write() as session:
        session.data_centers.remove(cluster.data_center_id)
    with pytest.raises(BadReference), store.write() as session:
        session.clusters.add(dataclasses.replace(cluster, id=new_id(), name="other", data_center_id=new_id()))


def test_what_is_not_there_is_said(store: Store) -> None:
    missing = new_id()
    with store.write() as session:
        with pytest.raises(NoSuchObject, match=f"There is no VM {missing}"):
            session.vms.get(missing)
        with pytest.raises(NoSuchObject):
            session.vms.remove(missing)
        cluster = add_cluster(session)
        add_blank(session)
        with pytest.raises(NoSuchObject):
            session.vms.update(new_vm(cluster))


def test_a_newer_database_is_refused(database_url: str) -> None:
    store = Store.open(database_url)
    with store.write() as session:
        session.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(DatabaseTooNew, match="9999"):
        Store.open(database_url)


def test_an_unreachable_database_is_one_sentence() -> None:
    with pytest.raises(DatabaseUnreachable, match="does not answer"):
        Store.open("sqlite:////nowhere/engine.db")
    with pytest.raises(DatabaseUnreachable) as caught:
        Store.open("postgresql://cook:pepper@127.0.0.1:1/engine")
    assert "pepper" not in str(caught.value)


def test_a_bad_url_is_refused_without_telling_it() -> None:
    for url in ("mysql://cook:pepper@h/x", "nonsense pepper"):
        with pytest.raises(BadDatabaseUrl) as caught:
            Store.open(url)
        assert "pepper" not in str(caught.value)


def test_a_value_that_a_database_cannot_hold_is_the_requests_fault(postgres: Postgres) -> None:
    """SQLite holds them all."""
    url = postgres.new_database()
    store = Store.open(url)
    for name in ("a\0b", "x" * 300):
        with pytest.raises(UnfitValue), store.write() as session:
            session.mac_pools.add(_pool(name))
    store.close()
    postgres.remove_database(url)


def test_many_who_write_and_read_beside_it(store: Store) -> None:
    """None of them waits for a connection that another one holds while it waits for him."""
    together, errors = threading.Barrier(30), []

    def change() -> None:
        together.wait()
        try:
            with store.change() as writing, store.read() as reading:
                assert not reading.mac_pools.list()
                assert not writing.mac_pools.list()
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=change, name=f"writer-{number}") for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
