# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a Vm tells, remembers, and shows of libvirt's figures, without any libvirt."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt
import pytest

from covirt.common.dialect import STOP_CAUSE_NAMESPACE
from covirt.host.virt.document import read_xml
from covirt.host.virt.errors import NotForThisKind
from covirt.host.virt.kinds import Kind, kind_of, require_allowed
from covirt.host.virt.ovirt_metadata import read_vm_facts
from covirt.host.virt.parts import VmParts
from covirt.host.virt.payloads import PayloadDiscs
from covirt.host.virt.records import Phase, Records, VmRecord
from covirt.host.virt.sampling import Sample, Samples
from covirt.host.virt.stats import vm_stats
from covirt.host.virt.stop_causes import container_exit, container_stop, exit_for, exit_of_event, exit_of_state
from covirt.host.virt.vm import Vm
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.statuses import ExitReason, PauseCode, VmStatus
from tests.support.fake_volumes import FakeVolumes
from tests.support.host_vms import container_xml
from tests.unit.host.virt.test_container_xml import engine_xml

VM_ID = "c1bbe382-172a-4f54-9c6c-ea48644c0c34"
REF = VolumeRef(pool_id="p", domain_id="d", image_id="i", volume_id="v")


class Told:
    """covirt.host.virt.parts.EventSink."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def publish(self, topic: str, params: Mapping[str, Any]) -> None:
        assert topic == f"|virt|VM_status|{VM_ID}"
        self.events.append(params[VM_ID])

    @property
    def statuses(self) -> list[str]:
        return [event["status"] for event in self.events]


@pytest.fixture
def told() -> Told:
    return Told()


def new_vm(
    told: Told, directory: Path, kind: Kind = Kind.CONTAINER, *, phase: Phase = Phase.STARTING, started: float = 0.0
) -> Vm:
    records = Records(directory)
    records.load()
    parts = VmParts(
        hypervisors={}, events=told, records=records, volumes=FakeVolumes({}), preparer=None,  # type: ignore[arg-type]
        discs=PayloadDiscs(directory / "discs"),
    )  # fmt: skip
    record = VmRecord(vm_id=VM_ID, name="web", kind=kind, xml=engine_xml(), boot="boot", phase=phase, started=started)
    return Vm(record, parts)


def test_every_change_is_told_once_and_in_order(told: Told, tmp_path: Path) -> None:
    vm = new_vm(told, tmp_path)
    vm.set_running(paused=False, first=True)
    vm.set_running(paused=False, first=False)
    for _ in range(2):
        vm.set_paused()
    for _ in range(2):
        vm.set_resumed()
    assert vm.set_down(exit_for(ExitReason.USER_SHUTDOWN))
    assert not vm.set_down(exit_for(ExitReason.ADMIN_SHUTDOWN))
    vm.set_running(paused=False, first=True)
    vm.set_paused()
    assert told.statuses == ["Up", "Paused", "Up", "Down"]
    assert told.events[-1]["exitReason"] == 7


def test_why_it_is_paused_outlives_an_event_without_a_reason(told: Told, tmp_path: Path) -> None:
    vm = new_vm(told, tmp_path)
    vm.set_running(paused=False, first=True)
    vm.set_paused(PauseCode.NO_SPACE)
    vm.set_paused()
    assert vm.pause_code.value == "ENOSPC"
    vm.set_resumed()
    assert vm.pause_code.value == "NOERR"
    vm.set_paused()
    vm.set_paused(PauseCode.IO_ERROR)
    assert [event.get("pauseCode") for event in told.events[1:]] == ["ENOSPC", None, None, "EIO"]


@pytest.mark.parametrize("kind", list(Kind))
def test_one_that_ran_before_does_not_respond_until_it_is_seen(told: Told, tmp_path: Path, kind: Kind) -> None:
    vm = new_vm(told, tmp_path, kind, phase=Phase.RUNNING, started=time.time())
    assert (vm.list_status, vm_stats(vm, Samples(), {})["monitorResponse"]) == (VmStatus.UP, "-1")
    vm.set_responsive(True)
    vm.set_running(paused=False, first=False)
    vm.set_running(paused=False, first=False)
    assert vm_stats(vm, Samples(), {})["monitorResponse"] == "0"
    assert told.statuses == ["Up" if kind is Kind.CONTAINER else "Powering up"]


def test_a_machine_comes_up_with_its_agent_or_with_time(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = new_vm(told, tmp_path, Kind.MACHINE)
    vm.set_running(paused=False, first=True)
    vm.tell_when_up()
    assert (vm.status, vm.list_status) == (VmStatus.POWERING_UP, VmStatus.UP)
    started = vm.record.started
    monkeypatch.setattr("covirt.host.virt.vm.time.time", lambda: started + 61)
    vm.tell_when_up()
    vm.set_agent_seen()
    assert told.statuses == ["Powering up", "Up"]


def test_what_is_remembered_is_found_again(told: Told, tmp_path: Path) -> None:
    vm = new_vm(told, tmp_path)
    vm.take_domain()
    vm.holds((REF,))
    vm.will_stop(ExitReason.ADMIN_SHUTDOWN)
    vm.destroys_on_reboot()
    vm.set_running(paused=False, first=True)
    assert Records(tmp_path).load() == [vm.record]
    vm.set_down(exit_for(ExitReason.GENERIC_ERROR, "its process ended with exit code 3"))
    (record,) = Records(tmp_path).load()
    assert (record.phase, record.exit, record.stopping) == (Phase.DOWN, vm.record.exit, None)
    (tmp_path / "broken.json").write_text("{")
    assert Records(tmp_path).load() == [record]


@pytest.mark.parametrize(
    ("xml", "kind"),
    [
        (engine_xml(), Kind.MACHINE),
        (engine_xml(containerImage="redis"), Kind.MACHINE),
        (engine_xml(containerType="docker"), Kind.CONTAINER),
        (engine_xml(containerType=""), Kind.CONTAINER),
        (engine_xml(containerType="<runc/>"), Kind.CONTAINER),
        (container_xml("web", "true"), Kind.CONTAINER),
        (engine_xml().replace('type="kvm"', 'type="oci"'), Kind.CONTAINER),
        (engine_xml(more='<c:container xmlns:c="http://ovirt.org/vm/containers/1.0"/>'), Kind.CONTAINER),
    ],
)
def test_which_kind_it_is(xml: str, kind: Kind) -> None:
    root = read_xml(xml)
    assert kind_of(root, read_vm_facts(root)) is kind


def test_a_refusal_says_why() -> None:
    require_allowed("VM.pause", Kind.CONTAINER, name="web")
    with pytest.raises(NotForThisKind, match=r"VM\.migrate is not for web, which is a container: it cannot be moved"):
        require_allowed("VM.migrate", Kind.CONTAINER, name="web")


def test_figures_are_libvirts_in_vdsms_units(told: Told, tmp_path: Path) -> None:
    vm = new_vm(told, tmp_path)
    vm.set_running(paused=False, first=True)
    before = {"cpu.time": 0, "cpu.user": 0, "cpu.system": 0, "block.count": 1, "block.0.name": "vda"}
    after = {
        "cpu.time": 3_000_000_000, "cpu.user": 1_000_000_000, "cpu.system": 500_000_000, "vcpu.current": 2,
        "balloon.current": 32768, "balloon.available": 1000, "balloon.unused": 250,
        "net.count": 1, "net.0.name": "vnet0", "net.0.rx.bytes": 7, "net.0.tx.drop": 1,
        "block.count": 1, "block.0.name": "vda", "block.0.rd.reqs": 4, "block.0.rd.times": 4000,
        "block.0.rd.bytes": 1024, "block.0.capacity": 5, "block.0.allocation": 3,
    }  # fmt: skip
    samples = Samples(
        before=Sample(taken=10.0, wall=0.0, domains={VM_ID: before}),
        last=Sample(taken=20.0, wall=1.5, domains={VM_ID: after}),
    )
    stats: dict[str, Any] = vm_stats(vm, samples, {"guestFQDN": "web.example"})
    assert (stats["cpuUser"], stats["cpuSys"], stats["cpuUsage"]) == ("15.00", "15.00", "1500000000")
    assert (stats["vcpuCount"], stats["memUsage"], stats["guestFQDN"]) == ("2", "75", "web.example")
    assert stats["balloonInfo"]["balloon_cur"] == "32768"
    assert (stats["network"]["vnet0"]["rx"], stats["network"]["vnet0"]["txDropped"]) == ("7", "1")
    vda = stats["disks"]["vda"]
    assert (vda["readLatency"], vda["readRate"], vda["writeLatency"]) == ("1000", "102.40", "0")
    assert (vda["apparentsize"], vda["truesize"]) == ("5", "3")


def test_without_samples_there_are_no_figures(told: Told, tmp_path: Path) -> None:
    vm = new_vm(told, tmp_path)
    vm.set_running(paused=False, first=True)
    stats = vm_stats(vm, Samples(), {})
    assert (stats["cpuActual"], stats["cpuUser"], stats["monitorResponse"]) == (False, "0.00", "0")
    assert "network" not in stats
    vm.set_responsive(False)
    assert vm_stats(vm, Samples(), {})["monitorResponse"] == "-1"


class Ended:
    """A container's virDomain, with what virtocid wrote of its end."""

    def __init__(self, attributes: str) -> None:
        self.text = f"<stop xmlns='{STOP_CAUSE_NAMESPACE}' {attributes}/>"

    def metadata(self, _kind: int, _uri: str, _flags: int) -> str:
        return self.text


