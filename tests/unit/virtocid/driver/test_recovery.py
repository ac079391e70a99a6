# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the next daemon makes of what it finds: records, processes, exit files."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.common.process_identity import alive
from covirt.common.root import Root
from covirt.common.stop_cause import StopKind
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.fake_network import FakeNetwork
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.store import RunPhase, RunRecord, RunStore, UserRequest
from covirt.wire.constants import DomainState, EventId, PausedReason, RunningReason, ShutoffReason
from tests.support.fake_services import FakeHost, fake_host, write_image
from tests.support.virtocid import SERVICE, STUBBORN
from tests.support.waiting import wait_until

BRIDGED = "<interface type='bridge'><source bridge='br0'/></interface>"
Change = Callable[[RunRecord], RunRecord]


@pytest.fixture
def root(root_dir: Root) -> Root:
    write_image(root_dir)
    return root_dir


def leave_running(
    root: Root, command: tuple[str, ...] = SERVICE, *, transient: bool = False, devices: str = ""
) -> Run:
    """A daemon that ends while its container ``one`` runs."""
    with fake_host(root) as host:
        if transient:
            domain = host.create("one", command)
            host.wait_for_output(domain, "serving")
        else:
            domain = host.run("one", command, devices=devices)
        return run_of(domain)


def run_of(domain: Domain) -> Run:
    assert domain.run is not None
    return domain.run


def change_record(root: Root, change: Change) -> None:
    """Make the record say what a daemon that was killed in the middle of something would have written."""
    runs = RunStore(root.run_dir)
    records, _ = runs.load_all()
    for record in records:
        runs.save(change(record))


def end(run: Run, number: int = signal.SIGKILL) -> None:
    """Nobody looks while the container ends."""
    assert run.container is not None
    assert run.monitor is not None
    os.kill(run.container.pid, number)
    container, monitor = run.container, run.monitor
    wait_until(lambda: not alive(monitor.pid, monitor.start_time), what="the monitor's end")
    assert not alive(container.pid, container.start_time)


def state(domain: Domain) -> tuple[int, int]:
    return domain.state


def cause(domain: Domain) -> StopKind:
    assert domain.facts.last_stop is not None
    return domain.facts.last_stop.kind


def no_run_is_left(host: FakeHost) -> bool:
    runs = host.root.run_dir / "virtocid/runs"
    return not any(runs.iterdir()) and host.services.runtimes.named("fake").list() == ()


def test_a_definition_is_found_again(root: Root) -> None:
    with fake_host(root) as host:
        domain = host.define("one")
        host.driver.definitions.set_autostart(domain, autostart=True)
        uuid, first_id, config = domain.uuid, domain.facts.first_id, domain.config
    with fake_host(root) as host:
        found = host.domain("one")
        assert (found.uuid, found.facts.first_id, found.config) == (uuid, first_id, config)
        assert found.facts.autostart
        assert host.define("two").facts.first_id != first_id


def test_a_living_run_goes_on_under_its_id(root: Root) -> None:
    before = leave_running(root, devices=BRIDGED)
    with fake_host(root) as host:
        domain = host.domain("one")
        after = run_of(domain)
        assert (after.container, after.domain_id, after.config) == (before.container, before.domain_id, before.config)
        assert state(domain) == (DomainState.RUNNING, RunningReason.BOOTED)
        assert host.heard == []
        network = host.services.network
        assert isinstance(network, FakeNetwork)
        assert network.plugged == {"fake0": "br0"}
        host.driver.lifecycle.destroy(domain, graceful=False)
        assert network.plugged == {}
        assert no_run_is_left(host)
        host.driver.lifecycle.start(domain, paused=False)
        assert domain.domain_id > before.domain_id
        host.end_containers()


def test_an_end_after_the_restart_is_noticed(root: Root) -> None:
    before = leave_running(root)
    with fake_host(root) as host:
        assert before.container is not None
        os.kill(before.container.pid, signal.SIGTERM)
        host.wait_until_off(host.domain("one"))
        assert cause(host.domain("one")) is StopKind.EXITED


