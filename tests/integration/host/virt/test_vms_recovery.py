# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An agent that was killed: its successor finds every Vm again, and finishes or undoes what was half done."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from covirt.common.process import PIPE, Child, spawn
from covirt.common.root import Root
from covirt.host.virt import recovery
from tests.support.guest import TinyGuest
from tests.support.host_vms import SECONDS, container_xml, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

SLEEP = "sleep 1000"
# More than a start and a destroy write; a kill that never comes ends the series.
MOST_RECORDS = 20


class Agent:
    """One that can be killed."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def call(self, method: str, **params: Any) -> Any:
        """None when it was killed meanwhile."""
        try:
            self._child.stdin.write(json.dumps([method, params]).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            return None
        line = self._child.stdout.readline()
        return json.loads(line) if line else None

    def wait_for(self, vm_id: str, status: str) -> None:
        """Until it has this status, or the agent is dead."""

        def told() -> bool:
            vms = self.call("Host.getVMList")
            return vms is None or {vm["vmId"]: vm["status"] for vm in vms}.get(vm_id) in (status, "Down")

        wait_until(told, timeout_seconds=SECONDS, what=f"the status {status}")

    @property
    def killed(self) -> bool:
        return self._child.poll() is not None

    def kill(self) -> None:
        self._child.signal(9)
        self._child.wait(timeout_seconds=SECONDS)


@contextmanager
def agent(root: Root, virtocid: Virtocid, *, kill_at: int = 0) -> Iterator[Agent]:
    program = "tests.support.host_vms_program"
    argv = [sys.executable, "-m", program, str(root.path), virtocid.uri, str(kill_at)]
    with spawn(argv, stdin=PIPE, stdout=PIPE) as child:
        yield Agent(child)


def running(virtocid: Virtocid) -> list[str]:
    return virtocid.tell("list", "--uuid").split()


def test_all_vms_are_found_again(
    root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid, tiny_guest: TinyGuest, open_dir: Path
) -> None:
    """With identity, status and start time; what has ended meanwhile is told once, with its cause."""
    xmls = {
        "machine": machine_xml(tiny_guest, "machine"),
        "container": container_xml("container", SLEEP),
        "paused": container_xml("paused", SLEEP),
        "ends": container_xml("ends", "sh -c 'read line; exit 3'"),
        "gone": container_xml("gone", SLEEP),
        "saved": machine_xml(tiny_guest, "saved"),
    }
    state = open_dir / "state"
    with agent(root_dir, virtocid) as first:
        ids = {name: first.call("VM.create", vmParams={"xml": xml})["vmId"] for name, xml in xmls.items()}
        for vm_id in ids.values():
            first.wait_for(vm_id, "Up")
        first.call("VM.pause", vmID=ids["paused"])
        stats = first.call("VM.getStats", vmID=ids["container"])[0]
        first.kill()
    assert libvirtd.virsh("domstate", "machine").stdout.strip() == b"running"
    libvirtd.virsh("save", "saved", str(state))  # libvirt goes on with what the agent has begun
    virtocid.virsh("destroy", "gone")
    virtocid.virsh("undefine", "gone")
    virtocid.virsh("send-process-signal", "ends", "1", "sigkill")
    virtocid.wait_for_state("ends", "shut off (crashed)")
    with serve_vms(root_dir, oci_uri=virtocid.uri) as host:
        statuses = {name: host.status(vm_id) for name, vm_id in ids.items()}
        ended = dict.fromkeys(("ends", "gone", "saved"), "Down")
        assert statuses == {"machine": "Up", "container": "Up", "paused": "Paused", **ended}
        assert host.stats(ids["saved"])["exitReason"] == 5
        again = host.stats(ids["container"])
        assert (again["vmName"], again["hash"]) == ("container", stats["hash"])
        assert int(again["elapsedTime"]) >= int(stats["elapsedTime"])
        assert [event["status"] for event in host.events(ids["ends"])] == ["Down"]
        assert "SIGKILL" in host.stats(ids["ends"])["exitMessage"]
        assert host.stats(ids["gone"])["exitReason"] == 9
        host.call("VM.cont", vmID=ids["paused"])
        host.call("VM.pause", vmID=ids["machine"])
        assert host.refusal("VM.create", vmParams={"xml": xmls["container"]}).code == 4
    with serve_vms(root_dir, oci_uri=virtocid.uri) as host:
        assert host.call("Host.getVMList") == []


@pytest.mark.timeout(300)  # it starts a QEMU for each record
@pytest.mark.parametrize("kind", ["machine", "container"])
def test_a_kill_at_every_record(
    root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid, tiny_guest: TinyGuest, kind: str
) -> None:
    """During a start and a destroy: afterwards a Vm runs, or is down with nothing left, and can be destroyed."""
    vm_id = "6a4bb36d-2d5c-4d2f-8e7f-3f6c0f1d2e11"
    xml = (
        machine_xml(tiny_guest, "killed", vm_id=vm_id)
        if kind == "machine"
        else container_xml("killed", SLEEP, vm_id=vm_id)
    )
    for kill_at in range(1, MOST_RECORDS):
        with agent(root_dir, virtocid, kill_at=kill_at) as first:
            first.call("VM.create", vmParams={"xml": xml})
            first.wait_for(vm_id, "Up")
            was_up = first.call("Host.getVMList") is not None
            first.call("VM.destroy", vmID=vm_id)
            was_killed = first.call("Host.getVMList") is None
        with serve_vms(root_dir, oci_uri=virtocid.uri) as host:
            status = host.status(vm_id)
            runs = vm_id in [*running(virtocid), *libvirtd.virsh("list", "--uuid").stdout.decode().split()]
            assert status in ("Up", "Down", None), kill_at
            assert runs == (status == "Up"), (kill_at, status)
            if status == "Down" and not was_up:
                stats = host.stats(vm_id)
                assert (stats["exitCode"], stats["exitReason"]) == (1, 3), stats["exitMessage"]
                assert "its start was interrupted" in stats["exitMessage"]
            if status is not None:
                host.call("VM.destroy", vmID=vm_id)
        assert virtocid.tell("list", "--all", "--uuid") == ""
        assert libvirtd.virsh("list", "--all", "--uuid").stdout.split() == []
        assert not list((root_dir.state_dir / "host/vms").iterdir())
        if not was_killed:
            assert kill_at > 5
            return
    raise AssertionError("it was killed every time")


def test_after_a_reboot_of_the_host(
    root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid, monkeypatch: pytest.MonkeyPatch
) -> None:
    with agent(root_dir, virtocid) as first:
        vm_id = first.call("VM.create", vmParams={"xml": container_xml("rebooted", SLEEP)})["vmId"]
        first.wait_for(vm_id, "Up")
        first.kill()
    virtocid.virsh("destroy", "rebooted")
    virtocid.virsh("undefine", "rebooted")
    monkeypatch.setattr(recovery, "boot_id", lambda: "another")
    with serve_vms(root_dir, oci_uri=virtocid.uri) as host:
        assert host.stats(vm_id)["exitReason"] == 11


def test_a_machine_that_a_reboot_ended_stays_defined_until_it_is_destroyed(
    root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid, tiny_guest: TinyGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the agent that is asked to destroy it is a later one than that which found it ended."""
    with agent(root_dir, virtocid) as first:
        vm_id = first.call("VM.create", vmParams={"xml": machine_xml(tiny_guest, "rebooted")})["vmId"]
        first.wait_for(vm_id, "Up")
        first.kill()
    libvirtd.virsh("destroy", "rebooted")
    monkeypatch.setattr(recovery, "boot_id", lambda: "another")
    with agent(root_dir, virtocid) as second:
        second.wait_for(vm_id, "Down")
        second.kill()
    with serve_vms(root_dir, oci_uri=virtocid.uri) as host:
        assert host.status(vm_id) == "Down"
        assert libvirtd.virsh("list", "--all", "--uuid").stdout.decode().split() == [vm_id]
        host.call("VM.destroy", vmID=vm_id)
        assert libvirtd.virsh("list", "--all", "--uuid").stdout.split() == []


