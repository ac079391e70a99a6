# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The threads that run handlers: a bounded pool, and a few workers kept for quick calls.

When every ordinary worker waits for something slow, destroy, state and list still get through, as with libvirtd's
priority workers. Where it is asked for, a worker whose job is overdue (of something that hangs) is replaced until it
comes back: what hangs costs threads then, and nobody's turn.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

Job = Callable[[], object]


class WorkerPool:
    """Threads are made when a job finds none idle, up to the two limits, and live until stop().

    At most ``replacements`` ordinary workers are made above the limit, one for each job that has run for
    ``overdue_seconds`` and more. They need a reserved worker, which looks after them while it is idle.
    """

    def __init__(
        self,
        *,
        workers: int,
        priority_workers: int,
        name: str,
        replacements: int = 0,
        overdue_seconds: float = 10.0,
    ) -> None:
        self._replacements = replacements
        self._overdue_seconds = overdue_seconds
        self._began: dict[threading.Thread, float] = {}  # of the jobs that ordinary workers run
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
            elif self._replacements and not self._count[True]:
                self._add(reserved=True)  # to look after them
            else:
                self._replace_overdue()
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

    def _replace_overdue(self) -> None:
        """With the lock held."""
        if self._jobs[False] and not self._idle[False] and self._count[False] < self._wanted():
            log.warning("A worker was added for one whose job is overdue pool=%s workers=%d", self._name,
                        self._count[False] + 1)  # fmt: skip
            self._add(reserved=False)

    def _wanted(self) -> int:
        """How many ordinary workers there may be now."""
        if not self._replacements:
            return self._limits[False]
        latest = time.monotonic() - self._overdue_seconds
        overdue = sum(began <= latest for began in self._began.values())
        return self._limits[False] + min(overdue, self._replacements)

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
            if not reserved and not self._still_wanted():
                return

    def _still_wanted(self) -> bool:
        """Whether the worker that asks goes on: one comes back to find its replacement in its place."""
        with self._lock:
            me = threading.current_thread()
            self._began.pop(me, None)
            if self._stopping or self._count[False] <= self._wanted():
                return True
            self._count[False] -= 1
            self._threads.remove(me)
            return False

    def _next(self, *, reserved: bool) -> Job | None:
        with self._lock:
            while True:
                if self._stopping:
                    return None
                if job := self._take(reserved=reserved):
                    return job
                self._idle[reserved] += 1
                try:
                    self._wake[reserved].wait(self._overdue_seconds if reserved and self._replacements else None)
                finally:
                    self._idle[reserved] -= 1
                if reserved:
                    self._replace_overdue()

    def _take(self, *, reserved: bool) -> Job | None:
        job = None
        if self._jobs[True]:
            job = self._jobs[True].popleft()
        elif not reserved and self._jobs[False]:
            job = self._jobs[False].popleft()
        if job is not None and not reserved:
            self._began[threading.current_thread()] = time.monotonic()
        return job
