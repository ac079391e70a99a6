# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a start, a stop and their failures leave in state, cause, events and on disk."""

import contextlib
import os
import signal
import threading
import time

import pytest

from covirt.common.errors import Error
from covirt.common.process_identity import alive
from covirt.common.stop_cause import StopKind
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import (
    BadArgument,
    DomainIsNotPaused,
    DomainIsPaused,
    DomainIsRunning,
    NotSupported,
    StartFailed,
    StopTimedOut,
)
from covirt.virtocid.driver.fake_network import FakeNetwork
from covirt.virtocid.driver.run import Run
from covirt.wire.constants import (
    DefinedDetail,
    DomainState,
    EventId,
    LifecycleEvent,
    ResumedDetail,
    ShutdownDetail,
    ShutoffReason,
    StartedDetail,
    StoppedDetail,
    SuspendedDetail,
)
from tests.support.fake_services import FakeHost
from tests.support.virtocid import STUBBORN
from tests.support.waiting import wait_until

STARTED = (LifecycleEvent.STARTED, StartedDetail.BOOTED)
DEFINED = (LifecycleEvent.DEFINED, DefinedDetail.ADDED)
FAILED = (LifecycleEvent.STOPPED, StoppedDetail.FAILED)
CRASHED = (LifecycleEvent.STOPPED, StoppedDetail.CRASHED)
DESTROYED = (LifecycleEvent.STOPPED, StoppedDetail.DESTROYED)
SHUT_DOWN = [
    (LifecycleEvent.SHUTDOWN, ShutdownDetail.GUEST),
    (LifecycleEvent.STOPPED, StoppedDetail.SHUTDOWN),
]
BRIDGED = "<interface type='bridge'><source bridge='{}'/></interface>"
DECIDES = ("/bin/sh", "-c", "trap 'exit 5' USR1; trap '' TERM; echo serving; while :; do sleep 1000 & wait; done")


def present(domain: Domain) -> Run:
    run = domain.run
    assert run is not None
    return run


def cause(domain: Domain) -> StopKind:
    stop = domain.facts.last_stop
    assert stop is not None
    return stop.kind


def nothing_of_a_run_is_left(host: FakeHost, domain: Domain) -> bool:
    network = host.services.network
    assert isinstance(network, FakeNetwork)
    runtime = host.services.runtimes.named("fake")
    return not host.services.runs.directory(domain.uuid).exists() and not network.plugged and runtime.list() == ()


def test_a_run_and_its_end(host: FakeHost) -> None:
    domain = host.run("one", devices=BRIDGED.format("br0"))
    network = host.services.network
    assert isinstance(network, FakeNetwork)
    assert network.plugged == {"fake0": "br0"}
    assert host.heard == [DEFINED, STARTED]
    host.driver.lifecycle.destroy(domain, graceful=False)
    assert host.heard == [DESTROYED]
    assert cause(domain) is StopKind.DESTROY
    assert nothing_of_a_run_is_left(host, domain)


def test_ids_and_run_numbers_are_never_used_again(host: FakeHost) -> None:
    domain = host.define("one")
    seen = []
    for _ in range(2):
        host.driver.lifecycle.start(domain, paused=False)
        seen.append((domain.domain_id, present(domain).container_id))
        host.driver.lifecycle.destroy(domain, graceful=False)
    assert domain.domain_id == -1
    assert len({number for number, _ in seen}) == len({container for _, container in seen}) == 2


@pytest.mark.parametrize(("code", "kind"), [(0, StopKind.EXITED), (3, StopKind.EXITED)])
def test_an_end_of_its_own(host: FakeHost, code: int, kind: StopKind) -> None:
    domain = host.define("one", ("/bin/sh", "-c", f"echo last words; exit {code}"))
    host.driver.lifecycle.start(domain, paused=False)
    host.wait_until_off(domain)
    stop = domain.facts.last_stop
    assert stop is not None
    assert (stop.kind, stop.exit_code, stop.log_tail) == (kind, code, ("last words",))
    expected = ShutoffReason.SHUTDOWN if code == 0 else ShutoffReason.CRASHED
    assert domain.state == (DomainState.SHUTOFF, expected)


def test_a_signal_from_elsewhere_is_a_crash(host: FakeHost) -> None:
    domain = host.run("one")
    container = present(domain).container
    assert container is not None
    os.kill(container.pid, signal.SIGKILL)
    host.wait_until_off(domain)
    assert cause(domain) is StopKind.SIGNALED
    wait_until(lambda: CRASHED in host.heard, what="the event")


def test_without_its_monitor_a_container_is_ended(host: FakeHost) -> None:
    domain = host.run("one")
    run = present(domain)
    assert run.monitor is not None
    assert run.container is not None
    host.events.clear()
    os.kill(run.monitor.pid, signal.SIGKILL)
    host.wait_until_off(domain)
    assert cause(domain) is StopKind.SUPERVISOR_LOST
    wait_until(lambda: any(event.event_id == EventId.CONTROL_ERROR for event in host.events), what="the event")
    container = run.container
    wait_until(lambda: not alive(container.pid, container.start_time), what="the container's end")


