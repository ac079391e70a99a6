# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The pool: bounded, fair to quick calls, and gone after stop()."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from covirt.common.workers import WorkerPool
from tests.support.waiting import wait_until

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


def test_what_hangs_is_replaced_and_comes_back_to_its_place() -> None:
    gates = [threading.Event() for _ in range(2)]
    hanging = threading.Semaphore(0)

    def hang(gate: threading.Event) -> None:
        hanging.release()
        gate.wait(_SECONDS)

    workers = WorkerPool(workers=2, priority_workers=1, name="pool", replacements=1, overdue_seconds=0.01)
    try:
        for gate in gates:
            workers.submit(functools.partial(hang, gate), priority=False)
        for _ in gates:
            assert hanging.acquire(timeout=_SECONDS)
        done = threading.Event()
        workers.submit(done.set, priority=False)
        assert done.wait(_SECONDS)
        for gate in gates:
            gate.set()
        wait_until(lambda: _ordinary() == 2, what="one of three to have gone")
        assert _runs_at_once(workers, 2)
    finally:
        assert workers.stop(timeout_seconds=_SECONDS)
    assert _ordinary() == 0


def test_replacements_have_a_limit() -> None:
    gate, done = threading.Event(), threading.Event()
    workers = WorkerPool(workers=1, priority_workers=1, name="pool", replacements=2, overdue_seconds=0.01)
    try:
        running = threading.Semaphore(0)

        def hang() -> None:
            running.release()
            gate.wait(_SECONDS)

        for _ in range(3):
            workers.submit(hang, priority=False)
        for _ in range(3):
            assert running.acquire(timeout=_SECONDS)
        workers.submit(done.set, priority=False)
        workers.submit(lambda: None, priority=True)
        assert _ordinary() == 3
        assert not done.is_set()
        gate.set()
        assert done.wait(_SECONDS)
    finally:
        assert workers.stop(timeout_seconds=_SECONDS)


def _ordinary() -> int:
    return sum(thread.name.startswith("pool-worker-") for thread in threading.enumerate())


def _runs_at_once(workers: WorkerPool, count: int) -> bool:
    barrier = threading.Barrier(count + 1)
    for _ in range(count):
        workers.submit(lambda: barrier.wait(_SECONDS), priority=False)
    barrier.wait(_SECONDS)
    return True
