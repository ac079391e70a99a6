# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of container images."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.create_table(
        "container_images",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=100), nullable=False),
        sa.Column("architecture", sa.String(length=40), nullable=False),
        sa.Column("volumes", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["disks.id"], name=op.f("fk_container_images_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_container_images")),
    )
    op.create_index(op.f("ix_container_images_digest"), "container_images", ["digest"], unique=False)
