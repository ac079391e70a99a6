# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which kind of machine a disk belongs to, for good."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

# Of a disk that is attached now; one that was detached before this release is taken for a new one.
_KNOWN = """
UPDATE disks SET kind = (
    SELECT vms.kind FROM disk_attachments JOIN vms ON vms.id = disk_attachments.vm_id
    WHERE disk_attachments.disk_id = disks.id LIMIT 1
)
"""


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.add_column("disks", sa.Column("kind", sa.String(length=40), nullable=True))
    op.execute(_KNOWN)
