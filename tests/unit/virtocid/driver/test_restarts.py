# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A policy at work: what is on record, what cancels it, and what the next daemon makes of it."""

import os
import signal
import threading
from dataclasses import replace
from typing import Final

import pytest

from covirt.common.root import Root
from covirt.common.stop_cause import StopCause, StopKind
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainIsNotRunning, StartFailed
from covirt.virtocid.driver.restart_policy import RestartState
from covirt.virtocid.driver.store import DomainStore, RunPhase, RunStore, UserRequest
from tests.support.fake_services import SECONDS, FakeHost, fake_host, write_image
from tests.support.virtocid import SERVICE
from tests.support.waiting import wait_until

FAILS: Final = ("/bin/sh", "-c", "exit 3")
SOON: Final = "<covirt:restart policy='on-failure' delay='0.1' max-delay='0.1'/>"
LATE: Final = "<covirt:restart policy='on-failure' delay='5000' max-delay='5000'/>"


def start(host: FakeHost, domain: Domain) -> Domain:
    host.driver.lifecycle.start(domain, paused=False)
    return domain


def fails_once(host: FakeHost, settings: str = LATE) -> Domain:
    domain = start(host, host.define("one", FAILS, settings=settings))
    host.wait_until_off(domain)
    return domain


def state(domain: Domain) -> RestartState:
    return domain.facts.restart


def kill(domain: Domain) -> None:
    assert domain.run is not None
    assert domain.run.container is not None
    os.kill(domain.run.container.pid, signal.SIGKILL)


def test_a_crash_is_followed_by_a_new_run(host: FakeHost) -> None:
    domain = host.run("one", settings=SOON)
    first = domain.facts.run_number
    kill(domain)
    wait_until(lambda: domain.active and domain.facts.run_number > first, what="the second run")
    assert state(domain).count == 1
    assert state(domain).due_seconds is None
    assert host.services.counters.restarts.values == {"": 1}
    assert host.services.counters.stops.values == {"signaled": 1}
    assert host.driver.messages(domain) == ()


def test_failures_in_a_row_are_counted_and_end_at_the_limit(host: FakeHost) -> None:
    settings = "<covirt:restart policy='always' delay='0.1' max-delay='0.1' attempts='2'/>"
    domain = start(host, host.define("one", FAILS, settings=settings))
    wait_until(lambda: state(domain).gave_up, timeout_seconds=60, what="giving up")
    assert domain.facts.run_number == 3
    wait_until(lambda: not domain.active, what="the last end")
    assert host.driver.messages(domain) == ("not started again: it ended 3 times in a row without a good run",)
    assert "gaveUp=" in host.driver.describe(domain, inactive=False, secure=True)
    start(host, domain)
    host.wait_until_off(domain)
    assert state(domain).count >= 1, "a user's start begins anew"
    assert domain.facts.run_number >= 4


def test_a_good_run_begins_anew(host: FakeHost) -> None:
    settings = "<covirt:restart policy='on-failure' delay='0.1' max-delay='0.1' attempts='1' reset-after='0'/>"
    domain = start(host, host.define("one", FAILS, settings=settings))
    wait_until(lambda: domain.facts.run_number >= 4, timeout_seconds=60, what="runs beyond the limit")
    host.define("one", FAILS, settings="", more=f"<uuid>{domain.uuid}</uuid>")
    host.wait_until_off(domain)


