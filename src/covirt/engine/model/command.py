# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A durable operation as it is kept: what was asked for, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CommandState(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """``id`` is its job's. ``parameters``, ``asked`` and ``result`` are JSON; ``meaning`` is a word of
    commands.errors that says what kind of failure ``reason`` is."""

    id: str
    action: str
    parameters: str
    asked: str
    state: CommandState = CommandState.RUNNING
    begun: datetime
    ended: datetime | None = None
    meaning: str | None = None
    reason: str | None = None
    result: str | None = None
