# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Transfers of images outlive their disks, and know their tickets. Nothing has ever been written to the table."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.drop_table("image_transfers")
    op.create_table(
        "image_transfers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("disk_id", sa.String(length=36), nullable=False),
        sa.Column("direction", sa.String(length=40), nullable=False),
        sa.Column("phase", sa.String(length=40), nullable=False),
        sa.Column("format", sa.String(length=40), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=True),
        sa.Column("timeout_policy", sa.String(length=40), nullable=False),
        sa.Column("inactivity_timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("transfer_url", sa.Text(), nullable=False),
        sa.Column("transferred_bytes", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("shallow", sa.Boolean(), nullable=False),
        sa.Column("ticket_id", sa.String(length=36), nullable=False),
        sa.Column("illegal_before", sa.Boolean(), nullable=False),
        sa.Column("source_url", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("last_activity", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_image_transfers_host_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_transfers")),
        sa.UniqueConstraint("ticket_id", name=op.f("uq_image_transfers_ticket_id")),
    )
    op.create_index(op.f("ix_image_transfers_disk_id"), "image_transfers", ["disk_id"], unique=False)
    op.create_index(op.f("ix_image_transfers_host_id"), "image_transfers", ["host_id"], unique=False)
    op.create_index(op.f("ix_image_transfers_name"), "image_transfers", ["name"], unique=False)
