# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The pool: bounded, fair to quick calls, and gone after stop()."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from covirt.common.workers import WorkerPool

_SECONDS = 20


@contextmanager
def pool(*, workers: int, priority_workers: int) -> Iterator[WorkerPool]:
    made = WorkerPool(workers=workers, priority_workers=priority_workers, name="pool")
    try:
        yield made
    finally:
        assert made.stop(timeout_seconds=_SECONDS)


def test_priority_jobs_run_while_every_ordinary_worker_is_stuck() -> None:
    gate = threading.Event()
    done = threading.Event()
    with pool(workers=2, priority_workers=1) as workers:
        for _ in range(6):
            workers.submit(lambda: gate.wait(_SECONDS), priority=False)
        workers.submit(done.set, priority=True)
        assert done.wait(_SECONDS)
        gate.set()


def test_no_more_threads_than_the_limits() -> None:
    before = threading.active_count()
    gate = threading.Event()
    running = threading.Semaphore(0)
    names: set[str] = set()

    def job() -> None:
        names.add(threading.current_thread().name)
        running.release()
        gate.wait(_SECONDS)

    with pool(workers=3, priority_workers=2) as workers:
        for number in range(20):
            workers.submit(job, priority=number % 2 == 0)
        for _ in range(5):
            assert running.acquire(timeout=_SECONDS)
        assert threading.active_count() - before == 5
        gate.set()
        for _ in range(15):
            assert running.acquire(timeout=_SECONDS)
    assert len(names) == 5
    assert all(name.startswith("pool-") for name in names)


def test_every_job_runs_once_and_in_order_with_one_worker() -> None:
    seen: list[int] = []
    finished = threading.Event()
    with pool(workers=1, priority_workers=1) as workers:
        for number in range(200):
            workers.submit(lambda number=number: seen.append(number), priority=False)  # type: ignore[misc]
        workers.submit(finished.set, priority=False)
        assert finished.wait(_SECONDS)
    assert seen == list(range(200))


def test_job_that_fails_costs_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    with pool(workers=1, priority_workers=1) as workers:
        workers.submit(lambda: 1 // 0, priority=False)
        workers.submit(done.set, priority=False)
        assert done.wait(_SECONDS)
    assert "ZeroDivisionError" in caplog.text


def test_stop_names_what_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    started = threading.Event()
    workers = WorkerPool(workers=1, priority_workers=1, name="stuck")

    def job() -> None:
        started.set()
        gate.wait(_SECONDS)

    workers.submit(job, priority=False)
    assert started.wait(_SECONDS)
    assert not workers.stop(timeout_seconds=0.01)
    assert "stuck-worker-1" in caplog.text
    assert not workers.submit(job, priority=False)
    gate.set()
    assert workers.stop(timeout_seconds=_SECONDS)
