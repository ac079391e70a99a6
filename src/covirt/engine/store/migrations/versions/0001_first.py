# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The first tables."""

from alembic import op

from covirt.engine.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    metadata.create_all(op.get_bind())
