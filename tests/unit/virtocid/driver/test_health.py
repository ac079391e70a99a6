# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of containers over fakes: what is told, what is recorded, and what follows."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from covirt.common.dialect import HEALTH_NAMESPACE
from covirt.common.root import Root
from covirt.common.stop_cause import StopKind
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model_health import Check
from covirt.virtocid.driver.errors import BadArgument, DomainBusy, NoMetadata
from covirt.virtocid.driver.health import Health
from covirt.virtocid.driver.health_plan import CheckResult, HealthStatus
from covirt.virtocid.driver.run import Run
from covirt.wire.constants import EventId, MetadataType
from tests.support.fake_services import FakeHost, fake_host, write_image
from tests.support.virtocid import STUBBORN
from tests.support.waiting import wait_until

SECONDS: Final = 60.0


def checked(command: str, *, retries: int = 1, more: str = "", interval: float = 0.1) -> str:
    return (
        f"<covirt:health interval='{interval}' timeout='5' retries='{retries}' {more}>"
        f"<covirt:command>{command}</covirt:command></covirt:health>"
    )


def wait_for(domain: Domain, status: HealthStatus) -> None:
    def reached() -> bool:
        health = domain.health
        return health is not None and health.status is status

    wait_until(reached, timeout_seconds=SECONDS, what=f"{domain.name} to be {status}")


def told(host: FakeHost) -> list[str]:
    messages = [event.make(0)[1] for event in host.events if event.event_id == EventId.METADATA_CHANGE]
    return [message.nsuri for message in messages if message.nsuri == HEALTH_NAMESPACE]


def test_health_comes_and_goes_and_is_told_at_each_change_only(host: FakeHost, tmp_path: Path) -> None:
    mark = tmp_path / "well"
    domain = host.run("one", settings=checked(f"test -e {mark} &amp;&amp; printf 'in %s form' good"))
    wait_for(domain, HealthStatus.UNHEALTHY)
    wait_until(lambda: len(told(host)) == 1, timeout_seconds=SECONDS, what="the event, which follows")
    assert host.driver.messages(domain)[0].startswith("unhealthy since ")
    mark.touch()
    wait_for(domain, HealthStatus.HEALTHY)
    assert host.driver.messages(domain) == ()
    counted = host.services.counters.health_checks
    before = counted.values["success"]
    wait_until(lambda: counted.values["success"] > before + 2, timeout_seconds=SECONDS, what="more checks")
    assert len(told(host)) == 2
    text = host.driver.describe(domain, inactive=False, secure=True)
    assert "status='healthy'" in text
    assert "<covirthealth:output>in good form</covirthealth:output>" in text
    assert "in good form" not in host.driver.describe(domain, inactive=False, secure=False)
    assert "covirthealth" not in host.driver.describe(domain, inactive=True, secure=True)


def test_its_metadata_is_virtocids_own(host: FakeHost) -> None:
    domain = host.run("one", settings=checked("true"))
    get, element = host.driver.metadata.get, MetadataType.ELEMENT
    assert 'check="command"' in get(domain, element, HEALTH_NAMESPACE, 1, secure=True)
    with pytest.raises(NoMetadata):
        get(domain, element, HEALTH_NAMESPACE, 2, secure=True)
    with pytest.raises(BadArgument, match="written by virtocid"):
        host.driver.metadata.set(domain, element, "<a/>", key="k", uri=HEALTH_NAMESPACE, flags=0)
    host.driver.definitions.define(host.driver.describe(domain, inactive=False, secure=True))
    assert domain.next_config.element(HEALTH_NAMESPACE) is None
    host.driver.lifecycle.destroy(domain, graceful=False)
    with pytest.raises(NoMetadata, match="not running with a health check"):
        get(domain, element, HEALTH_NAMESPACE, 0, secure=True)


def test_a_container_without_a_check_has_none(host: FakeHost) -> None:
    domain = host.run("one")
    assert domain.health is None
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("virtocid-health")]


