# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Small tables that come with the engine."""

from sqlalchemy import Column, String, Table, Text

from covirt.engine.model.cluster import Architecture
from covirt.engine.store.columns import Whole, Word, called, flag, identity, metadata

operating_systems = Table(
    "operating_systems",
    metadata,
    identity(),
    *called(unique=True),
    Column("architecture", Word(Architecture), nullable=False),
    Column("small_icon_id", String(36)),
    Column("large_icon_id", String(36)),
    Column("tpm_support", String(16), nullable=False),
)

icons = Table(
    "icons",
    metadata,
    identity(),
    Column("media_type", String(64), nullable=False),
    Column("data", Text, nullable=False),
)

scheduling_policies = Table(
    "scheduling_policies",
    metadata,
    identity(),
    *called(unique=True),
    flag("locked"),
    flag("default_policy"),
    Column("properties", Whole(tuple[tuple[str, str], ...]), nullable=False),
)

system_options = Table(
    "system_options",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("values", Whole(tuple[tuple[str, str], ...]), nullable=False),
)
