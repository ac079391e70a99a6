# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Operations under way, what they hold, and what came of them."""

from sqlalchemy import Column, ForeignKey, String, Table, Text

from covirt.engine.model.command import CommandState
from covirt.engine.store.columns import Time, Word, metadata, text

commands = Table(
    "commands",
    metadata,
    Column("id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("action", String(64), nullable=False),
    text("parameters"),
    text("asked"),
    Column("state", Word(CommandState), nullable=False, index=True),
    Column("begun", Time, nullable=False),
    Column("ended", Time, index=True),
    Column("meaning", String(20)),
    Column("reason", Text),
    Column("result", Text),
)

locks = Table(
    "locks",
    metadata,
    Column("object_id", String(36), primary_key=True),
    Column("command_id", String(36), ForeignKey("commands.id", ondelete="CASCADE"), nullable=False, index=True),
    text("reason"),
)
