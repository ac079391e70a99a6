# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Users, groups, roles and permissions."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, String, Table, UniqueConstraint

from covirt.engine.model.access import ObjectType
from covirt.engine.store.columns import Time, Word, called, flag, identity, metadata, ref, text

users = Table(
    "users",
    metadata,
    identity(),
    *called(),
    Column("principal", String(255), nullable=False),
    Column("domain", String(255), nullable=False),
    Column("namespace", String(255), nullable=False),
    Column("last_name", String(255), nullable=False),
    Column("email", String(255), nullable=False),
    Column("department", String(255), nullable=False),
    text("domain_entry_id"),
    flag("disabled"),
    Column("last_login", Time),
    UniqueConstraint("principal", "domain"),
)

user_groups = Table(
    "user_groups",
    metadata,
    Column("user_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", String(36), ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True),
)

groups = Table(
    "groups",
    metadata,
    identity(),
    *called(),
    Column("domain", String(255), nullable=False),
    Column("namespace", String(255), nullable=False),
    text("domain_entry_id"),
    UniqueConstraint("name", "domain"),
)

permits = Table(
    "permits",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    flag("administrative"),
)

roles = Table(
    "roles",
    metadata,
    identity(),
    *called(unique=True),
    flag("administrative"),
    flag("mutable"),
    flag("shows_contents"),
)

role_permits = Table(
    "role_permits",
    metadata,
    Column("role_id", String(36), ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
    Column("permit_id", String(36), ForeignKey("permits.id", ondelete="CASCADE"), primary_key=True, index=True),
)

permissions = Table(
    "permissions",
    metadata,
    identity(),
    ref("role_id", "roles", on_delete="CASCADE"),
    ref("user_id", "users", required=False, on_delete="CASCADE"),
    ref("group_id", "groups", required=False, on_delete="CASCADE"),
    Column("object_type", Word(ObjectType), nullable=False),
    Column("object_id", String(36), nullable=False),
    UniqueConstraint("role_id", "user_id", "group_id", "object_id"),
    CheckConstraint("(user_id IS NULL) <> (group_id IS NULL)", name="one_holder"),
    Index("ix_permissions_object_id_user_id", "object_id", "user_id"),
)
