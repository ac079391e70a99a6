# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Vms of both kinds, from VM.create to VM.destroy, over a real libvirtd with QEMU and a real virtocid."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.host.metrics import page_maker
from covirt.host.virt.kinds import Kind
from covirt.host.virt.vm_metrics import VmMetrics
from covirt.hostapi.errors import Code
from tests.support.guest import TinyGuest
from tests.support.host_vms import SECONDS, HostVms, container_xml, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_root
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

SLEEP = "sleep 1000"
ENDS_WHEN_ASKED = "sh -c \"trap 'exit 0' TERM; while :; do sleep 1000 & wait; done\""


@pytest.fixture(scope="module")
def shared(libvirtd: Libvirtd, virtocid_daemon: Virtocid) -> Iterator[HostVms]:
    with new_root() as root, serve_vms(root, oci_uri=virtocid_daemon.uri, qemu_uri=libvirtd.uri) as running:
        yield running


@pytest.fixture
def host(shared: HostVms, virtocid: Virtocid) -> Iterator[HostVms]:
    """virtocid ends after the test, if the test has started it, and so after what is destroyed here."""
    assert virtocid.running
    wait_until(lambda: shared.support.obstacle == "")
    yield shared
    shared.destroy_all()


@pytest.mark.parametrize("kind", ["machine", "container"])
def test_one_life(host: HostVms, tiny_guest: TinyGuest, libvirtd: Libvirtd, virtocid: Virtocid, kind: str) -> None:
    """The same verbs, the same answers."""
    xml = machine_xml(tiny_guest, "one") if kind == "machine" else container_xml("one", SLEEP)
    up = "Powering up" if kind == "machine" else "Up"
    answer = host.call("VM.create", vmID="", vmParams={"xml": xml})
    vm_id = answer["vmId"]
    assert answer["status"] == "WaitForLaunch"
    assert answer["xml"] == xml
    host.wait_for(vm_id, "Up")
    assert host.stats(vm_id)["status"] == up
    assert host.refusal("VM.create", vmID="", vmParams={"xml": xml}).code == Code.VM_EXISTS
    assert host.call("VM.pause", vmID=vm_id) == {"vmList": {}}
    assert host.stats(vm_id)["status"] == "Paused"
    assert host.call("VM.cont", vmID=vm_id) == {"vmList": {}}
    assert host.call("VM.destroy", vmID=vm_id) is True
    assert host.refusal("VM.getStats", vmID=vm_id).code == Code.NO_SUCH_VM
    assert host.statuses(vm_id) == [up, "Paused", up, "Down"]
    first, last = host.events(vm_id)[0], host.events(vm_id)[-1]
    assert {"hash", "displayInfo", "monitorResponse", "cpuUser"} <= set(first)
    assert (last["exitCode"], last["exitReason"]) == (0, 6)
    assert libvirtd.virsh("list", "--all", "--uuid").stdout.split() == []
    assert virtocid.tell("list", "--all", "--uuid") == ""


@pytest.mark.parametrize("kind", ["machine", "container"])
def test_statistics_have_the_keys_of_vdsm(host: HostVms, tiny_guest: TinyGuest, kind: str) -> None:
    xml = machine_xml(tiny_guest, "stats") if kind == "machine" else container_xml("stats", SLEEP)
    vm_id = host.run(xml)
    wait_until(lambda: host.stats(vm_id)["cpuActual"] is True)
    sample = json.loads((Path(__file__).parent / "data/vm_stats.json").read_text())[0]
    stats = host.call("Host.getAllVmStats")[0]
    assert set(sample) <= set(stats)
    for key, value in sample.items():
        assert type(stats[key]) is type(value), key
    assert set(stats["balloonInfo"]) == set(sample["balloonInfo"])
    assert stats["vcpuCount"] == "1"
    assert stats["vmType"] == ("qemu" if kind == "machine" else "oci")
    assert stats["balloonInfo"]["balloon_max"] == str((96 if kind == "machine" else 64) * 1024)


