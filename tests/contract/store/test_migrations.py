# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The migrations make the tables that the code knows, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from covirt.engine.store.store import Store
from covirt.engine.store.tables import metadata


def test_migrations_end_in_the_tables_of_today(store: Store) -> None:
    with store.read() as session:
        opts = {"compare_server_default": True, "include_object": _in_both}
        context = MigrationContext.configure(session.connection, opts=opts)
        assert compare_metadata(context, metadata) == []


def test_a_database_that_is_up_to_date_is_left_alone(store: Store, database_url: str) -> None:
    with store.read() as session:
        before = MigrationContext.configure(session.connection).get_current_heads()
    again = Store.open(database_url)
    with again.read() as session:
        assert MigrationContext.configure(session.connection).get_current_heads() == before
    again.close()


def _in_both(item: object, name: str, *more: object) -> bool:
    """Indexes of one dialect only are in migrations alone: test_search looks at what they are for."""
    del item, more
    return not name.endswith(("_name_no_case", "_name_lower"))
