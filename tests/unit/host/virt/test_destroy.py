# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""VM.destroy answers in bounded time, ends once, and touches nothing that came after it."""

import threading
from pathlib import Path

import libvirt
import pytest

from covirt.host.virt import actions
from covirt.host.virt.actions import Actions
from covirt.host.virt.errors import DestroyFailed, HypervisorUnavailable, NotGivenBack
from covirt.host.virt.kinds import Kind
from covirt.host.virt.parts import VmParts
from covirt.host.virt.payloads import PayloadDiscs
from covirt.host.virt.records import Records, VmRecord
from covirt.host.virt.recovery import recover_vm
from covirt.host.virt.starting import give_back
from covirt.host.virt.stop_causes import exit_for
from covirt.host.virt.vm import Vm
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.statuses import ExitReason, VmStatus
from covirt.hostapi.table import VERBS
from tests.support.fake_volumes import FakeVolumes
from tests.support.waiting import wait_until
from tests.unit.host.virt.test_container_xml import engine_xml
from tests.unit.host.virt.test_libvirt_errors import libvirt_error
from tests.unit.host.virt.test_vm import VM_ID, Told

REF = VolumeRef(pool_id="p", domain_id="d", image_id="i", volume_id="v")


class Libvirt:
    """A connection and its one domain, whose destroy waits until the test lets it go on."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.goes_on = threading.Event()
        self.calls: list[str] = []

    def get(self) -> "Libvirt":
        return self

    def lookupByUUIDString(self, _text: str) -> "Libvirt":  # noqa: N802 - libvirt's names
        return self

    def destroyFlags(self, _flags: int) -> None:  # noqa: N802
        self.calls.append("destroy")
        self.asked.set()
        assert self.goes_on.wait(10)

    def destroy(self) -> None:
        self.calls.append("nudge")
        raise libvirt_error(libvirt.VIR_ERR_OPERATION_INVALID)

    def undefineFlags(self, _flags: int) -> None:  # noqa: N802
        self.calls.append("undefine")


class Host:
    def __init__(self, directory: Path, told: Told) -> None:
        self.libvirt = Libvirt()
        self.volumes = FakeVolumes({REF: "/file"})
        self.records = Records(directory)
        self.records.load()
        self.gone: list[Vm] = []
        self.parts = VmParts(
            hypervisors=dict.fromkeys(Kind, self.libvirt),
            events=told,
            records=self.records,
            volumes=self.volumes,
            preparer=None,  # type: ignore[arg-type]  # nothing is started
            discs=PayloadDiscs(directory / "discs"),
        )
        self.actions = Actions(self.parts, forgotten=self.gone.append)

    def vm(self) -> Vm:
        vm = Vm(VmRecord(vm_id=VM_ID, name="web", kind=Kind.MACHINE, xml=engine_xml(), boot="boot"), self.parts)
        vm.take_domain()
        vm.holds((REF,))
        self.volumes.prepare(REF, user=VM_ID)
        return vm


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def host(tmp_path: Path, told: Told) -> Host:
    return Host(tmp_path, told)


def test_a_start_that_hangs_delays_no_answer(host: Host, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is gone all the same, once the start ends; a second call waits for the same end."""
    monkeypatch.setattr(actions, "_ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(actions, "_NUDGE_SECONDS", 0.01)
    vm = host.vm()
    for _ in range(2):
        with pytest.raises(DestroyFailed, match="its start hangs; it is gone as soon as that ends"):
            host.actions.destroy(vm)
    wait_until(lambda: "nudge" in host.libvirt.calls)
    vm.set_down(exit_for(ExitReason.START_FAILED))
    wait_until(lambda: host.gone == [vm])
    assert host.libvirt.calls.count("undefine") == 1
    assert told.statuses == ["Down"]
    assert host.volumes.users == {}
    assert host.records.load() == []


def test_two_destroys_of_one_are_one(host: Host, told: Told) -> None:
    vm = host.vm()
    vm.set_running(paused=False, first=True)
    threads = [threading.Thread(target=host.actions.destroy, args=(vm,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert host.libvirt.asked.wait(10)
    vm.set_down(exit_for(ExitReason.ADMIN_SHUTDOWN))
    host.libvirt.goes_on.set()
    for thread in threads:
        thread.join(10)
    assert host.gone == [vm]
    assert host.libvirt.calls == ["destroy", "undefine"]
    assert told.statuses[1:] == ["Down"]


def test_what_is_heard_of_one_that_is_gone_is_not_written_down(host: Host) -> None:
    """Its record would make it come back with the next agent."""
    vm = host.vm()
    vm.set_down(exit_for(ExitReason.ADMIN_SHUTDOWN))
    host.actions.destroy(vm)
    vm.will_stop(ExitReason.HOST_SHUTDOWN)
    vm.destroys_on_reboot()
    assert host.records.load() == []


@pytest.mark.parametrize("failure", [OSError("no space left"), HypervisorUnavailable(name="it", reason="gone")])
def test_a_volume_that_cannot_be_given_back_is_not_forgotten(
    host: Host, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """It stays on record, with the others gone, until a later try; also over the agent's end."""

    def fail(ref: VolumeRef, *, user: str) -> None:
        raise failure

    vm = host.vm()
    vm.set_down(exit_for(ExitReason.ADMIN_SHUTDOWN))
    host.actions.finish_destroy(vm)  # nobody has destroyed it: it keeps what it has
    with monkeypatch.context() as patch:
        patch.setattr(host.volumes, "teardown", fail)
        with pytest.raises(NotGivenBack, match="still holds d/i/v"):
            host.actions.destroy(vm)
    (record,) = host.records.load()
    assert record.volumes == (REF,)
    assert not record.owns_domain
    assert host.gone == []
    again = Vm(record, host.parts)
    host.actions.finish_destroy(again)
    wait_until(lambda: host.gone == [again])
    assert host.volumes.users == {}
    assert host.records.load() == []


def test_a_start_that_failed_forgets_no_volume(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(ref: VolumeRef, *, user: str) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(host.volumes, "teardown", fail)
    vm = host.vm()
    with pytest.raises(NotGivenBack):
        give_back(vm, host.parts)
    recover_vm(vm, host.libvirt, host.parts, left_over=True)
    assert vm.list_status is VmStatus.DOWN
    (record,) = host.records.load()
    assert record.volumes == (REF,)


@pytest.mark.parametrize("verb", ["VM.destroy", "VM.shutdown"])
def test_verbs_that_wait_for_a_libvirt_take_no_quick_worker(verb: str) -> None:
    assert not VERBS[verb].quick