def test_an_end_that_nobody_saw_has_its_true_cause(root: Root) -> None:
    end(leave_running(root), signal.SIGTERM)
    with fake_host(root) as host:
        domain = host.domain("one")
        assert not domain.active
        stop = domain.facts.last_stop
        assert stop is not None
        assert (stop.kind, stop.exit_code, stop.log_tail) == (StopKind.EXITED, 0, ("serving",))
        assert no_run_is_left(host)


def test_an_end_that_was_asked_for_and_that_nobody_saw(root: Root) -> None:
    run = leave_running(root)
    change_record(root, lambda record: replace(record, user_request=UserRequest.DESTROY))
    end(run)
    with fake_host(root) as host:
        assert cause(host.domain("one")) is StopKind.DESTROY


def test_a_reboot_that_nobody_saw_is_brought_to_its_end(root: Root) -> None:
    run = leave_running(root)
    change_record(root, lambda record: replace(record, user_request=UserRequest.REBOOT))
    end(run, signal.SIGTERM)
    with fake_host(root) as host:
        domain = host.domain("one")
        assert run_of(domain).run_number > run.run_number
        assert domain.domain_id == run.domain_id
        assert EventId.REBOOT in [event.event_id for event in host.events]
        host.end_containers()


def test_a_destroy_that_did_not_reach_the_container_is_repeated(root: Root) -> None:
    leave_running(root, STUBBORN)
    change_record(root, lambda record: replace(record, user_request=UserRequest.DESTROY))
    with fake_host(root) as host:
        domain = host.domain("one")
        host.wait_until_off(domain)
        assert cause(domain) is StopKind.DESTROY


@pytest.mark.parametrize("phase", [RunPhase.PREPARING, RunPhase.CREATED])
def test_a_start_that_was_cut_short_is_undone(root: Root, phase: RunPhase) -> None:
    run = leave_running(root, devices=BRIDGED)
    change_record(root, lambda record: replace(record, phase=phase))
    with fake_host(root) as host:
        domain = host.domain("one")
        assert state(domain) == (DomainState.SHUTOFF, ShutoffReason.FAILED)
        assert cause(domain) is StopKind.START_FAILED
        assert no_run_is_left(host)
        assert run.container is not None
        container = run.container
        wait_until(lambda: not alive(container.pid, container.start_time), what="the container's end")
        host.driver.lifecycle.start(domain, paused=False)
        assert run_of(domain).container_id != run.container_id
        host.end_containers()


def test_a_clean_up_that_was_cut_short_is_finished(root: Root) -> None:
    run = leave_running(root)
    end(run, signal.SIGTERM)
    change_record(root, lambda record: replace(record, phase=RunPhase.STOPPING))
    with fake_host(root) as host:
        assert cause(host.domain("one")) is StopKind.EXITED
        assert no_run_is_left(host)


def test_what_waits_for_its_first_resume_still_waits(root: Root) -> None:
    with fake_host(root) as host:
        domain = host.define("one")
        host.driver.lifecycle.start(domain, paused=True)
    with fake_host(root) as host:
        domain = host.domain("one")
        assert state(domain) == (DomainState.PAUSED, PausedReason.USER)
        host.driver.lifecycle.resume(domain)
        host.wait_for_output(domain, "serving")
        host.end_containers()


def test_a_suspended_container_stays_so(root: Root) -> None:
    with fake_host(root) as host:
        host.driver.lifecycle.suspend(host.run("one"))
    with fake_host(root) as host:
        domain = host.domain("one")
        assert state(domain) == (DomainState.PAUSED, PausedReason.USER)
        host.driver.lifecycle.resume(domain)
        assert state(domain) == (DomainState.RUNNING, RunningReason.UNPAUSED)
        host.end_containers()


def test_a_pause_that_did_not_come_about(root: Root) -> None:
    leave_running(root)
    change_record(root, lambda record: replace(record, paused=True))
    with fake_host(root) as host:
        assert state(host.domain("one"))[0] == DomainState.RUNNING
        host.end_containers()