def test_a_machine_that_is_asked_ends(host: HostVms, tiny_guest: TinyGuest, open_dir: Path) -> None:
    log = open_dir / "console"
    open_dir.chmod(0o777)
    vm_id = host.run(machine_xml(tiny_guest, "asked", log=log))
    wait_until(lambda: b"GUEST-BOOTED" in log.read_bytes(), timeout_seconds=60)
    host.call("VM.shutdown", vmID=vm_id, delay=0, message="bye")
    wait_until(lambda: host.status(vm_id) == "Down")
    assert host.statuses(vm_id) == ["Powering up", "Powering down", "Down"]
    stats = host.stats(vm_id)
    assert (stats["exitCode"], stats["exitReason"]) == (0, 7)
    assert stats["exitMessage"] == "User shut down from within the guest"
    host.call("VM.destroy", vmID=vm_id)


def test_one_that_does_not_end_is_ended(host: HostVms) -> None:
    """And is never told to be up again in between."""
    vm_id = host.run(container_xml("deaf", "sh -c \"trap '' TERM; while :; do sleep 1; done\""))
    host.call("VM.shutdown", vmID=vm_id, delay=0, message="bye", timeout=1, force=True)
    wait_until(lambda: host.status(vm_id) == "Down", timeout_seconds=SECONDS, what="its end")
    assert host.statuses(vm_id)[-2:] == ["Powering down", "Down"]


@pytest.mark.parametrize(
    ("command", "ask", "code", "reason", "words"),
    [
        ("true", False, 0, 7, "exit code 0"),
        ("sh -c 'exit 3'", False, 1, 1, "exit code 3"),
        (ENDS_WHEN_ASKED, True, 0, 6, "shut it down"),
    ],
)
def test_why_a_container_has_ended(
    host: HostVms, command: str, ask: bool, code: int, reason: int, words: str
) -> None:
    vm_id = host.create(container_xml("ends", command))
    if ask:
        host.wait_for(vm_id, "Up")

    def is_down() -> bool:
        if ask and host.status(vm_id) == "Up":  # a shell that has not come to its trap yet hears nothing
            host.call("VM.shutdown", vmID=vm_id, timeout=1)
        return host.status(vm_id) == "Down"

    wait_until(is_down)
    stats = host.stats(vm_id)
    assert (stats["exitCode"], stats["exitReason"]) == (code, reason)
    assert words in stats["exitMessage"]
    assert host.statuses(vm_id)[-1] == "Down"
    assert host.statuses(vm_id).count("Down") == 1


def test_a_container_that_is_restarted_is_never_down(host: HostVms, virtocid: Virtocid) -> None:
    """virtocid starts it again; an engine that hears "Down" would, too."""
    vm_id = host.run(container_xml("again", "sh -c 'sleep 0.5; exit 1'", containerRestart="on-failure"))
    wait_until(lambda: host.statuses(vm_id).count("Up") >= 2)
    assert "Down" not in host.statuses(vm_id)
    assert host.statuses(vm_id)[:3] == ["Up", "RebootInProgress", "Up"]
    host.call("VM.destroy", vmID=vm_id)
    assert host.events(vm_id)[-1]["exitReason"] == 6
    assert virtocid.tell("list", "--all", "--uuid") == ""


def test_a_reset_container_goes_on(host: HostVms) -> None:
    vm_id = host.run(container_xml("reset", SLEEP))
    assert host.call("VM.reset", vmID=vm_id) is True
    assert host.status(vm_id) == "Up"
    assert host.statuses(vm_id) == ["Up"]


@pytest.mark.parametrize("kind", ["machine", "container"])
def test_destroyed_at_its_reboot(host: HostVms, tiny_guest: TinyGuest, kind: str) -> None:
    vm_id = host.run(machine_xml(tiny_guest, "once") if kind == "machine" else container_xml("once", SLEEP))
    host.call("VM.setDestroyOnReboot", vmID=vm_id)
    host.call("VM.reset", vmID=vm_id)
    wait_until(lambda: host.status(vm_id) == "Down")
    assert host.stats(vm_id)["exitReason"] == 13


def test_launched_paused(host: HostVms, tiny_guest: TinyGuest) -> None:
    paused = "<ovirt-vm:launchPaused type='bool'>true</ovirt-vm:launchPaused>"
    vm_id = host.create(machine_xml(tiny_guest, "still", values=paused))
    host.wait_for(vm_id, "Paused")
    assert host.statuses(vm_id) == ["Paused"]
    host.call("VM.cont", vmID=vm_id)
    assert host.statuses(vm_id) == ["Paused", "Powering up"]