def test_the_images_own_check(root_dir: Root) -> None:
    write_image(root_dir, config={"Healthcheck": {"Test": ["CMD", "/bin/sh", "-c", "exit 9"], "Retries": 1}})
    with fake_host(root_dir) as host:
        domain = host.run("one", settings="<covirt:health interval='0.1'/>")
        wait_for(domain, HealthStatus.UNHEALTHY)
        assert domain.health is not None
        assert domain.health.output == "exit code 9"
        host.driver.lifecycle.destroy(domain, graceful=False)
        other = host.run("two", settings="<covirt:health><covirt:none/></covirt:health>")
        assert other.health is None
        host.end_containers()


def test_an_unhealthy_container_starts_again(host: FakeHost, tmp_path: Path) -> None:
    mark = tmp_path / "well"
    policy = "<covirt:restart policy='never' delay='0.1'/>"
    settings = policy + checked(f"test -e {mark}", more="on-unhealthy='restart'")
    domain = host.run("one", settings=settings)
    wait_until(lambda: domain.facts.run_number >= 2 and domain.active, timeout_seconds=SECONDS, what="a restart")
    mark.touch()
    wait_for(domain, HealthStatus.HEALTHY)
    assert domain.facts.last_stop is not None
    assert domain.facts.last_stop.kind is StopKind.HEALTH
    assert "command, 1 times in a row" in domain.facts.last_stop.describe()


def test_one_that_does_not_end_when_asked_is_killed_and_stays_off(host: FakeHost) -> None:
    settings = "<covirt:stop timeout='1'/>" + checked("false", more="on-unhealthy='stop'")
    domain = host.run("one", STUBBORN, settings=settings)
    host.wait_until_off(domain)
    assert domain.facts.last_stop is not None
    assert domain.facts.last_stop.kind is StopKind.HEALTH
    assert "command, 1 times in a row" in domain.facts.last_stop.describe(), "checks during the end do not count"
    assert domain.facts.restart.due_seconds is None


