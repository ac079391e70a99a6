# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage that fails, hangs and comes back, as the monitor tells of it."""

import threading
from collections.abc import Iterator

import pytest

from covirt.host.metrics import page_maker
from covirt.host.storage.bounded import BoundedCalls
from covirt.host.storage.file_domain import Space
from covirt.host.storage.monitor import Look, StorageMonitor
from covirt.host.storage.storage_errors import NoSpaceLeft, StorageDomainSilent, StorageDomainUnusable
from covirt.host.storage.storage_metrics import StorageMetrics
from tests.support.waiting import wait_until


class Storage:
    """What the monitor looks at."""

    def __init__(self) -> None:
        self.failing = False
        self.answers = threading.Event()
        self.answers.set()
        self.asked: list[str] = []

    def look(self, domain_id: str) -> Look:
        self.asked.append(domain_id)
        if domain_id == "hung":
            self.answers.wait()
        if self.failing:
            raise StorageDomainUnusable(domain_id=domain_id, reason="it is gone")
        return Look(space=Space(total_bytes=2, free_bytes=1), version=5)


@pytest.fixture(name="storage")
def storage_fixture() -> Iterator[Storage]:
    storage = Storage()
    yield storage
    storage.answers.set()


@pytest.fixture(name="told")
def told_fixture() -> list[tuple[str, bool]]:
    return []


@pytest.fixture(name="monitor")
def monitor_fixture(storage: Storage, told: list[tuple[str, bool]]) -> Iterator[StorageMonitor]:
    monitor = StorageMonitor(look=storage.look, period_seconds=0.02, timeout_seconds=0.2)

    def broken(_domain_id: str, _well: bool) -> None:
        raise RuntimeError("a listener's bug is no other's")

    monitor.add_health_listener(broken)
    monitor.add_health_listener(lambda domain_id, well: told.append((domain_id, well)))
    monitor.start()
    yield monitor
    storage.answers.set()
    monitor.stop()


def test_changes_are_told_once_and_in_order(
    storage: Storage, monitor: StorageMonitor, told: list[tuple[str, bool]]
) -> None:
    monitor.watch(["one"])
    wait_until(lambda: told == [("one", True)])
    count = len(storage.asked)
    wait_until(lambda: len(storage.asked) > count + 3)
    assert told == [("one", True)]
    storage.failing = True
    wait_until(lambda: len(told) == 2)
    assert isinstance(monitor.health()["one"].error, StorageDomainUnusable)
    storage.failing = False
    wait_until(lambda: len(told) == 3)
    assert told == [("one", True), ("one", False), ("one", True)]
    monitor.watch([])
    assert monitor.health() == {}


def test_a_domain_that_hangs_is_lost_and_delays_no_other(
    storage: Storage, monitor: StorageMonitor, told: list[tuple[str, bool]]
) -> None:
    storage.answers.clear()
    monitor.watch(["hung", "well"])
    wait_until(lambda: ("hung", False) in told)
    health = monitor.health()
    assert isinstance(health["hung"].error, StorageDomainSilent)
    assert not health["hung"].is_actual
    assert health["well"].error is None
    count = storage.asked.count("well")
    wait_until(lambda: storage.asked.count("well") > count + 2)
    storage.answers.set()
    wait_until(lambda: told[-1] == ("hung", True))


def test_bounded_calls(storage: Storage) -> None:
    calls = BoundedCalls(timeout_seconds=0.05)
    assert calls.call("here", lambda: 7) == 7
    storage.answers.clear()
    with pytest.raises(StorageDomainSilent):
        calls.call("here", storage.answers.wait)

    def full() -> None:
        raise OSError(28, "no space")

    with pytest.raises(NoSpaceLeft):
        calls.call("here", full)
    for _ in range(31):
        with pytest.raises(StorageDomainSilent):
            calls.call("here", storage.answers.wait, timeout_seconds=0)
    # Enough threads hang there; other storage is asked as before.
    with pytest.raises(StorageDomainSilent):
        calls.call("here", lambda: 7)
    assert calls.call("there", lambda: 7) == 7
    storage.answers.set()
    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "storage-call-here"])
    assert calls.call("here", lambda: 7) == 7


def test_figures_tell_of_domains_that_hang_too(storage: Storage, monitor: StorageMonitor) -> None:
    page = page_maker([StorageMetrics(monitor)])
    monitor.watch(["well"])
    wait_until(lambda: 'covirt_host_storage_domain_free_bytes{domain="well"} 1.0' in page()[1].decode())
    assert 'covirt_host_storage_domain_up{domain="well"} 1.0' in page()[1].decode()
    storage.answers.clear()
    monitor.watch(["well", "hung"])
    wait_until(lambda: 'covirt_host_storage_domain_up{domain="hung"} 0.0' in page()[1].decode())
    lines = page()[1].decode().splitlines()
    assert not any("bytes" in line and "hung" in line for line in lines)
    assert 'covirt_host_storage_domain_bytes{domain="well"} 2.0' in lines


@pytest.fixture(name="no_threads")
def no_threads_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While it is set, no thread can be begun."""
    full, real = threading.Event(), threading.Thread.start

    def start(self: threading.Thread) -> None:
        if full.is_set():
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    yield full
    full.clear()


def test_storage_is_asked_again_when_there_is_room_for_threads(no_threads: threading.Event) -> None:
    """Each call that could not begin counted as one that hangs, until storage was asked no more."""
    calls = BoundedCalls(timeout_seconds=5)
    no_threads.set()
    for _ in range(40):
        with pytest.raises(StorageDomainUnusable, match="no room for another thread"):
            calls.call("here", lambda: 7)
    no_threads.clear()
    assert calls.call("here", lambda: 7) == 7


def test_a_domain_is_watched_as_soon_as_there_is_room_for_a_thread(
    monitor: StorageMonitor, told: list[tuple[str, bool]], no_threads: threading.Event
) -> None:
    no_threads.set()
    monitor.watch(["well"])
    assert told == []
    no_threads.clear()
    wait_until(lambda: told == [("well", True)])