@pytest.mark.parametrize("kind", ["machine", "container"])
def test_a_failed_start_leaves_nothing(
    host: HostVms, tiny_guest: TinyGuest, libvirtd: Libvirtd, virtocid: Virtocid, kind: str
) -> None:
    broken = tiny_guest.__class__(kernel=Path("/nowhere"), initramfs=tiny_guest.initramfs)
    xml = machine_xml(broken, "broken") if kind == "machine" else container_xml("broken", "/no/such/program")
    vm_id = host.create(xml)
    wait_until(lambda: host.status(vm_id) == "Down")
    assert host.stats(vm_id)["exitReason"] == 3
    assert ("/nowhere" if kind == "machine" else "/no/such/program") in host.stats(vm_id)["exitMessage"]
    assert host.statuses(vm_id) == ["Down"]
    assert libvirtd.virsh("list", "--all", "--uuid").stdout.split() == []
    assert virtocid.tell("list", "--all", "--uuid") == ""


def test_a_domain_of_somebody_else_is_left_alone(host: HostVms, virtocid: Virtocid) -> None:
    name = virtocid.run("theirs")
    theirs = virtocid.tell("domuuid", name)
    vm_id = host.create(container_xml("ours", SLEEP, vm_id=theirs))
    wait_until(lambda: host.status(vm_id) == "Down")
    assert "covirt-host did not make" in host.stats(vm_id)["exitMessage"]
    host.call("VM.destroy", vmID=vm_id)
    assert virtocid.tell("domstate", name) == "running"


def test_one_libvirt_that_hangs_delays_nobody_else(host: HostVms, tiny_guest: TinyGuest, virtocid: Virtocid) -> None:
    machine, container = host.run(machine_xml(tiny_guest, "goes on")), host.run(container_xml("hangs", SLEEP))
    wait_until(lambda: host.stats(container)["cpuActual"] is True)
    os.kill(virtocid.pid, signal.SIGSTOP)
    try:
        seen = host.vms.samplers[Kind.MACHINE].samples.last.taken
        wait_until(lambda: host.vms.samplers[Kind.MACHINE].samples.before.taken > seen)
        host.call("VM.pause", vmID=machine)
        host.call("VM.cont", vmID=machine)
        assert {stats["vmId"] for stats in host.call("Host.getAllVmStats")} == {machine, container}
        assert host.stats(container)["cpuActual"] is True
    finally:
        os.kill(virtocid.pid, signal.SIGCONT)
    assert host.statuses(container) == ["Up"]


def test_figures_for_a_prometheus(host: HostVms, tiny_guest: TinyGuest) -> None:
    machine, container = host.run(machine_xml(tiny_guest, "counted")), host.run(container_xml("counted too", SLEEP))
    wait_until(lambda: all(host.stats(vm_id)["cpuActual"] for vm_id in (machine, container)))
    page = page_maker([VmMetrics(host.vms)])()[1].decode()
    assert 'covirt_host_vms{kind="container",status="Up"} 1.0' in page
    assert 'covirt_host_libvirt_connected{name="oci"} 1.0' in page
    assert f'covirt_host_vm_memory_bytes{{kind="virtual machine",name="counted",vm="{machine}"}}' in page
    assert f'covirt_host_vm_cpu_seconds_total{{kind="container",name="counted too",vm="{container}"}}' in page


def test_one_libvirt_dead_and_the_other_served(host: HostVms, tiny_guest: TinyGuest, virtocid: Virtocid) -> None:
    machine, container = host.run(machine_xml(tiny_guest, "lives")), host.run(container_xml("waits", SLEEP))
    virtocid.kill()
    wait_until(lambda: host.stats(container)["monitorResponse"] == "-1")
    refused = host.refusal("VM.pause", vmID=container)
    assert refused.code == Code.RESOURCE_UNAVAILABLE
    assert (
        host.refusal("VM.create", vmID="", vmParams={"xml": container_xml("later", SLEEP)}).code == Code.UNSUPPORTED
    )
    assert host.support.obstacle.startswith("virtocid does not answer")
    host.call("VM.pause", vmID=machine)
    host.call("VM.cont", vmID=machine)
    assert host.stats(machine)["monitorResponse"] == "0"
    virtocid.start()
    wait_until(lambda: host.stats(container)["monitorResponse"] == "0")
    wait_until(lambda: host.support.obstacle == "")
    assert host.statuses(container) == ["Up"]
    host.call("VM.pause", vmID=container)
    assert host.statuses(container) == ["Up", "Paused"]
