# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Brings a database's tables to what this engine knows, with Alembic, inside one transaction."""

from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from covirt.engine.store.columns import metadata
from covirt.engine.store.errors import DatabaseTooNew

_SCRIPTS: Final = Path(__file__).with_name("migrations")
_LOCK: Final = 0x636F76697274  # "covirt": PostgreSQL's advisory lock, so that two engines do not migrate at once


def migrate(connection: Connection) -> None:
    """Raises DatabaseTooNew when a newer engine was here."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    _require_known(connection, script)
    head = script.get_current_head() or "base"

    def steps(revision: Any, context: MigrationContext) -> Any:
        del context
        return script._upgrade_revs(head, revision)

    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        environment.run_migrations()


def _require_known(connection: Connection, script: ScriptDirectory) -> None:
    known = {revision.revision for revision in script.walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in known:
            raise DatabaseTooNew(revision=revision)
