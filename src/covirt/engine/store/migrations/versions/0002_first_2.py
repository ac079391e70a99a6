# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The first tables, part 2 of 4, in the order in which they refer to each other."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forward only: an engine of an older release refuses a newer database."""
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("namespace", sa.String(length=255), nullable=False),
        sa.Column("last_name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("department", sa.String(length=255), nullable=False),
        sa.Column("domain_entry_id", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("last_login", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("principal", "domain", name=op.f("uq_users_principal_domain")),
    )
    op.create_index(op.f("ix_users_name"), "users", ["name"], unique=False)
    op.create_table(
        "data_centers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("local", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("mac_pool_id", sa.String(length=36), nullable=False),
        sa.Column("quota_mode", sa.String(length=40), nullable=False),
        sa.Column("storage_format", sa.String(length=40), nullable=False),
        sa.Column("spm_host_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["mac_pool_id"], ["mac_pools.id"], name=op.f("fk_data_centers_mac_pool_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_centers")),
        sa.UniqueConstraint("name", name=op.f("uq_data_centers_name")),
    )
    op.create_index(op.f("ix_data_centers_mac_pool_id"), "data_centers", ["mac_pool_id"], unique=False)
    op.create_table(
        "login_sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=1024), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_login_sessions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_sessions")),
    )
    op.create_index(op.f("ix_login_sessions_expires"), "login_sessions", ["expires"], unique=False)
    op.create_index(op.f("ix_login_sessions_user_id"), "login_sessions", ["user_id"], unique=False)
    op.create_table(
        "passwords",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_passwords_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_passwords")),
    )
    op.create_table(
        "permissions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("role_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=True),
        sa.Column("group_id", sa.String(length=36), nullable=True),
        sa.Column("object_type", sa.String(length=40), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint("(user_id IS NULL) <> (group_id IS NULL)", name="one_holder"),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_permissions_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], name=op.f("fk_permissions_role_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_permissions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permissions")),
        sa.UniqueConstraint(
            "role_id",
            "user_id",
            "group_id",
            "object_id",
            name=op.f("uq_permissions_role_id_user_id_group_id_object_id"),
        ),
    )
    op.create_index(op.f("ix_permissions_group_id"), "permissions", ["group_id"], unique=False)
    op.create_index("ix_permissions_object_id_user_id", "permissions", ["object_id", "user_id"], unique=False)
    op.create_index(op.f("ix_permissions_role_id"), "permissions", ["role_id"], unique=False)
    op.create_index(op.f("ix_permissions_user_id"), "permissions", ["user_id"], unique=False)
    op.create_table(
        "role_permits",
        sa.Column("role_id", sa.String(length=36), nullable=False),
        sa.Column("permit_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["permit_id"], ["permits.id"], name=op.f("fk_role_permits_permit_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], name=op.f("fk_role_permits_role_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("role_id", "permit_id", name=op.f("pk_role_permits")),
    )
    op.create_index(op.f("ix_role_permits_permit_id"), "role_permits", ["permit_id"], unique=False)
    op.create_table(
        "steps",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("parent_step_id", sa.String(length=36), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress_percent", sa.Integer(), nullable=True),
        sa.Column("external", sa.Boolean(), nullable=False),
        sa.Column("execution_host_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_steps_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["parent_step_id"], ["steps.id"], name=op.f("fk_steps_parent_step_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steps")),
    )
    op.create_index(op.f("ix_steps_job_id"), "steps", ["job_id"], unique=False)
    op.create_table(
        "taggings",
        sa.Column("tag_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"], name=op.f("fk_taggings_tag_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tag_id", "type", "object_id", name=op.f("pk_taggings")),
    )
    op.create_index(op.f("ix_taggings_object_id"), "taggings", ["object_id"], unique=False)
    op.create_table(
        "user_groups",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_user_groups_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_groups_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "group_id", name=op.f("pk_user_groups")),
    )
    op.create_index(op.f("ix_user_groups_group_id"), "user_groups", ["group_id"], unique=False)
    op.create_table(
        "networks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("data_center_id", sa.String(length=36), nullable=False),
        sa.Column("vdsm_name", sa.String(length=15), nullable=False),
        sa.Column("usages", sa.Text(), nullable=False),
        sa.Column("vlan_id", sa.Integer(), nullable=True),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("stp", sa.Boolean(), nullable=False),
        sa.Column("port_isolation", sa.Boolean(), nullable=False),
        sa.Column("dns_servers", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["data_center_id"], ["data_centers.id"], name=op.f("fk_networks_data_center_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
        sa.UniqueConstraint("data_center_id", "name", name=op.f("uq_networks_data_center_id_name")),
        sa.UniqueConstraint("data_center_id", "vdsm_name", name=op.f("uq_networks_data_center_id_vdsm_name")),
    )
    op.create_index(op.f("ix_networks_data_center_id"), "networks", ["data_center_id"], unique=False)
    op.create_index(op.f("ix_networks_name"), "networks", ["name"], unique=False)
    op.create_table(
        "clusters",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("data_center_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("cpu_type", sa.Text(), nullable=False),
        sa.Column("cpu_architecture", sa.String(length=40), nullable=False),
        sa.Column("bios_type", sa.String(length=40), nullable=False),
        sa.Column("firewall_type", sa.String(length=40), nullable=False),
        sa.Column("switch_type", sa.String(length=40), nullable=False),
        sa.Column("error_handling", sa.String(length=40), nullable=False),
        sa.Column("memory_over_commit_percent", sa.Integer(), nullable=False),
        sa.Column("ballooning_enabled", sa.Boolean(), nullable=False),
        sa.Column("ksm_enabled", sa.Boolean(), nullable=False),
        sa.Column("threads_as_cores", sa.Boolean(), nullable=False),
        sa.Column("ha_reservation", sa.Boolean(), nullable=False),
        sa.Column("tunnel_migration", sa.Boolean(), nullable=False),
        sa.Column("scheduling_policy_id", sa.String(length=36), nullable=False),
        sa.Column("mac_pool_id", sa.String(length=36), nullable=False),
        sa.Column("management_network_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["data_center_id"], ["data_centers.id"], name=op.f("fk_clusters_data_center_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["mac_pool_id"], ["mac_pools.id"], name=op.f("fk_clusters_mac_pool_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["management_network_id"],
            ["networks.id"],
            name=op.f("fk_clusters_management_network_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["scheduling_policy_id"],
            ["scheduling_policies.id"],
            name=op.f("fk_clusters_scheduling_policy_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clusters")),
        sa.UniqueConstraint("name", name=op.f("uq_clusters_name")),
    )
    op.create_index(op.f("ix_clusters_data_center_id"), "clusters", ["data_center_id"], unique=False)
    op.create_index(op.f("ix_clusters_mac_pool_id"), "clusters", ["mac_pool_id"], unique=False)
    op.create_index(op.f("ix_clusters_management_network_id"), "clusters", ["management_network_id"], unique=False)
    op.create_index(op.f("ix_clusters_scheduling_policy_id"), "clusters", ["scheduling_policy_id"], unique=False)
    op.create_table(
        "vnic_profiles",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("network_filter_id", sa.String(length=36), nullable=True),
        sa.Column("pass_through", sa.String(length=40), nullable=False),
        sa.Column("port_mirroring", sa.Boolean(), nullable=False),
        sa.Column("custom_properties", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_filter_id"],
            ["network_filters.id"],
            name=op.f("fk_vnic_profiles_network_filter_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_vnic_profiles_network_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vnic_profiles")),
        sa.UniqueConstraint("network_id", "name", name=op.f("uq_vnic_profiles_network_id_name")),
    )
    op.create_index(op.f("ix_vnic_profiles_name"), "vnic_profiles", ["name"], unique=False)
    op.create_index(op.f("ix_vnic_profiles_network_filter_id"), "vnic_profiles", ["network_filter_id"], unique=False)
    op.create_index(op.f("ix_vnic_profiles_network_id"), "vnic_profiles", ["network_id"], unique=False)