def test_a_kill_that_fails_is_tried_again(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its domain may be busy in just that moment, and nobody else would end it."""
    monkeypatch.setattr("covirt.virtocid.driver.health._AGAIN_SECONDS", 0.1)
    health, killed = host.driver.lifecycle.health, []
    end = health._end

    def busy_once(domain: Domain, run_number: int, *, kill: bool) -> Run | None:
        killed.append(kill)
        if killed.count(True) == 1:
            raise DomainBusy(name=domain.name, job="a test", seconds=0)
        return end(domain, run_number, kill=kill)

    monkeypatch.setattr(health, "_end", busy_once)
    settings = "<covirt:stop timeout='1'/>" + checked("false", more="on-unhealthy='stop'")
    host.wait_until_off(host.run("one", STUBBORN, settings=settings))
    assert killed.count(True) == 2


def test_a_users_request_is_not_taken_over(host: FakeHost) -> None:
    settings = "<covirt:stop timeout='1'/>" + checked("false", interval=0.5, more="on-unhealthy='restart'")
    domain = host.run("one", STUBBORN, settings=settings)
    host.driver.lifecycle.shutdown(domain)  # which it does not care for
    wait_for(domain, HealthStatus.UNHEALTHY)
    host.driver.lifecycle.destroy(domain, graceful=False)
    assert domain.facts.last_stop is not None
    assert domain.facts.last_stop.kind is StopKind.DESTROY
    assert domain.facts.restart.due_seconds is None


class Asked:
    """A checker that answers what the test says, and counts."""

    def __init__(self, answer: Callable[[], CheckResult | None]) -> None:
        self.answer = answer
        self.count = 0

    def check(self, domain: Domain, run: Run, check: Check, *, timeout_seconds: float) -> CheckResult | None:
        del domain, run, check, timeout_seconds
        self.count += 1
        return self.answer()


def ask(host: FakeHost, checker: Asked) -> None:
    health = host.driver.lifecycle.health
    assert isinstance(health, Health)
    health._checker = checker


def test_what_is_paused_is_not_checked(host: FakeHost) -> None:
    asked = Asked(lambda: CheckResult(healthy=False))
    ask(host, asked)
    domain = host.define("one", settings=checked("x", retries=1000))
    host.driver.lifecycle.start(domain, paused=True)
    other = host.run("two", settings=checked("x", retries=1000))
    wait_until(lambda: asked.count > 3, timeout_seconds=SECONDS, what="checks of the other one")
    assert domain.health is not None
    assert domain.health.streak == 0
    host.driver.lifecycle.resume(domain)
    wait_until(lambda: streak(domain) > 0, timeout_seconds=SECONDS, what="checks after the resume")
    host.driver.lifecycle.suspend(domain)
    before, reached = streak(domain), streak(other)
    wait_until(lambda: streak(other) > reached + 3, timeout_seconds=SECONDS, what="checks of the other one")
    assert streak(domain) == before


def streak(domain: Domain) -> int:
    assert domain.health is not None
    return domain.health.streak


def test_no_verdict_changes_nothing(host: FakeHost) -> None:
    asked = Asked(lambda: None)
    ask(host, asked)
    domain = host.run("one", settings=checked("x"))
    wait_until(lambda: asked.count > 2, timeout_seconds=SECONDS, what="checks")
    assert domain.health is not None
    assert domain.health.status is HealthStatus.STARTING


def test_hung_checks_do_not_keep_others_from_theirs(host: FakeHost) -> None:
    """More of them than there are workers for slow ones."""
    hung, release = threading.Semaphore(0), threading.Event()

    class Hanging(Asked):
        def check(self, domain: Domain, run: Run, check: Check, *, timeout_seconds: float) -> CheckResult | None:
            del run, check, timeout_seconds
            if domain.name == "good":
                return CheckResult(healthy=True)
            hung.release()
            assert release.wait(SECONDS)
            return None

    ask(host, Hanging(lambda: None))
    for number in range(6):
        host.run(f"bad{number}", settings=checked("x"))
    for _ in range(6):
        assert hung.acquire(timeout=SECONDS)
    domain = host.run("good", settings=checked("x"))
    try:
        wait_for(domain, HealthStatus.HEALTHY)
    finally:
        release.set()


def test_the_next_daemon_goes_on(root_dir: Root, tmp_path: Path) -> None:
    write_image(root_dir)
    mark = tmp_path / "well"
    with fake_host(root_dir) as host:
        wait_for(host.run("one", settings=checked(f"test -e {mark}")), HealthStatus.UNHEALTHY)
    with fake_host(root_dir) as host:
        domain = host.domain("one")
        assert domain.health is not None
        assert domain.health.status is HealthStatus.UNHEALTHY
        mark.touch()
        wait_for(domain, HealthStatus.HEALTHY)
        host.end_containers()
        directory = host.services.runs.directory(domain.uuid)
    assert not os.path.exists(directory)


@pytest.mark.parametrize("paused", [False, True])
def test_the_next_daemon_ends_what_the_last_one_could_not(root_dir: Root, paused: bool) -> None:
    write_image(root_dir)
    settings = "<covirt:stop timeout='5000'/>" + checked("false", more="on-unhealthy='stop'")
    with fake_host(root_dir) as host:
        domain = host.run("one", STUBBORN, settings=settings)
        wait_until(
            lambda: domain.run is not None and domain.run.request_sent, timeout_seconds=SECONDS, what="the request"
        )
        if paused:
            host.driver.lifecycle.suspend(domain)
        short = domain.run
        assert short is not None
        # As if the time were nearly over: the next daemon gives it the time of its own anew.
        text = short.xml.replace("timeout='5000'", "timeout='1'")
        assert text != short.xml
        host.services.runs.save(replace(short.record, xml=text))
    with fake_host(root_dir) as host:
        host.wait_until_off(host.domain("one"))
        stop = host.domain("one").facts.last_stop
        assert stop is not None
        assert stop.kind is StopKind.HEALTH
