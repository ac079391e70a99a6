# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A libvirt is stopped in the middle of calls: the other kind is served, and all is settled afterwards."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from covirt.common.root import Root
from covirt.host.virt import connection, silence
from covirt.host.virt.kinds import Kind
from covirt.hostapi.errors import CallRefused, Code
from tests.support.guest import TinyGuest
from tests.support.host_vms import SECONDS, HostVms, container_xml, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_SLEEP = "sleep 1000"


@pytest.fixture
def host(
    root_dir: Root, libvirtd: Libvirtd, virtocid: Virtocid, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HostVms]:
    monkeypatch.setattr(connection, "_ASK_SECONDS", 0.5)
    monkeypatch.setattr(silence, "_SILENCE_SECONDS", 2.0)
    with serve_vms(root_dir, oci_uri=virtocid.uri, qemu_uri=libvirtd.uri) as running:
        yield running


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def in_the_back(host: HostVms, verb: str, vm_id: str) -> Iterator[None]:
    """A call that may hang, or be refused, until the end of the block and no longer than it takes after it."""

    def call() -> None:
        try:
            host.call(verb, vmID=vm_id)
        except CallRefused as refused:
            print(verb, refused)  # noqa: T201 - it is shown when the test fails

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    yield
    thread.join(SECONDS)
    assert not thread.is_alive()


def is_served(host: HostVms, vm_id: str) -> None:
    """By verbs that ask its libvirt, and by statistics that are fresh."""
    host.call("VM.pause", vmID=vm_id)
    host.call("VM.cont", vmID=vm_id)
    assert {vm["vmId"] for vm in host.call("Host.getAllVmStats")} >= {vm_id}
    assert host.stats(vm_id)["monitorResponse"] == "0"


def gone(host: HostVms, vm_id: str) -> bool:
    """Destroyed, with as many calls as an engine may need."""
    if host.status(vm_id) is None:
        return True
    try:
        host.call("VM.destroy", vmID=vm_id)
    except CallRefused as refused:
        print("VM.destroy", refused)  # noqa: T201
    return host.status(vm_id) is None


def one_of_each(host: HostVms, guest: TinyGuest) -> tuple[str, str]:
    machine, container = host.create(machine_xml(guest, "machine")), host.create(container_xml("container", _SLEEP))
    for vm_id in (machine, container):
        host.wait_for(vm_id, "Up")
    return machine, container


def test_virtocid_is_stopped(host: HostVms, libvirtd: Libvirtd, virtocid: Virtocid, tiny_guest: TinyGuest) -> None:
    """During a create and a destroy; both are settled once it goes on, and the machine is served meanwhile."""
    machine, container = one_of_each(host, tiny_guest)
    with in_the_back(host, "VM.destroy", container), stopped(virtocid.pid):
        begun = host.create(container_xml("begun", _SLEEP))
        is_served(host, machine)
        wait_until(lambda: host.stats(container)["monitorResponse"] == "-1", timeout_seconds=SECONDS)
        assert host.status(begun) != "Up"
        is_served(host, machine)
    wait_until(lambda: gone(host, container), timeout_seconds=SECONDS)
    wait_until(lambda: host.status(begun) in ("Up", "Down"), timeout_seconds=SECONDS)
    assert listed(libvirtd, virtocid) == {vm["vmId"] for vm in host.call("Host.getVMList") if vm["status"] == "Up"}
    wait_until(lambda: gone(host, begun), timeout_seconds=SECONDS)
    assert listed(libvirtd, virtocid, "--all") == {machine}


def test_libvirtd_is_stopped(host: HostVms, libvirtd: Libvirtd, virtocid: Virtocid, tiny_guest: TinyGuest) -> None:
    machine, container = one_of_each(host, tiny_guest)
    with in_the_back(host, "VM.destroy", machine), stopped(libvirtd.pid):
        begun = host.create(machine_xml(tiny_guest, "begun"))
        is_served(host, container)
        wait_until(lambda: host.stats(machine)["monitorResponse"] == "-1", timeout_seconds=SECONDS)
        wait_until(lambda: not host.vms.connections[Kind.MACHINE].state.connected, timeout_seconds=SECONDS)
        assert host.refusal("VM.reset", vmID=machine).code == Code.RESOURCE_UNAVAILABLE
        assert host.status(begun) != "Up"
        is_served(host, container)
    wait_until(lambda: gone(host, machine), timeout_seconds=SECONDS)
    wait_until(lambda: host.status(begun) in ("Up", "Powering up", "Down"), timeout_seconds=SECONDS)
    wait_until(lambda: gone(host, begun), timeout_seconds=SECONDS)
    assert listed(libvirtd, virtocid, "--all") == {container}


def listed(libvirtd: Libvirtd, virtocid: Virtocid, *flags: str) -> set[str]:
    machines = libvirtd.virsh("list", "--uuid", *flags).stdout.decode().split()
    return {*machines, *virtocid.tell("list", "--uuid", *flags).split()}
