# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is over, and is forgotten after a while: nothing else of it refers to it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select

from covirt.engine.store.tables.events import events, jobs


class History:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ended_jobs(self, *, before: datetime, most: int) -> Sequence[str]:
        """The ids of jobs that ended before, but of those from outside which are to be cleared by who made them."""
        found = (
            select(jobs.c.id)
            # none ends before it starts, and this is what there is an index of
            .where(jobs.c.start_time < before, jobs.c.end_time < before, jobs.c.auto_cleared)
            .order_by(jobs.c.start_time)
            .limit(most)
        )
        return list(self._connection.scalars(found))

    def remove_jobs(self, job_ids: Iterable[str]) -> None:
        """With their steps, and with what their operations were asked."""
        self._connection.execute(delete(jobs).where(jobs.c.id.in_(list(job_ids))))

    def remove_events(self, *, before: datetime, most: int) -> int:
        """How many; the oldest first."""
        oldest = select(events.c.id).where(events.c.time < before).order_by(events.c.time).limit(most)
        return self._connection.execute(delete(events).where(events.c.id.in_(oldest))).rowcount
