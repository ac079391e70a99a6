# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What hosts say of guests, against what the engine believes."""

from collections.abc import Callable

from covirt.engine.commands.asked import Asked
from covirt.engine.hosts.config import HostsConfig
from covirt.engine.hosts.guests import put_down
from covirt.engine.hosts.manager import HostManager
from covirt.engine.model.command import CommandRow
from covirt.engine.model.event import Job, JobStatus
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.host import HostStatus
from covirt.engine.model.vm import VmFacts, VmStatus
from covirt.hostapi.vm import ENDED_EXTENSION
from tests.integration.engine.hosts.conftest import Installation
from tests.support.engine_objects import NOON, new_id
from tests.support.host_answers import down_stats, vm_stats
from tests.support.simulated_hosts import SimulatedHost
from tests.support.waiting import wait_until

# Only events, and who asks for it, make it look.
IDLE = HostsConfig(poll_seconds=3600)


def test_figures_of_a_running_guest(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    vm = installation.add_running()
    simulated.vms[vm.id] = vm_stats(vm.id)
    manager.refresh(installation.host.id)
    facts = installation.vm(vm)
    assert (facts.status, facts.fqdn, facts.memory_used_bytes) == (VmStatus.UP, "soup.example.com", 16 << 20)
    assert facts.graphics[0].address == "127.0.0.1"


def test_an_event_is_followed_at_once(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    vm = installation.add_running()
    simulated.vms[vm.id] = vm_stats(vm.id)
    manage(IDLE)
    installation.wait_status(HostStatus.UP)
    simulated.tell(vm.id, status="Paused", pauseCode="EIO")
    assert installation.wait_vm(vm, VmStatus.PAUSED).pause_code == "eio"
    simulated.tell(vm.id, status="Up", pauseCode="NOERR")
    installation.wait_vm(vm, VmStatus.UP)
    assert installation.events(145)[0].description == "VM soup has been paused due to storage I/O problem."
    assert installation.events(196)


def test_an_ended_guest_is_forgotten_by_its_host_and_its_end_is_kept(
    manage: Callable[..., HostManager], installation: Installation, simulated: SimulatedHost
) -> None:
    vm = installation.add_running()
    simulated.vms[vm.id] = vm_stats(vm.id)
    manage(IDLE)
    installation.wait_status(HostStatus.UP)
    simulated.vms[vm.id] = down_stats(vm.id, code=1, reason=1, message="Container killed: out of memory")
    simulated.event(f"|virt|VM_status|{vm.id}", {vm.id: {"status": "Down"}})
    facts = installation.wait_vm(vm, VmStatus.DOWN)
    assert (facts.host_id, facts.exit_code, facts.exit_reason) == (None, 1, 1)
    assert facts.exit_message == "Container killed: out of memory"
    assert vm.id not in simulated.vms
    assert "Container killed: out of memory" in installation.events(119)[0].description


def test_an_ended_container_stays_on_its_host_for_its_log(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    """Until it begins somewhere else. A host is asked about it no more."""
    simulated.capabilities["covirtExtensions"] = [ENDED_EXTENSION]
    manager.refresh(installation.host.id)
    vm = installation.add_running(kind=VmKind.CONTAINER)
    simulated.vms[vm.id] = down_stats(vm.id, code=1, reason=1, message="Container ended: exit code 3")
    manager.refresh(installation.host.id)
    facts = installation.vm(vm)
    assert (facts.status, facts.host_id, facts.log_host_id) == (VmStatus.DOWN, None, installation.host.id)
    assert (facts.exit_code, facts.exit_message) == (1, "Container ended: exit code 3")
    assert len(installation.events(119)) == 1
    asked = len(simulated.asked("VM.getStats"))
    manager.refresh(installation.host.id)
    assert len(simulated.asked("VM.getStats")) == asked
    assert len(installation.events(119)) == 1
    assert vm.id in simulated.vms
    with installation.store.write() as session:
        session.vms.update_facts(vm.id, VmFacts(status=VmStatus.DOWN))
    manager.refresh(installation.host.id)
    assert vm.id not in simulated.vms


def test_a_guest_that_its_host_does_not_know_is_down(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    vm = installation.add_running()
    manager.refresh(installation.host.id)
    assert installation.vm(vm).host_id is None
    assert installation.vm(vm).exit_message == "the host knows it no more"
    assert simulated.asked("VM.getStats") == [{"vmID": vm.id}]


def test_a_guest_found_running_is_adopted(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    vm = installation.add_vm()
    simulated.vms[vm.id] = vm_stats(vm.id)
    manager.refresh(installation.host.id)
    assert (installation.vm(vm).status, installation.vm(vm).host_id) == (VmStatus.UP, installation.host.id)
    assert not simulated.asked("VM.destroy")


def test_nobody_elses_guest_is_touched(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    stranger = new_id()
    simulated.vms[stranger] = down_stats(stranger)
    manager.refresh(installation.host.id)
    simulated.event(f"|virt|VM_status|{stranger}", {})
    manager.refresh(installation.host.id)
    assert stranger in simulated.vms


def test_a_guest_that_a_command_works_on_is_left_to_it(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    """Its host is chosen, and does not know it yet; the command ends, and it still does not."""
    vm = installation.add_running()
    job = Job(id=new_id(), description="", status=JobStatus.STARTED, start_time=NOON, last_updated=NOON)
    with installation.store.write() as session:
        session.jobs.add(job)
        session.commands.add(CommandRow(id=job.id, action="RunVm", parameters="{}", asked="{}", begun=NOON))
        session.commands.take(job.id, {vm.id: "VM soup is being started"})
    manager.refresh(installation.host.id)
    assert installation.vm(vm).status is VmStatus.UP
    with installation.store.write() as session:
        session.jobs.remove(job.id)
    installation.wait_vm(vm, VmStatus.DOWN)


def test_guests_of_a_lost_host_are_unknown_and_known_again(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    vm = installation.add_running()
    simulated.vms[vm.id] = vm_stats(vm.id)
    manager.refresh(installation.host.id)
    simulated.stop()
    assert installation.wait_vm(vm, VmStatus.UNKNOWN).host_id == installation.host.id
    assert installation.events(142)
    simulated.start()
    installation.wait_vm(vm, VmStatus.UP)
    assert installation.events(163)[0].description == "VM soup status was restored to Up."


def test_a_guest_that_runs_twice_is_told_and_left_alone(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    other = installation.add_host("stove", 9, HostStatus.MAINTENANCE)
    vm = installation.add_vm(status=VmStatus.UP, host_id=other.id)
    simulated.vms[vm.id] = vm_stats(vm.id)
    manager.refresh(installation.host.id)
    manager.refresh(installation.host.id)
    [event] = installation.events(20_001)
    assert "VM soup runs on host oven" in event.description
    assert "it runs on stove" in event.description
    assert installation.vm(vm).host_id == other.id
    assert not simulated.asked("VM.destroy")


def test_who_vouches_for_a_host_puts_its_guests_down(installation: Installation) -> None:
    vm = installation.add_running()
    with installation.store.write() as session:
        put_down(session, installation.host, Asked.system(), now=NOON)
    assert (installation.vm(vm).status, installation.vm(vm).host_id) == (VmStatus.DOWN, None)


def test_a_thousand_events_are_a_few_questions(
    manager: HostManager, installation: Installation, simulated: SimulatedHost
) -> None:
    vm = installation.add_running()
    simulated.vms[vm.id] = vm_stats(vm.id)
    for _ in range(1000):
        simulated.event(f"|virt|VM_status|{vm.id}", {vm.id: {"status": "Up"}})
    simulated.tell(vm.id, status="Powering down")
    installation.wait_vm(vm, VmStatus.POWERING_DOWN)
    wait_until(lambda: len(simulated.asked("VM.getStats")) < 900, what="few questions")