def test_another_boot_ends_every_run(root: Root) -> None:
    end(leave_running(root))
    with fake_host(root, boot_id="the next boot") as host:
        domain = host.domain("one")
        assert not domain.active
        assert cause(domain) is StopKind.HOST
        assert no_run_is_left(host)


def test_a_host_that_went_down_is_remembered_without_its_run_directory(root: Root) -> None:
    run = leave_running(root)
    end(run)
    for path in (root.run_dir / "virtocid/runs").rglob("run.json"):
        path.unlink()
    with fake_host(root, boot_id="the next boot") as host:
        assert cause(host.domain("one")) is StopKind.HOST
    with fake_host(root, boot_id="the next boot but one") as host:
        first = host.domain("one").facts.last_stop
    with fake_host(root, boot_id="the one after") as host:
        assert host.domain("one").facts.last_stop == first
        host.services.runtimes.named("fake").delete(run.container_id, force=True)


def test_a_transient_run_is_found_by_its_record_alone(root: Root) -> None:
    before = leave_running(root, transient=True)
    with fake_host(root) as host:
        domain = host.domain("one")
        assert not domain.persistent
        assert run_of(domain).container == before.container
        host.driver.lifecycle.destroy(domain, graceful=False)
        assert host.driver.domains.all() == []
        assert no_run_is_left(host)
        assert host.services.images.users(host.services.images.find("busybox")) == ()


def test_a_transient_run_that_ended_meanwhile_is_forgotten(root: Root) -> None:
    end(leave_running(root, transient=True))
    with fake_host(root) as host:
        assert host.driver.domains.all() == []
        assert no_run_is_left(host)


def test_an_undefined_domain_ends_for_good(root: Root) -> None:
    with fake_host(root) as host:
        domain = host.run("one")
        host.driver.definitions.undefine(domain)
        directory = host.services.store.directory(domain.uuid)
    with fake_host(root) as host:
        host.driver.lifecycle.destroy(host.domain("one"), graceful=False)
        assert host.driver.domains.all() == []
        assert not directory.exists()


def test_a_broken_record_of_one_run_does_not_hide_another(root: Root) -> None:
    with fake_host(root) as host:
        broken, whole = host.run("one"), host.run("two")
        file = host.services.runs.directory(broken.uuid) / "run.json"
        text = file.read_text()
    file.write_text("{")
    with fake_host(root) as host:
        assert run_of(host.domain("two")).container == run_of(whole).container
        host.end_containers()
    file.write_text(text)
    with fake_host(root) as host:
        host.end_containers()


def test_autostart_once_per_boot(root: Root) -> None:
    with fake_host(root) as host:
        host.driver.definitions.set_autostart(host.define("one"), autostart=True)
        host.define("two")
        host.driver.recovery.autostart()
        assert [domain.name for domain in host.driver.domains.all() if domain.active] == ["one"]
        host.end_containers()
    with fake_host(root) as host:
        host.driver.recovery.autostart()
        assert not host.domain("one").active
    with fake_host(root, boot_id="the next boot") as host:
        host.driver.recovery.autostart()
        assert host.domain("one").active
        host.end_containers()


def test_autostart_of_one_that_fails_does_not_hinder_another(root: Root) -> None:
    with fake_host(root) as host:
        for name, command in (("absent", ("/absent",)), ("one", SERVICE)):
            host.driver.definitions.set_autostart(host.define(name, command), autostart=True)
        host.driver.recovery.autostart()
        assert host.domain("one").active
        assert cause(host.domain("absent")) is StopKind.START_FAILED
        host.end_containers()


def test_what_lies_about_is_left_alone(root: Root) -> None:
    """Files that nobody of us wrote neither stop a start-up nor are they removed."""
    places = [root.state_dir / "virtocid/domains", root.run_dir / "virtocid/runs"]
    files = [make_file(place / "not-a-uuid/note") for place in places]
    with fake_host(root) as host:
        assert host.driver.domains.all() == []
    assert all(file.exists() for file in files)


def make_file(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.touch()
    return path
