# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Pings, on a clock of the test's own."""

import heapq
import itertools
from collections.abc import Callable

from covirt.virtocid.keepalive import KeepAlive


class Timer:
    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The part of an event loop that KeepAlive uses; time passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.now + delay, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                timer.action()
        self.now = end


def make(clock: Clock, log: list[str], *, interval: float = 5.0) -> KeepAlive:
    return KeepAlive(
        loop=clock,
        interval_seconds=interval,
        count=3,
        ping=lambda: log.append("ping"),
        dead=lambda: log.append("dead"),
    )


def test_silent_client_is_pinged_and_then_dead() -> None:
    clock, log = Clock(), list[str]()
    make(clock, log).start()
    clock.advance(16)
    assert log == ["ping"] * 3
    clock.advance(60)
    assert log == ["ping"] * 3 + ["dead"]


def test_any_sign_of_life_starts_anew() -> None:
    clock, log = Clock(), list[str]()
    keepalive = make(clock, log)
    keepalive.start()
    for _ in range(20):
        clock.advance(9)
        keepalive.sign_of_life()
    assert "dead" not in log
    assert "ping" in log


def test_busy_client_is_never_pinged() -> None:
    clock, log = Clock(), list[str]()
    keepalive = make(clock, log)
    keepalive.start()
    for _ in range(100):
        clock.advance(1)
        keepalive.sign_of_life()
    assert log == []


def test_stopped_or_switched_off() -> None:
    clock, log = Clock(), list[str]()
    keepalive = make(clock, log)
    keepalive.start()
    keepalive.start()
    keepalive.stop()
    make(clock, log, interval=0).start()
    clock.advance(100)
    assert log == []
