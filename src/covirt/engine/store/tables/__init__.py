# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The tables; importing this makes the metadata whole."""

from covirt.engine.store.columns import metadata
from covirt.engine.store.tables import (
    access,
    accounts,
    catalogue,
    commands,
    enrolments,
    events,
    groups,
    infrastructure,
    machines,
    networks,
    secrets,
    storage,
)

__all__ = [
    "access",
    "accounts",
    "catalogue",
    "commands",
    "enrolments",
    "events",
    "groups",
    "infrastructure",
    "machines",
    "metadata",
    "networks",
    "secrets",
    "storage",
]
