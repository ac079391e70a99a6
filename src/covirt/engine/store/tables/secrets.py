# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets, sealed."""

from sqlalchemy import Column, LargeBinary, String, Table

from covirt.engine.store.columns import Time, identity, metadata, text

secrets = Table(
    "secrets",
    metadata,
    identity(),
    Column("name", String(255), nullable=False, unique=True),
    text("description"),
    Column("username", String(255), nullable=False),
    Column("created", Time, nullable=False),
    Column("changed", Time, nullable=False),
    Column("key_id", String(36), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
