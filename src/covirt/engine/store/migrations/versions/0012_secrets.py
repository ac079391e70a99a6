# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets, and the custom property that names them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_LAST = "containerRootDisk=^.{1,255}$"
_NEW = _LAST + ";containerSecrets=^.{1,4096}$"
_ADD_PROPERTY = """
UPDATE system_options SET "values" = replace("values", :last, :new)
WHERE name = 'PredefinedVMProperties' AND "values" NOT LIKE '%containerSecrets%'
"""


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.create_table(
        "secrets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
        sa.UniqueConstraint("name", name=op.f("uq_secrets_name")),
    )
    op.execute(sa.text(_ADD_PROPERTY).bindparams(last=_LAST, new=_NEW))