def test_starts_that_hang_do_not_keep_others_off(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than may start side by side."""
    monkeypatch.setattr("covirt.virtocid.driver.restarts._PATIENCE_SECONDS", 0.1)
    hung, release, restarts = threading.Semaphore(0), threading.Event(), host.driver.lifecycle.restarts
    start_it = restarts._start

    def start_or_hang(domain: Domain) -> None:
        if domain.name.startswith("bad"):
            hung.release()
            assert release.wait(SECONDS)
        start_it(domain)

    monkeypatch.setattr(restarts, "_start", start_or_hang)
    bad, good = [host.run(f"bad{number}", settings=SOON) for number in range(9)], host.run("good", settings=SOON)
    try:
        for domain in bad:
            kill(domain)
        for _ in bad:
            assert hung.acquire(timeout=SECONDS)
        kill(good)
        wait_until(lambda: good.active and good.facts.run_number > 1, timeout_seconds=SECONDS, what="its restart")
    finally:
        release.set()
    wait_until(lambda: all(domain.active for domain in bad), timeout_seconds=SECONDS, what="the other restarts")


def test_a_call_that_comes_too_early_waits_on(host: FakeHost) -> None:
    """One that found the domain busy is called again, and has taken the place of a later wait by then."""
    domain = fails_once(host)
    host.services.timer.cancel((domain.uuid, "restart"))
    host.driver.lifecycle.restarts._guarded(domain)
    assert (domain.uuid, "restart") in host.services.timer._schedule._calls
    assert state(domain).due_seconds is not None


@pytest.mark.parametrize("graceful", [False, True])
def test_a_destroy_while_it_waits_cancels(host: FakeHost, graceful: bool) -> None:
    domain = fails_once(host)
    assert state(domain).count == 1
    assert "restartsAt=" in host.driver.describe(domain, inactive=False, secure=False)
    assert host.driver.messages(domain)[0].startswith("starts again at 20")
    host.driver.lifecycle.destroy(domain, graceful=graceful)
    assert state(domain) == RestartState()
    assert "restartsAt=" not in host.driver.describe(domain, inactive=False, secure=False)
    with pytest.raises(DomainIsNotRunning):
        host.driver.lifecycle.destroy(domain, graceful=graceful)


def test_a_shutdown_while_it_waits_cancels_and_a_reset_does_not(host: FakeHost) -> None:
    domain = fails_once(host)
    with pytest.raises(DomainIsNotRunning):
        host.driver.lifecycle.reset(domain)
    assert state(domain).due_seconds is not None
    host.driver.lifecycle.shutdown(domain)
    assert state(domain) == RestartState()
    with pytest.raises(DomainIsNotRunning):
        host.driver.lifecycle.shutdown(domain)


def test_an_undefine_while_it_waits(host: FakeHost) -> None:
    domain = fails_once(host)
    host.driver.definitions.undefine(domain)
    assert host.driver.domains.all() == []


def test_a_start_by_a_user_comes_at_once_and_counts_anew(host: FakeHost) -> None:
    domain = host.run("one", settings=LATE)
    kill(domain)
    host.wait_until_off(domain)
    assert state(domain).count == 1
    start(host, domain)
    assert state(domain) == RestartState()
    kill(domain)
    host.wait_until_off(domain)
    assert state(domain).count == 1


def test_a_start_by_a_user_that_fails_while_it_waits(host: FakeHost) -> None:
    """It was to run anyway: the policy goes on."""
    domain = fails_once(host)
    with domain.job("test"):
        wrong = replace(domain.next_config, process=replace(domain.next_config.process, init="/absent"))
        domain.update(config=wrong)
    with pytest.raises(StartFailed):
        start(host, domain)
    assert (state(domain).count, state(domain).due_seconds is not None) == (1, True)


def test_a_start_by_a_user_that_fails_is_not_repeated(host: FakeHost) -> None:
    domain = host.define("one", ("/absent",), settings=SOON)
    with pytest.raises(StartFailed):
        start(host, domain)
    assert state(domain) == RestartState()


def test_a_restart_that_fails_counts_and_waits_longer(host: FakeHost) -> None:
    settings = "<covirt:restart policy='on-failure' delay='0.1' max-delay='5000' attempts='3'/>"
    domain = host.run("one", settings=settings)
    with domain.job("test"):
        wrong = replace(domain.next_config, process=replace(domain.next_config.process, init="/absent"))
        domain.update(config=wrong)
    kill(domain)
    wait_until(lambda: state(domain).gave_up, timeout_seconds=60, what="the last attempt")
    assert domain.facts.last_stop is not None
    assert domain.facts.last_stop.kind is StopKind.START_FAILED


@pytest.mark.parametrize("request_", [UserRequest.SHUTDOWN, UserRequest.DESTROY_GRACEFULLY, UserRequest.DESTROY])
def test_a_request_on_record_wins_over_a_crash(host: FakeHost, request_: UserRequest) -> None:
    """The container died of its own at the moment of a user's request: it stays off."""
    domain = host.run("one", settings=SOON)
    assert domain.run is not None
    with domain.job("test"):
        domain.update(run=replace(domain.run, request=request_))
        kill(domain)
    host.wait_until_off(domain)
    assert state(domain) == RestartState()


def test_even_a_death_at_the_memory_limit_does_not_undo_a_users_stop(host: FakeHost) -> None:
    """Which is told as one (see test_stop_decision), and is none to start again after."""
    domain = host.run("one", settings=SOON)
    assert domain.run is not None
    oom = StopCause(kind=StopKind.OOM, when="2026-11-22T10:00:00+00:00")
    asked = replace(domain.run, request=UserRequest.SHUTDOWN)
    assert host.driver.lifecycle.restarts.after_end(domain, asked, oom) == RestartState()
    assert host.driver.lifecycle.restarts.after_end(domain, domain.run, oom).count == 1


def test_a_transient_domain_ends_with_its_run(host: FakeHost) -> None:
    domain = host.create("one", FAILS, settings=SOON)
    wait_until(lambda: host.driver.domains.find(domain.uuid) is None, what="its end")
    assert state(domain) == RestartState()


def test_a_new_definition_decides_anew(host: FakeHost) -> None:
    settings = "<covirt:restart policy='on-failure' delay='0.5'/>"
    domain = start(host, host.define("one", FAILS, settings=settings))
    host.wait_until_off(domain)
    host.define("one", FAILS, more=f"<uuid>{domain.uuid}</uuid>")
    wait_until(lambda: state(domain) == RestartState(), timeout_seconds=60, what="the new policy")
    assert domain.facts.run_number == 1


@pytest.fixture
def root(root_dir: Root) -> Root:
    write_image(root_dir)
    return root_dir


def test_the_next_daemon_waits_on(root: Root) -> None:
    with fake_host(root) as host:
        before = state(fails_once(host))
    with fake_host(root) as host:
        domain = host.domain("one")
        assert state(domain) == before
        host.driver.lifecycle.destroy(domain, graceful=False)
    with fake_host(root) as host:
        assert state(host.domain("one")) == RestartState()


def test_the_next_daemon_starts_what_is_overdue(root: Root) -> None:
    with fake_host(root) as host:
        fails_once(host, LATE)
        host.define("one", SERVICE, settings=LATE, more=f"<uuid>{host.domain('one').uuid}</uuid>")
    make_due(root)
    with fake_host(root) as host:
        wait_until(lambda: host.domain("one").active, what="the restart")
        host.end_containers()


def test_after_a_reboot_of_the_host_only_autostart_starts_anything(root: Root) -> None:
    with fake_host(root) as host:
        fails_once(host)
    make_due(root)
    with fake_host(root, boot_id="another boot") as host:
        assert state(host.domain("one")) == RestartState()


def make_due(root: Root) -> None:
    store = DomainStore(root.state_dir)
    (record,), _ = store.load_all()
    assert record.restart is not None
    store.save(replace(record, restart={**record.restart, "due_seconds": 0.0}))


def test_a_crash_that_nobody_saw_is_followed_too(root: Root) -> None:
    with fake_host(root) as host:
        domain = host.run("one", settings=LATE)
        run = domain.run
    assert run is not None
    assert run.container is not None
    os.kill(run.container.pid, signal.SIGKILL)
    with fake_host(root) as host:
        host.wait_until_off(host.domain("one"))
        assert state(host.domain("one")).count == 1


def test_a_start_that_was_cut_short_is_repeated(root: Root) -> None:
    """Killed while it started a domain: nobody was told that it failed."""
    with fake_host(root) as host:
        host.run("one", settings=SOON)
    runs = RunStore(root.run_dir)
    (record,), _ = runs.load_all()
    runs.save(replace(record, phase=RunPhase.PREPARING))
    with fake_host(root) as host:
        wait_until(lambda: host.domain("one").active, what="the restart")
        host.end_containers()


def test_an_autostart_that_fails_is_repeated(root: Root) -> None:
    with fake_host(root) as host:
        domain = host.define("one", ("/absent",), settings=LATE)
        host.driver.definitions.set_autostart(domain, autostart=True)
        host.driver.recovery.autostart()
        assert state(domain).count == 1
