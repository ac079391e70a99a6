# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The calls of one client that wait and that run; those that run are bounded, so that no client has all workers."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from covirt.rpc.broker import Call
from covirt.rpc.errors import BadMessage
from covirt.rpc.jsonrpc import Request
from covirt.rpc.settings import ServerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A body of requests, to be answered together. ``quick``: it may have a reserved worker."""

    call: Call
    requests: list[Request | BadMessage]
    quick: bool


class CallQueue:
    """Lives in the event loop. ``begin`` gives work to a worker; whoever has the answer calls ended()."""

    def __init__(self, *, settings: ServerSettings, begin: Callable[[Work], bool]) -> None:
        self._begin = begin
        self._limits = {False: settings.max_running, True: settings.max_running_quick}
        self._max_waiting = settings.max_waiting
        self._waiting: dict[bool, deque[Work]] = {False: deque(), True: deque()}
        self._running = {False: 0, True: 0}
        self._held = False

    @property
    def full(self) -> bool:
        """Whether the client should say no more for now."""
        return sum(len(waiting) for waiting in self._waiting.values()) > self._max_waiting

    def add(self, work: Work) -> None:
        self._waiting[work.quick].append(work)
        self._go_on()

    def ended(self, work: Work) -> None:
        self._running[work.quick] -= 1
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
            while waiting and not self._held and self._running[quick] < self._limits[quick]:
                self._running[quick] += self._begin(waiting.popleft())
