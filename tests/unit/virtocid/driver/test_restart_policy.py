# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which ends are followed by another start, and after how long."""

from typing import Final

import pytest

from covirt.common.stop_cause import StopCause, StopKind
from covirt.virtocid.driver.domain_xml.model_restart import RestartPolicy, RestartSettings
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.restart_policy import BadRestartState, RestartRule, RestartState, rule_of
from tests.support.virtocid import domain_xml

NEVER, ON_FAILURE, ALWAYS = RestartPolicy.NEVER, RestartPolicy.ON_FAILURE, RestartPolicy.ALWAYS
FAILURES: Final = (StopKind.SIGNALED, StopKind.OOM, StopKind.HEALTH, StopKind.START_FAILED, StopKind.SUPERVISOR_LOST)
STAYS_OFF: Final = (StopKind.SHUTDOWN, StopKind.DESTROY, StopKind.HOST)


def cause(kind: StopKind, code: int | None = None) -> StopCause:
    return StopCause(kind=kind, when="2026-11-22T10:00:00+00:00", exit_code=code)


def rule(settings: str = "", more: str = "") -> RestartRule:
    return rule_of(parse_domain(domain_xml("one", settings=settings, more=more)))


def ours(policy: RestartPolicy) -> RestartRule:
    return rule(f"<covirt:restart policy='{policy}'/>")


@pytest.mark.parametrize(("policy", "wanted"), [(NEVER, False), (ON_FAILURE, False), (ALWAYS, True)])
def test_a_good_end(policy: RestartPolicy, wanted: bool) -> None:
    assert ours(policy).wants(cause(StopKind.EXITED, 0)) is wanted


@pytest.mark.parametrize(("policy", "wanted"), [(NEVER, False), (ON_FAILURE, True), (ALWAYS, True)])
@pytest.mark.parametrize("end", [cause(StopKind.EXITED, 1), *map(cause, FAILURES)])
def test_a_failure(policy: RestartPolicy, wanted: bool, end: StopCause) -> None:
    assert ours(policy).wants(end) is wanted


@pytest.mark.parametrize("policy", RestartPolicy)
@pytest.mark.parametrize("kind", STAYS_OFF)
def test_a_users_stop_and_the_hosts_end_are_final(policy: RestartPolicy, kind: StopKind) -> None:
    assert not ours(policy).wants(cause(kind))


def test_every_kind_of_end_was_thought_of() -> None:
    assert {*FAILURES, *STAYS_OFF, StopKind.EXITED} == set(StopKind)


@pytest.mark.parametrize(
    ("words", "on_success", "on_failure"),
    [
        ("", False, False),
        ("<on_crash>restart</on_crash>", False, True),
        ("<on_poweroff>restart</on_poweroff><on_crash>restart</on_crash>", True, True),
        ("<on_poweroff>restart</on_poweroff>", True, False),
        ("<on_crash>coredump-restart</on_crash>", False, False),
    ],
)
def test_libvirts_own_words(words: str, on_success: bool, on_failure: bool) -> None:
    found = rule(more=words)
    assert (found.on_success, found.on_failure) == (on_success, on_failure)
    assert found.settings == RestartSettings()


def test_our_words_count_more() -> None:
    found = rule("<covirt:restart policy='never'/>", "<on_crash>restart</on_crash>")
    assert not found.wants(cause(StopKind.OOM))


@pytest.mark.parametrize(("action", "wanted"), [("nothing", False), ("stop", False), ("restart", True)])
def test_the_unhealthy_may_start_again_without_a_policy(action: str, wanted: bool) -> None:
    found = rule(f"<covirt:health on-unhealthy='{action}'/>")
    assert found.wants(cause(StopKind.HEALTH)) is wanted
    assert found.wants(cause(StopKind.START_FAILED)) is wanted, "the start that follows"
    assert not found.wants(cause(StopKind.OOM))


def test_the_wait_doubles_up_to_its_ceiling() -> None:
    settings = RestartSettings(policy=ALWAYS, delay_seconds=0.5, max_delay_seconds=5)
    found = RestartRule(on_success=True, on_failure=True, on_unhealthy=False, settings=settings)
    assert [found.delay_seconds(count) for count in (*range(5), 10_000)] == [0.5, 1, 2, 4, 5, 5]


def follow(state: RestartState, *, ran_seconds: float = 1.0, attempts: str = "") -> RestartState:
    found = rule(f"<covirt:restart policy='on-failure' delay='1' reset-after='60' {attempts}/>")
    return found.after(cause(StopKind.OOM), count=state.count, ran_seconds=ran_seconds, now_seconds=1000.0)


def test_each_failure_counts_until_a_good_run() -> None:
    first = follow(RestartState())
    assert first == RestartState(count=1, due_seconds=1001.0)
    third = follow(follow(first))
    assert third == RestartState(count=3, due_seconds=1004.0)
    assert follow(third, ran_seconds=60.0) == first
    assert follow(third, ran_seconds=59.9).count == 4


def test_it_gives_up_after_the_last_attempt() -> None:
    second = follow(follow(RestartState(), attempts="attempts='2'"), attempts="attempts='2'")
    assert second.due_seconds is not None
    third = follow(second, attempts="attempts='2'")
    assert third == RestartState(count=2, gave_up=True)
    assert follow(second, attempts="attempts='2'", ran_seconds=60).count == 1


def test_an_end_that_is_not_followed_forgets_the_count() -> None:
    found = ours(ON_FAILURE)
    after = found.after(cause(StopKind.EXITED, 0), count=7, ran_seconds=1, now_seconds=0)
    assert after == RestartState()


@pytest.mark.parametrize(
    "state",
    [
        RestartState(count=3, due_seconds=7.5, boot_id="b"),
        RestartState(count=3, gave_up=True, boot_id="b"),
    ],
)
def test_what_is_to_come_survives_the_daemon(state: RestartState) -> None:
    stored = state.as_json()
    assert stored is not None
    assert RestartState.from_json(stored) == state


def test_nothing_to_come_takes_no_room() -> None:
    assert RestartState().as_json() is None


@pytest.mark.parametrize("value", [{}, {"count": "x"}, {"count": 1, "due_seconds": []}])
def test_a_record_that_somebody_edited(value: dict[str, object]) -> None:
    with pytest.raises(BadRestartState):
        RestartState.from_json(value)
