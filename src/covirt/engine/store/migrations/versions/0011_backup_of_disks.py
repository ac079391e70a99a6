# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a disk is made for incremental backups, which oVirt's clients ask for with each qcow2 disk."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.add_column("disks", sa.Column("backup", sa.String(length=40), nullable=False, server_default="none"))
