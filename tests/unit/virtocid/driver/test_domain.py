# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One domain: its jobs, and waiting for an end."""

import threading
from dataclasses import replace
from uuid import UUID

import pytest

from covirt.common.stop_cause import StopCause, StopKind
from covirt.virtocid.driver.domain import Domain, DomainFacts
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.errors import DomainBusy, DomainIsNotRunning, DomainIsRunning
from covirt.virtocid.driver.store import RunPhase
from covirt.wire.constants import DomainState, PausedReason, RunningReason, ShutoffReason
from tests.support.runs import made_up_run
from tests.support.virtocid import domain_xml

CONFIG = parse_domain(domain_xml("one"))


@pytest.fixture
def domain() -> Domain:
    return Domain(UUID(int=1), DomainFacts(config=CONFIG, first_id=1))


def test_a_second_job_gives_up_and_names_the_first(domain: Domain) -> None:
    second = domain.job("destroy", wait_seconds=0.01)
    with domain.job("a long start"), pytest.raises(DomainBusy, match="busy with a long start"), second:
        pytest.fail("two jobs at once")


def test_a_second_job_waits_for_the_first(domain: Domain) -> None:
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with domain.job("second"):
            order.append("second")

    thread = threading.Thread(target=second, name="second job")
    with domain.job("first"):
        thread.start()
        entered.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


def test_a_job_that_fails_makes_room(domain: Domain) -> None:
    with pytest.raises(KeyError), domain.job("a bug"):
        raise KeyError
    with domain.job("next", wait_seconds=0):
        pass


def test_the_end_of_a_run_is_over_when_it_was_told(domain: Domain) -> None:
    run = made_up_run(CONFIG)
    domain.update(run=run, run_number=1)
    assert not domain.wait_for_end(run, timeout_seconds=0)
    domain.update(run=None)
    assert not domain.wait_for_end(run, timeout_seconds=0)
    domain.end_told(run)
    assert domain.wait_for_end(run, timeout_seconds=0)
    assert not domain.wait_for_end(replace(run, run_number=2), timeout_seconds=0)


def test_state_and_reason(domain: Domain) -> None:
    seen = [domain.state]
    run = made_up_run(CONFIG)
    for present in (
        run,
        replace(run, paused=True),
        replace(run, resumed=True),
        replace(run, phase=RunPhase.STOPPING),
    ):
        domain.update(run=present)
        seen.append(domain.state)
    domain.update(run=None, last_stop=StopCause(kind=StopKind.EXITED, when="", exit_code=1))
    seen.append(domain.state)
    assert seen == [
        (DomainState.SHUTOFF, ShutoffReason.UNKNOWN),
        (DomainState.RUNNING, RunningReason.BOOTED),
        (DomainState.PAUSED, PausedReason.USER),
        (DomainState.RUNNING, RunningReason.UNPAUSED),
        (DomainState.SHUTDOWN, 0),
        (DomainState.SHUTOFF, ShutoffReason.CRASHED),
    ]


def test_what_only_one_state_allows(domain: Domain) -> None:
    domain.require_inactive()
    with pytest.raises(DomainIsNotRunning):
        domain.require_run()
    run = made_up_run(CONFIG)
    domain.update(run=run)
    assert domain.require_run() is run
    with pytest.raises(DomainIsRunning):
        domain.require_inactive()


def test_what_runs_and_what_will_run_may_differ(domain: Domain) -> None:
    running = replace(CONFIG, title="running")
    domain.update(run=made_up_run(running), config=replace(CONFIG, title="next"))
    assert domain.config.title == "running"
    assert domain.next_config.title == "next"
    assert domain.domain_id == 1
