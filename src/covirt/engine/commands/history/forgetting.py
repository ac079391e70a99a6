# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Forgets what is over: events and jobs that are older than they are to be kept."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from covirt.engine.config import HistoryConfig
from covirt.engine.store.store import Store

log = logging.getLogger(__name__)

_AT_ONCE: Final = 1000  # events: others want to write, too


class Operations(Protocol):
    def forget(self, *, before: datetime) -> int:
        """As Commands.forget."""
        ...


def forget_history(store: Store, commands: Operations, config: HistoryConfig) -> None:
    """Now and then. What it has not come to by a kill is forgotten the next time."""
    now = datetime.now(UTC)
    jobs = commands.forget(before=now - timedelta(days=config.job_days))
    events, last = 0, _AT_ONCE
    while last == _AT_ONCE:
        with store.write() as session:
            last = session.history.remove_events(before=now - timedelta(days=config.event_days), most=_AT_ONCE)
        events += last
    if jobs or events:
        log.info("Forgot what is over jobs=%d events=%d", jobs, events)
