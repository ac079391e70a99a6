# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What happens later happens once, in order, and costs no thread while nothing is to happen."""

import threading

import pytest

from covirt.virtocid.driver.timer import Schedule, Timer, boot_seconds
from tests.support.waiting import wait_until


def take(schedule: Schedule, now: float) -> list[object]:
    return [call() for call in schedule.take_due(now)]


def test_what_is_due_comes_in_the_order_of_its_times() -> None:
    schedule = Schedule()
    for key, due in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        schedule.put(key, due, lambda key=key: key)  # type: ignore[misc]  # the default binds the loop's value
    assert schedule.next_seconds == 1.0
    assert take(schedule, 0.9) == []
    assert take(schedule, 2.0) == ["a", "b"]
    assert schedule.next_seconds == 3.0
    assert take(schedule, 9.0) == ["c"]
    assert schedule.next_seconds is None


def test_a_key_has_one_call() -> None:
    schedule = Schedule()
    schedule.put("a", 1.0, lambda: "early")
    schedule.put("a", 2.0, lambda: "late")
    assert take(schedule, 1.5) == []
    assert take(schedule, 2.5) == ["late"]


def test_what_was_removed_does_not_come() -> None:
    schedule = Schedule()
    schedule.put("a", 1.0, lambda: "a")
    schedule.remove("a")
    schedule.remove("unknown")
    assert schedule.next_seconds is None
    assert take(schedule, 2.0) == []


def timers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "virtocid-timer"]


def test_the_thread_is_there_while_something_is_to_come(caplog: pytest.LogCaptureFixture) -> None:
    timer, heard = Timer(), threading.Event()
    assert timers() == []
    timer.at("bad", 0.0, lambda: 1 / 0)
    timer.at("good", boot_seconds() + 0.01, heard.set)
    assert heard.wait(60)
    wait_until(lambda: not timers(), what="the end of the thread")
    assert "A timed call failed" in caplog.text
    heard.clear()
    timer.at("again", 0.0, heard.set)
    assert heard.wait(60)
    timer.stop()


def test_an_earlier_time_wakes_it_and_a_stop_ends_it() -> None:
    timer, heard, never = Timer(), threading.Event(), threading.Event()
    timer.at("late", boot_seconds() + 1000, never.set)
    timer.at("cancelled", 0.0, never.set)
    timer.cancel("cancelled")
    timer.at("soon", boot_seconds(), heard.set)
    assert heard.wait(60)
    timer.stop()
    timer.at("after", 0.0, never.set)
    assert timers() == []
