# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processes told apart and watched to their end."""

import os
import queue
import signal
import threading
from collections.abc import Hashable, Iterator

import pytest

from covirt.common.process import PIPE, Child, spawn
from covirt.common.process_identity import ProcessIdentity, alive, open_pidfd, process_start_time
from covirt.oci.processes import ExitWatcher


@pytest.fixture
def child() -> Iterator[Child]:
    with spawn(["cat"], stdin=PIPE, stdout=PIPE) as child:
        yield child


@pytest.fixture
def watcher() -> Iterator[ExitWatcher]:
    watcher = ExitWatcher()
    watcher.start()
    yield watcher
    watcher.stop()


def end(child: Child) -> None:
    child.signal(signal.SIGKILL)
    child.wait(timeout_seconds=30)


def test_a_process_is_known_by_pid_and_start_time(child: Child) -> None:
    start = process_start_time(child.pid)
    assert alive(child.pid, start)
    assert not alive(child.pid, start + 1)
    end(child)
    assert not alive(child.pid, start)


def test_a_zombie_has_ended(child: Child) -> None:
    process = ProcessIdentity.of(child.pid)
    descriptor = open_pidfd(process.pid, process.start_time)
    assert descriptor is not None
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOWAIT)
    os.close(descriptor)
    assert not alive(process.pid, process.start_time)
    assert open_pidfd(process.pid, process.start_time) is None


def test_no_process_has_no_start_time(child: Child) -> None:
    end(child)
    with pytest.raises(ProcessLookupError):
        process_start_time(child.pid)


def test_another_process_with_the_same_pid_is_not_watched(child: Child) -> None:
    assert open_pidfd(child.pid, process_start_time(child.pid) - 1) is None


def test_an_end_is_called_once(watcher: ExitWatcher, child: Child) -> None:
    ends: queue.Queue[Hashable] = queue.Queue()
    watcher.watch("one", ProcessIdentity.of(child.pid), ends.put)
    end(child)
    assert ends.get(timeout=30) == "one"
    # A second process's end proves that the first was not told twice.
    with spawn(["true"]) as other:
        watcher.watch("two", ProcessIdentity.of(other.pid), ends.put)
        assert ends.get(timeout=30) == "two"
    assert ends.empty()


def test_an_end_before_the_watch_is_called_too(watcher: ExitWatcher, child: Child) -> None:
    process = ProcessIdentity.of(child.pid)
    end(child)
    ends: queue.Queue[Hashable] = queue.Queue()
    watcher.watch("late", process, ends.put)
    assert ends.get(timeout=30) == "late"


def test_an_unwatched_process_ends_unheard(watcher: ExitWatcher, child: Child) -> None:
    ends: queue.Queue[Hashable] = queue.Queue()
    watcher.watch("one", ProcessIdentity.of(child.pid), ends.put)
    watcher.unwatch("one")
    watcher.unwatch("never watched")
    end(child)
    with spawn(["true"]) as other:
        watcher.watch("two", ProcessIdentity.of(other.pid), ends.put)
        assert ends.get(timeout=30) == "two"


def test_a_bad_callback_does_not_blind_the_watcher(watcher: ExitWatcher, child: Child) -> None:
    def fail(key: Hashable) -> None:
        raise RuntimeError(key)

    ends: queue.Queue[Hashable] = queue.Queue()
    watcher.watch("bad", ProcessIdentity.of(child.pid), fail)
    end(child)
    with spawn(["true"]) as other:
        watcher.watch("good", ProcessIdentity.of(other.pid), ends.put)
        assert ends.get(timeout=30) == "good"


def test_a_callback_may_watch_and_unwatch(watcher: ExitWatcher, child: Child) -> None:
    ends: queue.Queue[Hashable] = queue.Queue()
    with spawn(["cat"], stdin=PIPE) as other:
        process = ProcessIdentity.of(other.pid)

        def go_on(key: Hashable) -> None:
            watcher.watch("next", process, ends.put)
            watcher.unwatch(key)

        watcher.watch("first", ProcessIdentity.of(child.pid), go_on)
        end(child)
        other.stdin.close()
        assert ends.get(timeout=30) == "next"


def test_many_processes_at_once(watcher: ExitWatcher) -> None:
    ends: queue.Queue[Hashable] = queue.Queue()
    children = [spawn(["cat"], stdin=PIPE) for _ in range(30)]
    try:
        for number, child in enumerate(children):
            watcher.watch(number, ProcessIdentity.of(child.pid), ends.put)
        for child in children:
            child.signal(signal.SIGTERM)
        assert {ends.get(timeout=30) for _ in children} == set(range(30))
    finally:
        for child in children:
            child.stop()


def test_stop_ends_the_thread_and_the_descriptors(child: Child) -> None:
    before = set(os.listdir("/proc/self/fd"))
    watcher = ExitWatcher(name="to be stopped")
    watcher.start()
    watcher.watch("one", ProcessIdentity.of(child.pid), lambda _: None)
    watcher.stop()
    assert "to be stopped" not in {thread.name for thread in threading.enumerate()}
    assert set(os.listdir("/proc/self/fd")) == before
