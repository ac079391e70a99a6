# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens that hosts are enrolled with."""

from sqlalchemy import Column, String, Table

from covirt.engine.store.columns import Time, identity, metadata, ref

enrolments = Table(
    "enrolments",
    metadata,
    identity(),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("address", String(255), nullable=False),
    ref("cluster_id", "clusters", on_delete="CASCADE"),
    ref("host_id", "hosts", required=False, on_delete="CASCADE"),
    Column("created", Time, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("expires", Time, nullable=False, index=True),
    Column("used", Time),
)
