# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Threads for long work on storage: what waits for one storage domain takes no thread from another one's work.

A job that hangs in storage cannot be ended, and holds its thread until the storage answers. So threads are counted
for each lane by itself, and a lane is what a job's storage domains are (docs/adr/0052-lanes.md).
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from covirt.common.errors import Unavailable

log = logging.getLogger(__name__)

_DOMAIN: Final = "domain_id"

Job = Callable[[], object]
Lane = frozenset[str]


class NoMoreThreads(Unavailable):
    template = "this host can begin no more threads now, so nothing was begun; try again, or raise its limit of tasks"


def lane_of(params: Mapping[str, Any]) -> Lane:
    """The storage domains that an operation's parameters name, at whatever depth."""
    return frozenset(_domains(params))


def _domains(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key == _DOMAIN and isinstance(below, str):
                yield below
            else:
                yield from _domains(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _domains(below)


@dataclass(slots=True)
class _Queue:
    jobs: deque[Job] = field(default_factory=deque)
    threads: int = 0


class Lanes:
    """In each lane at most ``limit`` jobs run at a time, begun in their order; a thread ends with its lane's last."""

    def __init__(self, *, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._lock = threading.Lock()
        self._queues: dict[Lane, _Queue] = {}
        self._threads: set[threading.Thread] = set()
        self._stopping = False

    def submit(self, lane: Lane, job: Job) -> bool:
        """Queue a job; False when stopping. Raises NoMoreThreads, and then it is not queued."""
        with self._lock:
            if self._stopping:
                return False
            queue = self._queues.setdefault(lane, _Queue())
            queue.jobs.append(job)
            if queue.threads < self._limit:
                self._begin(lane, queue)
            return True

    def stop(self, *, timeout_seconds: float) -> bool:
        """Drop what has not started, wait for what has. False when a job is still running after the time."""
        deadline = time.monotonic() + timeout_seconds
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stuck = [thread.name for thread in threads if thread.is_alive()]
        if stuck:
            log.warning("Jobs still run at stop threads=%s", ",".join(stuck))
        return not stuck

    def _begin(self, lane: Lane, queue: _Queue) -> None:
        """With the lock held."""
        where = ",".join(sorted(domain[:8] for domain in lane)) or "any"
        # A daemon: a thread that storage holds must not keep covirt-host from ending.
        thread = threading.Thread(target=self._work, args=(lane, queue), name=f"{self._name}-{where}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # those of its lane take it, if there are any
            if not queue.threads:
                queue.jobs.pop()
                del self._queues[lane]
                raise NoMoreThreads from error
            return
        queue.threads += 1
        self._threads.add(thread)

    def _work(self, lane: Lane, queue: _Queue) -> None:
        while (job := self._next(lane, queue)) is not None:
            try:
                job()
            except Exception:  # the top of a thread: a bug in one job must not cost the others their turn
                log.exception("Job failed")

    def _next(self, lane: Lane, queue: _Queue) -> Job | None:
        with self._lock:
            if queue.jobs and not self._stopping:
                return queue.jobs.popleft()
            queue.threads -= 1
            self._threads.discard(threading.current_thread())
            if not queue.threads:
                self._queues.pop(lane, None)
            return None
