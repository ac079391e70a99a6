# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One thread that waits for everything that is to happen later, of all domains; none while nothing is to happen."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

log = logging.getLogger(__name__)

Call = Callable[[], object]
_LONGEST_WAIT_SECONDS: Final = 3600.0  # the kernel may sleep meanwhile, and the wait's own clock with it


def boot_seconds() -> float:
    """Seconds since the boot, sleep included: one clock for all daemons of a boot, which nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Schedule:
    """What is to be called when: one call per key. Not thread-safe."""

    def __init__(self) -> None:
        self._serials = itertools.count()
        self._heap: list[tuple[float, int, Hashable]] = []
        self._calls: dict[Hashable, tuple[int, Call]] = {}

    def put(self, key: Hashable, due_seconds: float, call: Call) -> None:
        """In place of what the key had."""
        serial = next(self._serials)
        self._calls[key] = (serial, call)
        heapq.heappush(self._heap, (due_seconds, serial, key))

    def remove(self, key: Hashable) -> None:
        """Unknown is fine."""
        self._calls.pop(key, None)

    def take_due(self, now_seconds: float) -> list[Call]:
        """What is due, the oldest first, and forgotten now."""
        calls = []
        while self._calls and self._heap and self._heap[0][0] <= now_seconds:
            _, serial, key = heapq.heappop(self._heap)
            if self._calls.get(key, (None,))[0] == serial:
                calls.append(self._calls.pop(key)[1])
        return calls

    @property
    def next_seconds(self) -> float | None:
        """When there may be something to take; None when nothing is left."""
        if not self._calls:
            self._heap.clear()
        return self._heap[0][0] if self._heap else None


class Timer:
    """Calls back from its thread. Calls must be quick: what takes longer goes to a pool."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._schedule = Schedule()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def at(self, key: Hashable, due_seconds: float, call: Call) -> None:
        """Call once, at this time of boot_seconds(), in place of what the key had. Does nothing after stop()."""
        with self._changed:
            if self._stopping:
                return
            self._schedule.put(key, due_seconds, call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="virtocid-timer", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def cancel(self, key: Hashable) -> None:
        """A call that has begun is not stopped; unknown is fine."""
        with self._changed:
            self._schedule.remove(key)
            self._changed.notify()

    def stop(self) -> None:
        """Nothing is called after this returns."""
        with self._changed:
            self._stopping = True
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while (calls := self._wait()) is not None:
            for call in calls:
                try:
                    call()
                except Exception:  # a thread top: one bad call must not cost the others theirs
                    log.exception("A timed call failed")

    def _wait(self) -> list[Call] | None:
        """What is due; None when the thread is not needed any more."""
        with self._changed:
            while not self._stopping:
                calls = self._schedule.take_due(boot_seconds())
                if calls:
                    return calls
                due = self._schedule.next_seconds
                if due is None:
                    break
                self._changed.wait(max(0.0, min(due - boot_seconds(), _LONGEST_WAIT_SECONDS)))
            self._thread = None
            return None
