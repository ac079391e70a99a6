# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What oVirt's clients set of a cluster, and compare."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.add_column("clusters", sa.Column("settings", sa.Text(), nullable=False, server_default="{}"))
