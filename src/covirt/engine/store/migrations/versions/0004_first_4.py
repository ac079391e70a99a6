# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The first tables, part 4 of 4, in the order in which they refer to each other."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.create_table(
        "vms",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("template_id", sa.String(length=36), nullable=False),
        sa.Column("original_template_id", sa.String(length=36), nullable=False),
        sa.Column("instance_type_id", sa.String(length=36), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("hardware", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("cpu_profile_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_run", sa.Boolean(), nullable=False),
        sa.Column("image_locked", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name=op.f("fk_vms_cluster_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["cpu_profile_id"], ["cpu_profiles.id"], name=op.f("fk_vms_cpu_profile_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["instance_type_id"], ["instance_types.id"], name=op.f("fk_vms_instance_type_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["template_id"], ["templates.id"], name=op.f("fk_vms_template_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vms")),
        sa.UniqueConstraint("name", name=op.f("uq_vms_name")),
    )
    op.create_index(op.f("ix_vms_cluster_id"), "vms", ["cluster_id"], unique=False)
    op.create_index(op.f("ix_vms_cpu_profile_id"), "vms", ["cpu_profile_id"], unique=False)
    op.create_index(op.f("ix_vms_instance_type_id"), "vms", ["instance_type_id"], unique=False)
    op.create_index(op.f("ix_vms_template_id"), "vms", ["template_id"], unique=False)
    op.create_table(
        "affinity_group_vms",
        sa.Column("affinity_group_id", sa.String(length=36), nullable=False),
        sa.Column("vm_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["affinity_group_id"],
            ["affinity_groups.id"],
            name=op.f("fk_affinity_group_vms_affinity_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_affinity_group_vms_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("affinity_group_id", "vm_id", name=op.f("pk_affinity_group_vms")),
    )
    op.create_index(op.f("ix_affinity_group_vms_vm_id"), "affinity_group_vms", ["vm_id"], unique=False)
    op.create_table(
        "affinity_label_vms",
        sa.Column("affinity_label_id", sa.String(length=36), nullable=False),
        sa.Column("vm_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["affinity_label_id"],
            ["affinity_labels.id"],
            name=op.f("fk_affinity_label_vms_affinity_label_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_affinity_label_vms_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("affinity_label_id", "vm_id", name=op.f("pk_affinity_label_vms")),
    )
    op.create_index(op.f("ix_affinity_label_vms_vm_id"), "affinity_label_vms", ["vm_id"], unique=False)
    op.create_table(
        "cdroms",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("vm_id", sa.String(length=36), nullable=True),
        sa.Column("template_id", sa.String(length=36), nullable=True),
        sa.Column("file_id", sa.String(length=36), nullable=True),
        sa.Column("current_file_id", sa.String(length=36), nullable=True),
        sa.CheckConstraint("(vm_id IS NULL) <> (template_id IS NULL)", name="one_owner"),
        sa.ForeignKeyConstraint(
            ["template_id"], ["templates.id"], name=op.f("fk_cdroms_template_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_cdroms_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cdroms")),
    )
    op.create_index(op.f("ix_cdroms_template_id"), "cdroms", ["template_id"], unique=False)
    op.create_index(op.f("ix_cdroms_vm_id"), "cdroms", ["vm_id"], unique=False)
    op.create_table(
        "disk_profiles",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("storage_domain_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["storage_domain_id"],
            ["storage_domains.id"],
            name=op.f("fk_disk_profiles_storage_domain_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disk_profiles")),
    )
    op.create_index(op.f("ix_disk_profiles_name"), "disk_profiles", ["name"], unique=False)
    op.create_index(op.f("ix_disk_profiles_storage_domain_id"), "disk_profiles", ["storage_domain_id"], unique=False)
    op.create_table(
        "nics",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("vm_id", sa.String(length=36), nullable=True),
        sa.Column("template_id", sa.String(length=36), nullable=True),
        sa.Column("interface", sa.String(length=40), nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("vnic_profile_id", sa.String(length=36), nullable=True),
        sa.Column("linked", sa.Boolean(), nullable=False),
        sa.Column("plugged", sa.Boolean(), nullable=False),
        sa.Column("rx_bits_per_second", sa.BigInteger(), nullable=False),
        sa.Column("tx_bits_per_second", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(vm_id IS NULL) <> (template_id IS NULL)", name="one_owner"),
        sa.ForeignKeyConstraint(
            ["template_id"], ["templates.id"], name=op.f("fk_nics_template_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_nics_vm_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["vnic_profile_id"], ["vnic_profiles.id"], name=op.f("fk_nics_vnic_profile_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nics")),
        sa.UniqueConstraint("template_id", "name", name=op.f("uq_nics_template_id_name")),
        sa.UniqueConstraint("vm_id", "name", name=op.f("uq_nics_vm_id_name")),
    )
    op.create_index(op.f("ix_nics_mac"), "nics", ["mac"], unique=False)
    op.create_index(op.f("ix_nics_name"), "nics", ["name"], unique=False)
    op.create_index(op.f("ix_nics_template_id"), "nics", ["template_id"], unique=False)
    op.create_index(op.f("ix_nics_vm_id"), "nics", ["vm_id"], unique=False)
    op.create_index(op.f("ix_nics_vnic_profile_id"), "nics", ["vnic_profile_id"], unique=False)
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("vm_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("date", sa.DateTime(timezone=True), nullable=False),
        sa.Column("persist_memory", sa.Boolean(), nullable=False),
        sa.Column("hardware", sa.Text(), nullable=True),
        sa.Column("disks", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_snapshots_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
    )
    op.create_index(op.f("ix_snapshots_name"), "snapshots", ["name"], unique=False)
    op.create_index(op.f("ix_snapshots_vm_id"), "snapshots", ["vm_id"], unique=False)
    op.create_table(
        "storage_domain_facts",
        sa.Column("storage_domain_id", sa.String(length=36), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["storage_domain_id"],
            ["storage_domains.id"],
            name=op.f("fk_storage_domain_facts_storage_domain_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("storage_domain_id", name=op.f("pk_storage_domain_facts")),
    )
    op.create_table(
        "vm_facts",
        sa.Column("vm_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_vm_facts_host_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_vm_facts_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("vm_id", name=op.f("pk_vm_facts")),
    )
    op.create_index(op.f("ix_vm_facts_host_id"), "vm_facts", ["host_id"], unique=False)
    op.create_index(op.f("ix_vm_facts_status"), "vm_facts", ["status"], unique=False)
    op.create_table(
        "disks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("storage_domain_id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("format", sa.String(length=40), nullable=False),
        sa.Column("sparse", sa.Boolean(), nullable=False),
        sa.Column("content_type", sa.String(length=40), nullable=False),
        sa.Column("provisioned_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("actual_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("total_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("initial_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("shareable", sa.Boolean(), nullable=False),
        sa.Column("wipe_after_delete", sa.Boolean(), nullable=False),
        sa.Column("propagate_errors", sa.Boolean(), nullable=False),
        sa.Column("qcow_version", sa.String(length=16), nullable=False),
        sa.Column("disk_profile_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["disk_profile_id"], ["disk_profiles.id"], name=op.f("fk_disks_disk_profile_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["storage_domain_id"],
            ["storage_domains.id"],
            name=op.f("fk_disks_storage_domain_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disks")),
        sa.UniqueConstraint("image_id", name=op.f("uq_disks_image_id")),
    )
    op.create_index(op.f("ix_disks_disk_profile_id"), "disks", ["disk_profile_id"], unique=False)
    op.create_index(op.f("ix_disks_name"), "disks", ["name"], unique=False)
    op.create_index(op.f("ix_disks_storage_domain_id"), "disks", ["storage_domain_id"], unique=False)
    op.create_table(
        "disk_attachments",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("disk_id", sa.String(length=36), nullable=False),
        sa.Column("vm_id", sa.String(length=36), nullable=True),
        sa.Column("template_id", sa.String(length=36), nullable=True),
        sa.Column("interface", sa.String(length=40), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("bootable", sa.Boolean(), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("pass_discard", sa.Boolean(), nullable=False),
        sa.Column("uses_scsi_reservation", sa.Boolean(), nullable=False),
        sa.Column("logical_name", sa.Text(), nullable=False),
        sa.CheckConstraint("(vm_id IS NULL) <> (template_id IS NULL)", name="one_owner"),
        sa.ForeignKeyConstraint(
            ["disk_id"], ["disks.id"], name=op.f("fk_disk_attachments_disk_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["template_id"], ["templates.id"], name=op.f("fk_disk_attachments_template_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_disk_attachments_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_disk_attachments")),
        sa.UniqueConstraint("template_id", "disk_id", name=op.f("uq_disk_attachments_template_id_disk_id")),
        sa.UniqueConstraint("vm_id", "disk_id", name=op.f("uq_disk_attachments_vm_id_disk_id")),
    )
    op.create_index(op.f("ix_disk_attachments_disk_id"), "disk_attachments", ["disk_id"], unique=False)
    op.create_index(op.f("ix_disk_attachments_template_id"), "disk_attachments", ["template_id"], unique=False)
    op.create_index(op.f("ix_disk_attachments_vm_id"), "disk_attachments", ["vm_id"], unique=False)
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
        sa.Column("proxy_url", sa.Text(), nullable=False),
        sa.Column("transferred_bytes", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("shallow", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["disk_id"], ["disks.id"], name=op.f("fk_image_transfers_disk_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_image_transfers_host_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_transfers")),
    )
    op.create_index(op.f("ix_image_transfers_disk_id"), "image_transfers", ["disk_id"], unique=False)
    op.create_index(op.f("ix_image_transfers_host_id"), "image_transfers", ["host_id"], unique=False)
    op.create_index(op.f("ix_image_transfers_name"), "image_transfers", ["name"], unique=False)
