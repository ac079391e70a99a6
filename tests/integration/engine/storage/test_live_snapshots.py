# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a machine that runs on a real covirt-host, by an engine that is killed after each of its calls."""

import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from covirt.engine.commands.snapshots.create import CreateSnapshot
from covirt.engine.commands.snapshots.remove import RemoveSnapshot
from covirt.engine.model.vm import Snapshot, VmStatus
from covirt.engine.store.plain import to_text
from covirt.host.virt.volumes import VolumeRef
from tests.support.engine_objects import NOON
from tests.support.engine_xml import with_disk
from tests.support.guest import TinyGuest
from tests.support.host_vms import machine_xml
from tests.support.killed_engine import is_killed, run_engine
from tests.support.libvirtd import Libvirtd
from tests.support.snapshot_site import Machine, new_machine
from tests.support.storage_site import new_site
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.qemu]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """``machine``, with a raw disk and a qcow2 one; its guest runs on the host."""

    machine: Machine
    libvirtd: Libvirtd

    def write(self, marker: int) -> None:
        """As its guest would, what Machine.write does to one that is down."""
        self._order(f"write -P {marker} 0 2M")
        self.flush()

    def flush(self) -> None:
        """Who looks into the volumes finds what was written."""
        self._order("flush")

    def _order(self, what: str) -> None:
        for disk_id in self.machine.disk_ids:
            command = f'qemu-io -d ua-{disk_id}/virtio-backend "{what}"'
            told = self.libvirtd.virsh("qemu-monitor-command", self.machine.vm_id, "--hmp", command).stdout
            assert not told.strip(), told  # what it wrote it tells QEMU's own output

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(id=str(uuid.uuid4()), description="live", vm_id=self.machine.vm_id, date=NOON)

    def call(self, verb: str, **params: object) -> object:
        with self.machine.site.covirt_host.client() as client:
            return client.call(verb, {"vmID": self.machine.vm_id, **params})


@pytest.fixture(scope="module", name="running")
def running_fixture(libvirtd: Libvirtd, tiny_guest: TinyGuest) -> Iterator[Running]:
    with new_site(f'[virt]\nqemu_uri = "{libvirtd.uri}"\nsample_seconds = 1\nhost_files = ["/"]\n') as site:
        domain_id = site.new_domain("data")
        site.api.put(f"storagedomains/{domain_id}", {"critical_space_action_blocker": "0"})
        machine = new_machine(site, domain_id, "live")
        site.commands.stop()  # each operation is another process'
        running = Running(machine=machine, libvirtd=libvirtd)
        xml = machine_xml(tiny_guest, "live", vm_id=machine.vm_id)
        for number, (name, kind) in enumerate((("vda", "raw"), ("vdb", "qcow2"))):
            disk = machine.disk(number)
            ref = VolumeRef(pool_id=site.center_id, domain_id=domain_id, image_id=disk.id, volume_id=disk.image_id)
            xml = with_disk(xml, ref, name=name, kind=kind)
        running.call("VM.create", vmParams={"xml": xml})
        wait_until(lambda: "Up" in str(running.call("Host.getVMList")), timeout_seconds=60, what="the start")
        machine.change(status=VmStatus.UP, host_id=site.hosts.host_id)
        yield running
        running.call("VM.destroy")


@pytest.mark.parametrize("kill", [1, 3, 6, 9])
def test_an_engine_that_is_killed_after_a_call(running: Running, kill: int) -> None:
    """What was written before is in the snapshot's volumes, and what is written after that in the new ones."""
    machine = running.machine
    running.write(kill)
    before = [machine.disk(number).image_id for number in range(2)]
    snapshot = running.snapshot
    is_killed(machine.site, CreateSnapshot(snapshot=snapshot), kill)
    running.write(kill + 1)
    assert machine.at_rest()
    with machine.site.store.read() as session:
        kept = session.snapshots.get(snapshot.id)
    assert {each.disk_id: each.image_id for each in kept.disks} == dict(zip(machine.disk_ids, before, strict=True))
    assert machine.holds(kill + 1)
    assert machine.holds(kill, then=kept)


@pytest.mark.parametrize("kill", [0, 2, 4, 7, 11, 16])
def test_a_removal_that_is_killed_after_a_call(running: Running, kill: int) -> None:
    """First of the one in the middle, then of the one on top."""
    machine = running.machine
    before = [machine.volumes(number) for number in range(2)]
    kept = []
    for marker in (kill + 31, kill + 32):
        running.write(marker)
        kept.append(running.snapshot)
        assert run_engine(machine.site, CreateSnapshot.action, to_text(CreateSnapshot(snapshot=kept[-1]))) == 0
    running.write(kill + 33)
    for snapshot in kept:
        is_killed(machine.site, RemoveSnapshot(snapshot_id=snapshot.id), kill)
        assert machine.at_rest()
        running.flush()
        assert machine.holds(kill + 33)
        with machine.site.store.read() as session:
            assert session.snapshots.find(id=snapshot.id) is None
            left = session.snapshots.find(id=kept[1].id)
        assert left is None or machine.holds(kill + 32, then=left)
    assert [machine.volumes(number) for number in range(2)] == before
    running.write(kill + 34)
    assert machine.holds(kill + 34)


def test_one_that_cannot_be_made_leaves_the_guest_as_it_was(running: Running) -> None:
    machine = running.machine
    running.write(77)
    before = [machine.volumes(number) for number in range(2)]
    with machine.site.store.write() as session:  # its host has it no more, or so the engine thinks
        disk = machine.disk(1)
        session.disks.update(replace(disk, image_id=min(before[1] - {disk.image_id})))
    snapshot = running.snapshot
    assert run_engine(machine.site, CreateSnapshot.action, to_text(CreateSnapshot(snapshot=snapshot))) == 1
    with machine.site.store.write() as session:
        session.disks.update(disk)
        assert session.snapshots.find(id=snapshot.id) is None
    assert [machine.volumes(number) for number in range(2)] == before
    assert machine.holds(77)


def test_a_guest_that_ends_in_a_merge(running: Running) -> None:
    """What its host has begun is finished as for one that is down. The last test: its guest is gone."""
    machine = running.machine
    before = [machine.volumes(number) for number in range(2)]
    running.write(91)
    snapshot = running.snapshot
    assert run_engine(machine.site, CreateSnapshot.action, to_text(CreateSnapshot(snapshot=snapshot))) == 0
    running.write(92)
    command = RemoveSnapshot(snapshot_id=snapshot.id)
    assert run_engine(machine.site, command.action, to_text(command), kill=4) == -signal.SIGKILL  # after VM.merge
    with machine.site.store.read() as session:
        locked = [session.commands.is_locked(each) for each in (machine.vm_id, *machine.disk_ids)]
    assert locked == [False, True, True], "the machine may be stopped, but not started"
    running.libvirtd.virsh("destroy", machine.vm_id)
    assert run_engine(machine.site) == 0
    assert machine.at_rest()
    assert machine.holds(92)
    assert [machine.volumes(number) for number in range(2)] == before
    with machine.site.store.read() as session:
        assert session.snapshots.find(id=snapshot.id) is None
