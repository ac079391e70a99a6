# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Passwords, who is logged in, and failed logins."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text

from covirt.engine.store.columns import Time, metadata

passwords = Table(
    "passwords",
    metadata,
    Column("user_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed", Time, nullable=False),
)

login_sessions = Table(
    "login_sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("scope", String(1024), nullable=False),
    Column("address", String(64), nullable=False),
    Column("created", Time, nullable=False),
    Column("last_used", Time, nullable=False),
    Column("expires", Time, nullable=False, index=True),
)

login_failures = Table(
    "login_failures",
    metadata,
    Column("about", String(300), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last", Time, nullable=False, index=True),
)
