# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The threads that run handlers: a bounded pool, and a few workers kept for quick calls.

When every ordinary worker waits for something slow, destroy, state and list still get through, as with libvirtd's
priority workers.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

Job = Callable[[], object]


class WorkerPool:
    """Threads are made when a job finds none idle, up to the two limits, and live until stop()."""

    def __init__(self, *, workers: int, priority_workers: int, name: str) -> None:
        self._limits = {False: workers, True: priority_workers}
        self._name = name
        self._lock = threading.Lock()
        self._wake = {False: threading.Condition(self._lock), True: threading.Condition(self._lock)}
        self._idle = {False: 0, True: 0}
        self._count = {False: 0, True: 0}
        self._jobs: dict[bool, deque[Job]] = {False: deque(), True: deque()}
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def fill(self) -> None:
        """Make every thread now: a daemon that serves guests in need should not find that it can have no more."""
        with self._lock:
            for reserved, limit in self._limits.items():
                while self._count[reserved] < limit:
                    self._add(reserved=reserved)

    def submit(self, job: Job, *, priority: bool) -> bool:
        """Queue a job; False when the pool is stopping. Jobs start in order, each kind by itself."""
        with self._lock:
            if self._stopping:
                return False
            self._jobs[priority].append(job)
            # An ordinary worker takes either kind; a reserved one is woken for what no ordinary worker is free for.
            if self._idle[False] >= len(self._jobs[False]) + len(self._jobs[True]):
                self._wake[False].notify()
            elif priority and self._idle[True] >= len(self._jobs[True]):
                self._wake[True].notify()
            elif self._count[False] < self._limits[False]:
                self._add(reserved=False)
            elif priority and self._count[True] < self._limits[True]:
                self._add(reserved=True)
            return True

    def stop(self, *, timeout_seconds: float) -> bool:
        """Drop what has not started, wait for what has. False when some handler is still running after the time."""
        deadline = time.monotonic() + timeout_seconds
        with self._lock:
            self._stopping = True
            for jobs in self._jobs.values():
                jobs.clear()
            for condition in self._wake.values():
                condition.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stuck = [thread.name for thread in threads if thread.is_alive()]
        if stuck:
            log.warning("Handlers still run at stop threads=%s", ",".join(stuck))
        return not stuck

    def _add(self, *, reserved: bool) -> None:
        self._count[reserved] += 1
        kind = "priority" if reserved else "worker"
        thread = threading.Thread(
            target=self._work, args=(reserved,), name=f"{self._name}-{kind}-{self._count[reserved]}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _work(self, reserved: bool) -> None:  # noqa: FBT001 - a thread's target
        while (job := self._next(reserved=reserved)) is not None:
            try:
                job()
            except Exception:  # the top of a thread: a bug in one job must not cost a worker
                log.exception("Job failed")

    def _next(self, *, reserved: bool) -> Job | None:
        with self._lock:
            while True:
                if self._stopping:
                    return None
                if self._jobs[True]:
                    return self._jobs[True].popleft()
                if not reserved and self._jobs[False]:
                    return self._jobs[False].popleft()
                self._idle[reserved] += 1
                try:
                    self._wake[reserved].wait()
                finally:
                    self._idle[reserved] -= 1