@pytest.mark.parametrize(
    ("attributes", "code", "reason", "restarts"),
    [
        ("kind='exited' exitCode='0'", 0, 7, False),
        ("kind='exited' exitCode='3'", 1, 1, False),
        ("kind='oom' restartsAt='2026-11-22T19:30:12+00:00' attempt='1'", 1, 1, True),
        ("kind='shutdown'", 0, 6, False),
        ("kind='host'", 1, 11, False),
    ],
)
def test_the_cause_of_a_containers_end(attributes: str, code: int, reason: int, restarts: bool) -> None:
    stop = container_stop(Ended(attributes))
    assert stop is not None
    assert (stop.exit.code, stop.exit.reason, stop.restarts) == (code, reason, restarts)
    assert stop.exit.message


def test_who_stops_a_guest_outside_is_not_taken_for_the_engine() -> None:
    """In the same words for both kinds, whether the agent saw it or found it."""
    outside = "it was stopped on the host, not by the engine"
    stop = container_stop(Ended("kind='destroy'"))
    assert stop is not None
    assert container_exit(stop, asked_for=False).message == outside
    assert container_exit(stop, asked_for=True) == stop.exit
    assert exit_of_event(libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED).message == outside
    assert exit_of_state(libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED).message == outside
    ended = container_stop(Ended("kind='exited' exitCode='3'"))
    assert ended is not None
    assert container_exit(ended, asked_for=False) == ended.exit


def test_what_is_no_cause() -> None:
    assert container_stop(Ended("kind='bored'")) is None
    assert exit_of_event(libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED).reason == ExitReason.LOST_QEMU_CONNECTION


def test_records_of_a_kind_nobody_knows_are_left(told: Told, tmp_path: Path) -> None:
    vm = new_vm(told, tmp_path)
    Records(tmp_path).save(replace(vm.record, name="web"))
    path = tmp_path / f"{VM_ID}.json"
    path.write_text(path.read_text().replace('"container"', '"jail"'))
    assert Records(tmp_path).load() == []
    assert path.exists()
