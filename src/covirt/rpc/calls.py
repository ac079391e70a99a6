# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The calls of one client that wait and that run; those that run are bounded, so that no client has all workers.

A call that is overdue, since what it waits for hangs, is counted no longer: its worker is replaced (common.workers),
and the client's other calls go on. How many there may be is bounded, too.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from covirt.rpc.broker import Call
from covirt.rpc.errors import BadMessage
from covirt.rpc.jsonrpc import Request
from covirt.rpc.settings import ServerSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """A body of requests, to be answered together. ``quick``: it may have a reserved worker."""

    call: Call
    requests: list[Request | BadMessage]
    quick: bool


class CallQueue:
    """Lives in the event loop. ``begin`` gives work to a worker; whoever has the answer calls ended().

    ``later`` calls a function after so many seconds.
    """

    def __init__(
        self,
        *,
        settings: ServerSettings,
        begin: Callable[[Work], bool],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._begin = begin
        self._later = later
        self._overdue_seconds = settings.overdue_seconds
        self._max_overdue = settings.replacements
        self._looking = False
        self._limits = {False: settings.max_running, True: settings.max_running_quick}
        self._max_waiting = settings.max_waiting
        self._waiting: dict[bool, deque[Work]] = {False: deque(), True: deque()}
        self._running: dict[bool, dict[Work, float]] = {False: {}, True: {}}
        self._held = False

    @property
    def full(self) -> bool:
        """Whether the client should say no more for now."""
        return sum(len(waiting) for waiting in self._waiting.values()) > self._max_waiting

    def add(self, work: Work) -> None:
        self._waiting[work.quick].append(work)
        self._go_on()

    def ended(self, work: Work) -> None:
        self._running[work.quick].pop(work, None)
        self._go_on()

    def hold(self, *, held: bool) -> None:
        """Begin nothing while the client does not read its answers."""
        self._held = held
        self._go_on()

    def clear(self) -> None:
        """The client is gone: what has not begun does not."""
        for waiting in self._waiting.values():
            waiting.clear()

    def _go_on(self) -> None:
        for quick, waiting in self._waiting.items():
            while waiting and not self._held and self._counted(quick=quick) < self._limits[quick]:
                work = waiting.popleft()
                self._running[quick][work] = time.monotonic()
                if not self._begin(work):
                    del self._running[quick][work]
        if any(self._waiting.values()) and not self._held and not self._looking:
            self._looking = True
            self._later(self._overdue_seconds, self._look)

    def _look(self) -> None:
        self._looking = False
        self._go_on()

    def _counted(self, *, quick: bool) -> int:
        """How many run that are not overdue."""
        latest = time.monotonic() - self._overdue_seconds
        running = self._running[quick].values()
        return len(running) - min(sum(began <= latest for began in running), self._max_overdue)
