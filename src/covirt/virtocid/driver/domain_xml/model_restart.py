# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""<covirt:restart>: whether and when a container that ended by itself starts again."""

from dataclasses import dataclass
from enum import StrEnum


class RestartPolicy(StrEnum):
    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartSettings:
    """The first restart in a row waits ``delay_seconds``, each further one twice as long, up to the maximum.

    A run of ``reset_after_seconds`` was a good one: the count begins anew. ``attempts`` None: for ever.
    """

    policy: RestartPolicy = RestartPolicy.NEVER
    delay_seconds: float = 1.0
    max_delay_seconds: float = 300.0
    attempts: int | None = None
    reset_after_seconds: float = 600.0
