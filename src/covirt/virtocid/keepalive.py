# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Finds out that a silent client is dead: pings it, and gives up after so many pings without a sign of life."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


class Timers(Protocol):
    """The part of an event loop that is needed here."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer: ...


class KeepAlive:
    """Any bytes from the client are a sign of life, as in libvirt. Lives in the event loop."""

    def __init__(
        self,
        *,
        loop: Timers,
        interval_seconds: float,
        count: int,
        ping: Callable[[], None],
        dead: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._interval_seconds = interval_seconds
        self._count = count
        self._ping = ping
        self._dead = dead
        self._missed = 0
        self._last_sign = loop.time()
        self._timer: Timer | None = None

    def start(self) -> None:
        if self._timer is None and self._interval_seconds > 0:
            self._last_sign = self._loop.time()
            self._schedule()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def sign_of_life(self) -> None:
        self._last_sign = self._loop.time()
        self._missed = 0

    def _schedule(self) -> None:
        self._timer = self._loop.call_later(self._interval_seconds, self._tick)

    def _tick(self) -> None:
        if self._loop.time() - self._last_sign >= self._interval_seconds * 0.9:
            if self._missed >= self._count:
                self._timer = None
                self._dead()
                return
            self._missed += 1
            self._ping()
        self._schedule()