def test_virtocid_dies_during_a_start(root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid) -> None:
    """Nobody knows whether the guest runs, so it is not told to be down until it is."""
    with serve_vms(root_dir, oci_uri=virtocid.uri) as host:
        vm_id = host.create(container_xml("half", SLEEP))
        wait_until(lambda: host.vms.get(vm_id).record.owns_domain)
        virtocid.kill()
        wait_until(lambda: not host.vms.connections[host.vms.get(vm_id).kind].state.connected)
        assert host.status(vm_id) in ("WaitForLaunch", "Up")
        virtocid.start()
        wait_until(lambda: host.status(vm_id) in ("Up", "Down"))
        assert running(virtocid) == ([vm_id] if host.status(vm_id) == "Up" else [])
        host.destroy_all()
        assert virtocid.tell("list", "--all", "--uuid") == ""


def test_what_ran_is_told_so_before_its_libvirt_is_there(root_dir: Root, virtocid: Virtocid) -> None:
    """Up, and silent: an engine that is told "about to begin" waits for a start that nobody has asked for."""
    with agent(root_dir, virtocid) as first:
        vm_id = first.call("VM.create", vmParams={"xml": container_xml("runs", SLEEP)})["vmId"]
        first.wait_for(vm_id, "Up")
        first.kill()
    virtocid.kill()
    with serve_vms(root_dir, oci_uri=virtocid.uri) as host:
        assert (host.status(vm_id), host.stats(vm_id)["monitorResponse"]) == ("Up", "-1")
        virtocid.start()
        wait_until(lambda: host.stats(vm_id)["monitorResponse"] == "0", what="the container to be seen")
        assert host.status(vm_id) == "Up"
        host.destroy_all()
