# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The first tables, part 3 of 4, in the order in which they refer to each other."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.create_table(
        "affinity_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("priority", sa.Float(), nullable=False),
        sa.Column("vms_rule", sa.Text(), nullable=False),
        sa.Column("hosts_rule", sa.Text(), nullable=False),
        sa.Column("broken", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_affinity_groups_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affinity_groups")),
        sa.UniqueConstraint("cluster_id", "name", name=op.f("uq_affinity_groups_cluster_id_name")),
    )
    op.create_index(op.f("ix_affinity_groups_cluster_id"), "affinity_groups", ["cluster_id"], unique=False)
    op.create_index(op.f("ix_affinity_groups_name"), "affinity_groups", ["name"], unique=False)
    op.create_table(
        "cluster_networks",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("usages", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_cluster_networks_cluster_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_cluster_networks_network_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "network_id", name=op.f("pk_cluster_networks")),
    )
    op.create_index(op.f("ix_cluster_networks_network_id"), "cluster_networks", ["network_id"], unique=False)
    op.create_table(
        "cpu_profiles",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_cpu_profiles_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cpu_profiles")),
    )
    op.create_index(op.f("ix_cpu_profiles_cluster_id"), "cpu_profiles", ["cluster_id"], unique=False)
    op.create_index(op.f("ix_cpu_profiles_name"), "cpu_profiles", ["name"], unique=False)
    op.create_table(
        "enabled_features",
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("feature_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_enabled_features_cluster_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["feature_id"], ["cluster_features.id"], name=op.f("fk_enabled_features_feature_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("cluster_id", "feature_id", name=op.f("pk_enabled_features")),
    )
    op.create_table(
        "hosts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("ssh_port", sa.Integer(), nullable=False),
        sa.Column("ssh_fingerprint", sa.Text(), nullable=False),
        sa.Column("spm_priority", sa.Integer(), nullable=False),
        sa.Column("certificate_subject", sa.Text(), nullable=False),
        sa.Column("certificate_organization", sa.Text(), nullable=False),
        sa.Column("override_iptables", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_hosts_cluster_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosts")),
        sa.UniqueConstraint("address", name=op.f("uq_hosts_address")),
        sa.UniqueConstraint("name", name=op.f("uq_hosts_name")),
    )
    op.create_index(op.f("ix_hosts_cluster_id"), "hosts", ["cluster_id"], unique=False)
    op.create_table(
        "affinity_group_hosts",
        sa.Column("affinity_group_id", sa.String(length=36), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["affinity_group_id"],
            ["affinity_groups.id"],
            name=op.f("fk_affinity_group_hosts_affinity_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_affinity_group_hosts_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("affinity_group_id", "host_id", name=op.f("pk_affinity_group_hosts")),
    )
    op.create_index(op.f("ix_affinity_group_hosts_host_id"), "affinity_group_hosts", ["host_id"], unique=False)
    op.create_table(
        "affinity_label_hosts",
        sa.Column("affinity_label_id", sa.String(length=36), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["affinity_label_id"],
            ["affinity_labels.id"],
            name=op.f("fk_affinity_label_hosts_affinity_label_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_affinity_label_hosts_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("affinity_label_id", "host_id", name=op.f("pk_affinity_label_hosts")),
    )
    op.create_index(op.f("ix_affinity_label_hosts_host_id"), "affinity_label_hosts", ["host_id"], unique=False)
    op.create_table(
        "host_facts",
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_host_facts_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_host_facts")),
    )
    op.create_index(op.f("ix_host_facts_status"), "host_facts", ["status"], unique=False)
    op.create_table(
        "host_nics",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("mac", sa.String(length=32), nullable=False),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("speed_bits_per_second", sa.BigInteger(), nullable=False),
        sa.Column("up", sa.Boolean(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("netmask", sa.String(length=64), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("boot_protocol", sa.String(length=16), nullable=False),
        sa.Column("bridged", sa.Boolean(), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=True),
        sa.Column("vlan_id", sa.Integer(), nullable=True),
        sa.Column("base_interface", sa.String(length=32), nullable=False),
        sa.Column("bond_slaves", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_host_nics_host_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_host_nics_network_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_nics")),
    )
    op.create_index(op.f("ix_host_nics_host_id"), "host_nics", ["host_id"], unique=False)
    op.create_index(op.f("ix_host_nics_name"), "host_nics", ["name"], unique=False)
    op.create_index(op.f("ix_host_nics_network_id"), "host_nics", ["network_id"], unique=False)
    op.create_table(
        "storage_connections",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=True),
        sa.Column("nfs_version", sa.String(length=8), nullable=False),
        sa.Column("nfs_timeo", sa.Integer(), nullable=True),
        sa.Column("nfs_retrans", sa.Integer(), nullable=True),
        sa.Column("mount_options", sa.Text(), nullable=False),
        sa.Column("vfs_type", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_storage_connections_host_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_connections")),
    )
    op.create_index(op.f("ix_storage_connections_host_id"), "storage_connections", ["host_id"], unique=False)
    op.create_index(op.f("ix_storage_connections_name"), "storage_connections", ["name"], unique=False)
    op.create_table(
        "templates",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("hardware", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("cpu_profile_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("base_template_id", sa.String(length=36), nullable=False),
        sa.Column("version_number", sa.Integer(), nullable=False),
        sa.Column("version_name", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_templates_cluster_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["cpu_profile_id"], ["cpu_profiles.id"], name=op.f("fk_templates_cpu_profile_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("name", "version_number", name=op.f("uq_templates_name_version_number")),
    )
    op.create_index(op.f("ix_templates_cluster_id"), "templates", ["cluster_id"], unique=False)
    op.create_index(op.f("ix_templates_cpu_profile_id"), "templates", ["cpu_profile_id"], unique=False)
    op.create_index(op.f("ix_templates_name"), "templates", ["name"], unique=False)
    op.create_table(
        "storage_domains",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("data_center_id", sa.String(length=36), nullable=True),
        sa.Column("connection_id", sa.String(length=36), nullable=True),
        sa.Column("master", sa.Boolean(), nullable=False),
        sa.Column("storage_format", sa.String(length=40), nullable=False),
        sa.Column("wipe_after_delete", sa.Boolean(), nullable=False),
        sa.Column("discard_after_delete", sa.Boolean(), nullable=False),
        sa.Column("backup", sa.Boolean(), nullable=False),
        sa.Column("warning_low_space_percent", sa.Integer(), nullable=False),
        sa.Column("critical_space_gib", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["storage_connections.id"],
            name=op.f("fk_storage_domains_connection_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["data_center_id"],
            ["data_centers.id"],
            name=op.f("fk_storage_domains_data_center_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_domains")),
        sa.UniqueConstraint("name", name=op.f("uq_storage_domains_name")),
    )
    op.create_index(op.f("ix_storage_domains_connection_id"), "storage_domains", ["connection_id"], unique=False)
    op.create_index(op.f("ix_storage_domains_data_center_id"), "storage_domains", ["data_center_id"], unique=False)
