# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is checked, by the XML and by images of strangers, and what the results add up to."""

from typing import Any, Final

import pytest

from covirt.virtocid.driver.domain_xml.model_health import (
    Check,
    CommandCheck,
    HealthSettings,
    HttpCheck,
    NoCheck,
    OnUnhealthy,
    TcpCheck,
)
from covirt.virtocid.driver.health_plan import (
    BadHealthRecord,
    CheckResult,
    HealthPlan,
    HealthState,
    HealthStatus,
    plan_of,
)

SECOND: Final = 1_000_000_000
GOOD, BAD = CheckResult(healthy=True, output="fine"), CheckResult(healthy=False, output="ill")
STARTING, HEALTHY, UNHEALTHY = HealthStatus


def test_nothing_is_checked_that_nobody_asked_for() -> None:
    assert plan_of(None, None) is None
    assert plan_of(HealthSettings(interval_seconds=1, on_unhealthy=OnUnhealthy.RESTART), None) is None


def test_an_images_check_with_dockers_defaults() -> None:
    plan = plan_of(None, {"Test": ["CMD-SHELL", "curl -f http://localhost/ || exit 1"]})
    assert plan is not None
    assert plan.check == CommandCheck(arguments=("curl -f http://localhost/ || exit 1",), in_shell=True)
    assert (plan.interval_seconds, plan.timeout_seconds, plan.start_period_seconds, plan.retries) == (30, 30, 0, 3)
    assert plan.on_unhealthy is OnUnhealthy.NOTHING


def test_an_images_times() -> None:
    image = {
        "Test": ["CMD", "/bin/check", "-q"],
        "Interval": 5 * SECOND,
        "Timeout": SECOND // 2,
        "StartPeriod": 20 * SECOND,
        "StartInterval": 2 * SECOND,
        "Retries": 7,
    }
    assert plan_of(None, image) == HealthPlan(
        check=CommandCheck(arguments=("/bin/check", "-q")),
        interval_seconds=5,
        timeout_seconds=0.5,
        start_period_seconds=20,
        start_interval_seconds=2,
        retries=7,
    )


@pytest.mark.parametrize(
    "test",
    [None, [], ["NONE"], ["CMD", ""], ["CMD-SHELL"], ["CMD-SHELL", " "], ["CMD-SHELL", "a", "b"], "true",
     ["CMD"], ["CMD", 1], ["CMD", "a\0b"], ["WHAT", "a"], {"CMD": "a"}, ["CMD-SHELL", "x" * 20_000],
     ["CMD", "a", "x" * 20_000]],
)  # fmt: skip
def test_an_image_without_a_usable_check(test: object) -> None:
    assert plan_of(None, {"Test": test}) is None


@pytest.mark.parametrize("wrong", [0, -1, "5s", None, True, [], float("nan"), 10**40])
def test_an_images_times_that_cannot_be_meant(wrong: Any) -> None:
    plan = plan_of(None, {"Test": ["CMD", "a"], "Interval": wrong, "Timeout": wrong, "Retries": wrong})
    assert plan is not None
    assert 1 <= plan.interval_seconds <= 86_400
    assert 1 <= plan.timeout_seconds <= 86_400
    assert 1 <= plan.retries <= 1000


def test_an_image_may_not_keep_the_host_busy() -> None:
    plan = plan_of(None, {"Test": ["CMD", "a"], "Interval": 1, "StartInterval": 1})
    assert plan is not None
    assert (plan.interval_seconds, plan.start_interval_seconds) == (1, 1)


def test_the_xml_counts_more() -> None:
    image = {"Test": ["CMD", "a"], "Interval": 5 * SECOND, "StartPeriod": 5 * SECOND, "Retries": 9}
    settings = HealthSettings(interval_seconds=0.2, start_period_seconds=0.0, on_unhealthy=OnUnhealthy.STOP)
    plan = plan_of(settings, image)
    assert plan is not None
    assert (plan.interval_seconds, plan.start_period_seconds, plan.retries) == (0.2, 0, 9)
    assert plan.on_unhealthy is OnUnhealthy.STOP
    assert plan_of(HealthSettings(check=NoCheck()), image) is None
    other = plan_of(HealthSettings(check=TcpCheck(port=80)), image)
    assert other == HealthPlan(check=TcpCheck(port=80)), "the image's times are for the image's check"


@pytest.mark.parametrize(
    "check",
    [
        CommandCheck(arguments=("a", "b")),
        CommandCheck(arguments=("a | b",), in_shell=True),
        HttpCheck(port=80, path="/x", status=(200, 204)),
        TcpCheck(port=6379, address="::1"),
    ],
)
def test_a_plan_survives_the_daemon(check: Check) -> None:
    plan = HealthPlan(check=check, interval_seconds=0.5, on_unhealthy=OnUnhealthy.RESTART)
    assert HealthPlan.from_json(plan.as_json()) == plan


@pytest.mark.parametrize("value", [{}, {"kind": "x", "check": {}}, {"check": None}])
def test_a_plan_that_somebody_edited(value: dict[str, object]) -> None:
    with pytest.raises(BadHealthRecord):
        HealthPlan.from_json(value)


def add_up(*results: CheckResult, age: float = 100.0, start_period: float = 0.0) -> list[tuple[HealthStatus, int]]:
    plan = HealthPlan(check=TcpCheck(port=1), retries=2, start_period_seconds=start_period)
    state, seen = HealthState(run_number=1, kind="tcp", since="then"), []
    for result in results:
        state = state.after(result, plan, age_seconds=age, now=lambda: "now")
        seen.append((state.status, state.streak))
    return seen


def test_failures_in_a_row_make_it_unhealthy_and_one_success_healthy() -> None:
    assert add_up(BAD, BAD, BAD, GOOD, BAD, GOOD, BAD, BAD) == [
        (STARTING, 1), (UNHEALTHY, 2), (UNHEALTHY, 3), (HEALTHY, 0), (HEALTHY, 1), (HEALTHY, 0), (HEALTHY, 1),
        (UNHEALTHY, 2),
    ]  # fmt: skip


def test_while_it_starts_failures_do_not_count_until_the_first_success() -> None:
    assert add_up(BAD, BAD, BAD, age=5, start_period=10) == [(STARTING, 0)] * 3
    assert add_up(GOOD, BAD, BAD, age=5, start_period=10) == [(HEALTHY, 0), (HEALTHY, 1), (UNHEALTHY, 2)]


def test_since_is_the_time_of_the_change() -> None:
    plan = HealthPlan(check=TcpCheck(port=1), retries=2)
    state = HealthState(run_number=1, kind="tcp", since="start")
    first = state.after(BAD, plan, age_seconds=1, now=lambda: "later")
    second = first.after(BAD, plan, age_seconds=1, now=lambda: "later")
    assert (first.since, second.since, second.output) == ("start", "later", "ill")
    assert HealthState.from_json(second.as_json()) == second
    with pytest.raises(BadHealthRecord):
        HealthState.from_json({"status": "well"})


def test_it_is_asked_more_often_while_it_starts() -> None:
    plan = HealthPlan(check=TcpCheck(port=1), interval_seconds=30, start_period_seconds=60, start_interval_seconds=2)
    assert plan.pause_seconds(age_seconds=0, starting=True) == 2
    assert plan.pause_seconds(age_seconds=60, starting=True) == 30
    assert plan.pause_seconds(age_seconds=0, starting=False) == 30
