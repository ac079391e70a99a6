# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A change that is an operation: begun, waited for, and answered."""

from covirt.engine.api.call import Call
from covirt.engine.api.registry import Done
from covirt.engine.commands.command import WAIT_SECONDS, Command


def ran(call: Call, command: Command, *, id: str | None = None, wait_seconds: float = WAIT_SECONDS) -> Done:  # noqa: A002 - of Done
    """``id``: of what it adds. Raises what it fails with in that time; it may go on after it."""
    outcome = call.run(command, wait_seconds=wait_seconds)
    return Done(id=id, pending=outcome.pending, job_id=outcome.job_id)
