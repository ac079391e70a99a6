# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Names are found without regard to case, and without reading them all.

SQLite's index cannot have our lower(), which knows more than ASCII; PostgreSQL has no such order of texts. The tables
in the code are of no dialect, and do not name these indexes.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_ORDERS = {"sqlite": ("no_case", "name COLLATE NOCASE"), "postgresql": ("lower", "lower(name)")}


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    suffix, expression = _ORDERS[op.get_bind().dialect.name]
    for table in ("templates", "vms", "disks"):
        op.execute(f"CREATE INDEX ix_{table}_name_{suffix} ON {table} ({expression})")