def test_a_shutdown_is_told_as_one(host: FakeHost) -> None:
    domain = host.run("one")
    assert host.heard == [DEFINED, STARTED]
    host.driver.lifecycle.shutdown(domain)
    host.wait_until_off(domain)
    wait_until(lambda: len(host.events) > 2, what="the events")
    assert host.heard == SHUT_DOWN
    assert cause(domain) is StopKind.SHUTDOWN


def test_destroy_cuts_a_shutdown_short(host: FakeHost) -> None:
    domain = host.run("one", STUBBORN)
    host.driver.lifecycle.shutdown(domain)
    assert domain.active
    host.driver.lifecycle.destroy(domain, graceful=False)
    assert cause(domain) is StopKind.DESTROY
    assert nothing_of_a_run_is_left(host, domain)


def test_two_destroys_at_once_both_return(host: FakeHost) -> None:
    domain = host.run("one")
    errors: list[Error] = []

    def destroy() -> None:
        try:
            host.driver.lifecycle.destroy(domain, graceful=False)
        except Error as error:
            errors.append(error)

    threads = [threading.Thread(target=destroy, name=f"destroy-{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not domain.active
    assert all("not running" in str(error) for error in errors)
    assert host.heard.count(DESTROYED) == 1


def test_a_graceful_destroy_gives_up_without_harm(host: FakeHost) -> None:
    domain = host.run("one", STUBBORN, settings="<covirt:stop timeout='1'/>")
    with pytest.raises(StopTimedOut, match="1 seconds after SIGTERM"):
        host.driver.lifecycle.destroy(domain, graceful=True)
    assert domain.active


def test_a_shutdown_that_nobody_heeds_is_told_in_the_log(host: FakeHost, caplog: pytest.LogCaptureFixture) -> None:
    domain = host.run("one", STUBBORN, settings="<covirt:stop timeout='1'/>")
    host.driver.lifecycle.shutdown(domain)
    wait_until(lambda: "runs on" in caplog.text, what="the warning")
    assert "1 s after SIGTERM; to end it by force: virsh destroy one" in caplog.text
    assert domain.active


def test_a_shutdown_that_is_heeded_leaves_nothing_to_wait_for(host: FakeHost) -> None:
    domain = host.run("one", settings="<covirt:stop timeout='3600'/>")
    host.driver.lifecycle.shutdown(domain)
    host.wait_until_off(domain)
    wait_until(lambda: "virtocid-timer" not in (thread.name for thread in threading.enumerate()), what="its end")


def test_the_stop_signal_of_the_definition(host: FakeHost) -> None:
    domain = host.run("one", DECIDES, settings="<covirt:stop signal='SIGUSR1'/>")
    host.driver.lifecycle.shutdown(domain)
    host.wait_until_off(domain)
    stop = domain.facts.last_stop
    assert stop is not None
    assert (stop.kind, stop.exit_code) == (StopKind.SHUTDOWN, 5)


def test_pausing(host: FakeHost) -> None:
    domain = host.run("one")
    host.driver.lifecycle.suspend(domain)
    with pytest.raises(DomainIsPaused):
        host.driver.lifecycle.suspend(domain)
    host.driver.lifecycle.resume(domain)
    with pytest.raises(DomainIsNotPaused):
        host.driver.lifecycle.resume(domain)
    with pytest.raises(DomainIsRunning):
        host.driver.lifecycle.start(domain, paused=False)
    suspended = (LifecycleEvent.SUSPENDED, SuspendedDetail.PAUSED)
    assert host.heard[-2:] == [suspended, (LifecycleEvent.RESUMED, ResumedDetail.UNPAUSED)]


def test_what_was_never_resumed_can_be_shut_down(host: FakeHost) -> None:
    domain = host.define("one")
    host.driver.lifecycle.start(domain, paused=True)
    assert domain.state[0] == DomainState.PAUSED
    host.driver.lifecycle.shutdown(domain)
    host.wait_until_off(domain)
    assert cause(domain) is StopKind.SHUTDOWN
    assert nothing_of_a_run_is_left(host, domain)


def test_a_start_that_fails_is_undone_and_told(host: FakeHost) -> None:
    domain = host.define("one", ("/absent",), devices=BRIDGED.format("br0"))
    assert host.heard == [DEFINED]
    with pytest.raises(StartFailed, match="/absent"):
        host.driver.lifecycle.start(domain, paused=False)
    assert host.heard == [FAILED]
    assert domain.state == (DomainState.SHUTOFF, ShutoffReason.FAILED)
    assert cause(domain) is StopKind.START_FAILED
    assert nothing_of_a_run_is_left(host, domain)


def test_a_bridge_that_is_not_there_is_told_when_it_is_needed(host: FakeHost) -> None:
    domain = host.define("one", devices=BRIDGED.format("br0") + BRIDGED.format("absent"))
    with pytest.raises(Error, match="absent"):
        host.driver.lifecycle.start(domain, paused=False)
    assert cause(domain) is StopKind.START_FAILED
    assert nothing_of_a_run_is_left(host, domain)


def test_a_failed_start_does_not_hinder_the_next(host: FakeHost) -> None:
    domain = host.define("one")
    shell = host.root.path / "rootfs/bin/sh"
    shell.rename(shell.with_name("away"))
    with pytest.raises(StartFailed):
        host.driver.lifecycle.start(domain, paused=False)
    shell.with_name("away").rename(shell)
    host.driver.lifecycle.start(domain, paused=False)
    assert domain.active


def test_a_reset_is_the_same_domain_with_another_process(host: FakeHost) -> None:
    domain = host.run("one")
    before = present(domain)
    host.events.clear()
    host.driver.lifecycle.reset(domain)
    after = present(domain)
    assert after.domain_id == before.domain_id
    assert after.container != before.container
    assert host.events[-1].event_id == EventId.REBOOT
    assert host.heard == []


def test_a_reboot_waits_for_nobody(host: FakeHost) -> None:
    domain = host.run("one")
    before = present(domain)
    host.driver.lifecycle.reboot(domain)
    wait_until(lambda: domain.run is not None and domain.run.run_number > before.run_number, what="the next run")
    assert present(domain).domain_id == before.domain_id


def test_a_reboot_after_which_it_cannot_start_is_an_end(host: FakeHost) -> None:
    domain = host.run("one")
    (host.root.path / "rootfs/bin/sh").unlink()
    host.driver.lifecycle.reboot(domain)
    host.wait_until_off(domain)
    assert cause(domain) is StopKind.START_FAILED
    assert nothing_of_a_run_is_left(host, domain)


def test_a_reboot_that_is_defined_as_an_end(host: FakeHost) -> None:
    domain = host.run("one", more="<on_reboot>destroy</on_reboot>")
    host.driver.lifecycle.reboot(domain)
    host.wait_until_off(domain)
    assert cause(domain) is StopKind.SHUTDOWN


def test_signals(host: FakeHost) -> None:
    domain = host.run("one", DECIDES)
    with pytest.raises(NotSupported, match="process 7"):
        host.driver.lifecycle.signal(domain, pid=7, libvirt_signal=signal.SIGUSR1)
    for number in (0, 65):
        with pytest.raises(BadArgument, match=f"no signal {number}"):
            host.driver.lifecycle.signal(domain, pid=1, libvirt_signal=number)
    host.driver.lifecycle.signal(domain, pid=1, libvirt_signal=signal.SIGUSR1)
    host.wait_until_off(domain)
    stop = domain.facts.last_stop
    assert stop is not None
    assert (stop.kind, stop.exit_code) == (StopKind.EXITED, 5)


def test_an_end_is_on_disk_before_it_is_told(host: FakeHost) -> None:
    """A client that asks at once, and the next daemon, find the cause."""
    kinds: list[object] = []

    def look(event: object) -> None:
        records, _ = host.services.store.load_all()
        kinds.extend((record.last_stop_cause or {}).get("kind") for record in records)

    domain = host.run("one")
    host.services.bus.subscribe(look)
    host.driver.lifecycle.destroy(domain, graceful=False)
    host.services.bus.unsubscribe(look)
    assert set(kinds) == {"destroy"}


def test_a_busy_domain_does_not_delay_another(host: FakeHost) -> None:
    busy, other = host.define("busy"), host.define("other")
    with busy.job("a test"):
        began = time.monotonic()
        host.driver.lifecycle.start(other, paused=False)
        host.driver.lifecycle.destroy(other, graceful=False)
        assert time.monotonic() - began < 30  # what it would wait for the job


def test_ends_of_busy_domains_do_not_keep_others_from_theirs(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than there are workers; and they are handled in their turn, however long it takes."""
    monkeypatch.setattr("covirt.virtocid.driver.ending._BUSY_SECONDS", 0.05)
    busy = [host.run(f"busy{number}") for number in range(9)]
    other = host.run("other")
    with contextlib.ExitStack() as held:
        for domain in busy:
            held.enter_context(domain.job("a disk that hangs"))
        for domain in (*busy, other):
            kill_first_process(domain)
        host.wait_until_off(other)
        assert all(domain.active for domain in busy)
    for domain in busy:
        host.wait_until_off(domain)
        assert cause(domain) is StopKind.SIGNALED


def kill_first_process(domain: Domain) -> None:
    container = present(domain).container
    assert container is not None
    os.kill(container.pid, signal.SIGKILL)
