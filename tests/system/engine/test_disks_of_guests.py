# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks of machines that run, by the stock SDK, on an installation of ``covirt up``; the host is asked as well."""

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import ovirtsdk4 as sdk
import pytest
from ovirtsdk4 import types

from covirt.common.process import run
from covirt.engine.vms.live_xml import live_drives
from tests.support.covirt_engine import CovirtEngine
from tests.support.covirt_host import HostClient
from tests.support.covirt_up import Machine, new_machine
from tests.support.enrolled_host import engine_files
from tests.support.libvirtd import Libvirtd
from tests.support.oci_layout import busybox_image, write_layout
from tests.support.roots import new_directory
from tests.support.virtocid import IMAGE, import_image
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

MIB: Final = 1 << 20
_NUMBERS: Final = itertools.count()
UP, DOWN = types.VmStatus.UP, types.VmStatus.DOWN
_SECONDS: Final = 90.0
# What it has written at its first start it finds at the second one.
KEEPING: Final = '["sh", "-c", "test -e /data/kept && exit 7\\u003b touch /data/kept && exit 3"]'


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    machine: Machine
    connection: sdk.Connection
    pki: Path

    @property
    def system(self) -> Any:
        return self.connection.system_service()

    def add_vm(self, name: str, **properties: str) -> Any:
        """Of that name and a number: what a test left that failed is not in the way of its second try."""
        vms = self.system.vms_service()
        vm = types.Vm(
            name=f"{name}-{next(_NUMBERS)}",
            cluster=self.system.clusters_service().list()[0],
            template=types.Template(name="Blank"),
            memory=64 * MIB,
            memory_policy=types.MemoryPolicy(guaranteed=64 * MIB),
            custom_properties=[types.CustomProperty(name=key, value=value) for key, value in properties.items()],
        )
        return vms.vm_service(vms.add(vm).id)

    def configure(self, service: Any, **properties: str) -> None:
        words = [types.CustomProperty(name=key, value=value) for key, value in properties.items()]
        service.update(types.Vm(custom_properties=words))

    def attach(self, service: Any, name: str, image_format: types.DiskFormat, **more: Any) -> Any:
        """A new disk; the service of its attachment."""
        attachments = service.disk_attachments_service()
        local = types.StorageDomain(name="local")
        disk = types.Disk(name=name, format=image_format, provisioned_size=8 * MIB, storage_domains=[local])
        attachment = types.DiskAttachment(interface=types.DiskInterface.VIRTIO, disk=disk, **more)
        return attachments.attachment_service(attachments.add(attachment).id)

    def wait(self, service: Any, *statuses: types.VmStatus) -> Any:
        wait_until(lambda: service.get().status in statuses, timeout_seconds=_SECONDS, what=f"a VM to be {statuses}")
        return service.get()

    def drives(self, service: Any) -> set[str]:
        """Disks that the machine has now, by libvirt."""
        vm_id = service.get().id
        (host,) = self.system.hosts_service().list()
        with closing(HostClient(self.pki, self.machine.host_port, host.address).open()) as client:
            xml = client.call("Host.dumpxmls", {"vmList": [vm_id]})[vm_id]
        return {disk_id for disk_id in live_drives(xml).values() if disk_id}

    def settle(self) -> None:
        """Until no job goes on."""
        jobs = self.system.jobs_service()
        wait_until(
            lambda: all(job.status is not types.JobStatus.STARTED for job in jobs.list()),
            timeout_seconds=_SECONDS,
            what="jobs to end",
        )

    def size_on_storage(self, attachment: Any) -> int:
        """That guests see, in bytes."""
        disk = self.connection.follow_link(attachment.get().disk)
        (path,) = self.machine.root.path.glob(f"var/**/images/{disk.id}/{disk.image_id}")
        told = run(["qemu-img", "info", "-U", "--output", "json", path], timeout_seconds=30).stdout
        return int(json.loads(told)["virtual-size"])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGuest:
    """A machine whose disks are written to as its guest would."""

    place: Place
    service: Any
    libvirtd: Libvirtd
    disks: tuple[Any, ...]

    def start(self) -> None:
        """Until nothing goes on any more."""
        self.service.start()
        self.place.wait(self.service, UP, types.VmStatus.POWERING_UP)
        self.place.settle()

    def write(self, marker: int) -> None:
        """Into each disk's first MiB."""
        self.order(f"write -P {marker} 0 1M")
        self.order("flush")

    def order(self, what: str) -> None:
        """Of each disk, in qemu-io's words."""
        vm_id = self.service.get().id
        for attachment in self.disks:
            command = f'qemu-io -d ua-{attachment.get().id}/virtio-backend "{what}"'
            told = self.libvirtd.virsh("qemu-monitor-command", vm_id, "--hmp", command).stdout
            assert not told.strip(), told  # what it wrote it tells QEMU's own output

    def keep(self, name: str) -> str:
        """A snapshot, when it is made; its id."""
        snapshots = self.service.snapshots_service()
        made = snapshots.add(types.Snapshot(description=name, persist_memorystate=False))
        one = snapshots.snapshot_service(made.id)
        wait_until(
            lambda: one.get().snapshot_status is types.SnapshotStatus.OK, timeout_seconds=_SECONDS, what="a snapshot"
        )
        return str(made.id)

    def holds(self, marker: int) -> bool:
        """Of a machine that is down."""
        for attachment in self.disks:
            disk = self.place.connection.follow_link(attachment.get().disk)
            (path,) = self.place.machine.root.path.glob(f"var/**/images/{disk.id}/{disk.image_id}")
            kind = "qcow2" if disk.format is types.DiskFormat.COW else "raw"
            raw = self.place.machine.root.path / "read"
            run(["qemu-img", "convert", "-f", kind, "-O", "raw", path, raw], timeout_seconds=60)
            if raw.read_bytes()[:MIB] != bytes([marker]) * MIB:
                return False
        return True


def running(place: Place, libvirtd: Libvirtd, service: Any, *disks: Any) -> RunningGuest:
    guest = RunningGuest(place=place, service=service, libvirtd=libvirtd, disks=disks)
    guest.start()
    return guest


@pytest.fixture(scope="module", name="place")
def place_fixture(libvirtd: Libvirtd) -> Iterator[Place]:
    assert libvirtd.uri  # the test's own, which covirt up then uses
    with new_directory() as directory, new_machine() as machine:
        machine.up()
        import_image(
            machine.root, f"oci:{write_layout(directory / 'layout', {IMAGE: busybox_image()})}:{IMAGE}", IMAGE
        )
        engine = cast(CovirtEngine, SimpleNamespace(root=machine.root))
        with machine.connection() as connection:
            place = Place(machine=machine, connection=connection, pki=engine_files(engine, directory / "client"))
            (domain,) = place.system.storage_domains_service().list()
            storage = place.system.storage_domains_service().storage_domain_service(domain.id)
            storage.update(types.StorageDomain(critical_space_action_blocker=0))
            yield place


@pytest.fixture(autouse=True)
def stopped(place: Place) -> Iterator[None]:
    """No guest outlives its test, however that ends."""
    yield
    with place.machine.connection() as connection:
        vms = connection.system_service().vms_service()
        for vm in vms.list():
            if vm.status is not DOWN:
                vms.vm_service(vm.id).stop()


def test_a_machine_that_runs_gets_disks(place: Place) -> None:
    service = place.add_vm("web")
    root = place.attach(service, "root", types.DiskFormat.COW, bootable=True, active=True)
    service.start()
    place.wait(service, UP, types.VmStatus.POWERING_UP)  # nothing boots in it
    place.settle()
    logs = place.attach(service, "logs", types.DiskFormat.RAW, active=True)
    ids = {each.get().id for each in (root, logs)}
    assert place.drives(service) == ids
    for attachment in (root, logs):
        attachment.update(types.DiskAttachment(disk=types.Disk(provisioned_size=16 * MIB)))
        assert place.size_on_storage(attachment) == 16 * MIB
    disks = place.system.disks_service()
    with pytest.raises(sdk.Error, match="which run; stop them first"):
        disks.disk_service(logs.get().id).remove()
    with pytest.raises(sdk.Error, match="deactivate it first"):
        root.update(types.DiskAttachment(interface=types.DiskInterface.VIRTIO_SCSI))
    service.stop()
    place.wait(service, DOWN)
    logs.remove(detach_only=False)
    assert [each.id for each in service.disk_attachments_service().list()] == [root.get().id]
    root.remove(detach_only=False)
    service.remove()
    assert disks.list(search="name=root or name=logs") == []


def test_a_machine_goes_back_to_a_snapshot(place: Place) -> None:
    """It is started above one, too, and nobody takes it back while it runs."""
    service = place.add_vm("back")
    attachment = place.attach(service, "past", types.DiskFormat.RAW, bootable=True, active=True)
    snapshots = service.snapshots_service()
    kept = snapshots.add(types.Snapshot(description="kept", persist_memorystate=False))
    one = snapshots.snapshot_service(kept.id)
    wait_until(
        lambda: one.get().snapshot_status is types.SnapshotStatus.OK,
        timeout_seconds=_SECONDS,
        what="the snapshot to be made",
    )
    disk = place.connection.follow_link(attachment.get().disk)
    (then,) = one.disks_service().list()
    assert (then.id, then.image_id != disk.image_id, disk.format) == (disk.id, True, types.DiskFormat.COW)
    service.start()
    place.wait(service, UP, types.VmStatus.POWERING_UP)
    assert place.drives(service) == {disk.id}
    with pytest.raises(sdk.Error, match="VM is running"):
        one.restore()
    service.stop()
    place.wait(service, DOWN)
    one.restore()
    wait_until(
        lambda: place.connection.follow_link(attachment.get().disk).image_id != disk.image_id,
        timeout_seconds=_SECONDS,
        what="the disk to be what it was",
    )
    place.wait(service, DOWN)
    service.start()
    place.wait(service, UP, types.VmStatus.POWERING_UP)
    service.stop()
    place.wait(service, DOWN)
    one.remove()
    wait_until(lambda: len(snapshots.list()) == 1, timeout_seconds=_SECONDS, what="the snapshot to be removed")
    assert place.connection.follow_link(attachment.get().disk).image_id == then.image_id
    service.remove()


def test_snapshots_of_a_machine_that_runs(place: Place, libvirtd: Libvirtd) -> None:
    """What it has written before is what its disks are again."""
    service = place.add_vm("live")
    disks = [
        place.attach(service, name, kind, bootable=name == "raw", active=True)
        for name, kind in (("raw", types.DiskFormat.RAW), ("cow", types.DiskFormat.COW))
    ]
    place.attach(service, "still", types.DiskFormat.RAW, active=True, read_only=True)
    guest = running(place, libvirtd, service, *disks)
    snapshots = service.snapshots_service()
    with pytest.raises(sdk.Error, match="not its memory"):
        snapshots.add(types.Snapshot(description="memory", persist_memorystate=True))
    ids = []
    for marker in (1, 2):
        guest.write(marker)
        ids.append(guest.keep(f"snapshot {marker}"))
        assert service.get().status in (UP, types.VmStatus.POWERING_UP)
    last = snapshots.snapshot_service(guest.keep("snapshot 3"))
    guest.write(4)
    middle = snapshots.snapshot_service(guest.keep("snapshot 4"))
    guest.write(3)
    for one in (last, middle):  # while it runs
        one.remove()
        place.settle()
    assert {each.description for each in snapshots.list()} == {"Active VM", "snapshot 1", "snapshot 2"}
    assert place.drives(service) > {each.get().id for each in disks}
    disks[0].update(types.DiskAttachment(disk=types.Disk(provisioned_size=16 * MIB)))
    service.stop()
    place.wait(service, DOWN)
    assert guest.holds(3)
    first, second = (snapshots.snapshot_service(each) for each in ids)
    service.preview_snapshot(snapshot=types.Snapshot(id=ids[0]))
    place.settle()
    assert first.get().snapshot_status is types.SnapshotStatus.IN_PREVIEW
    assert {each.snapshot_type for each in snapshots.list()} == set(types.SnapshotType) - {
        types.SnapshotType.STATELESS
    }
    assert guest.holds(1)
    service.start()
    place.wait(service, UP, types.VmStatus.POWERING_UP)
    guest.write(8)
    service.stop()
    place.wait(service, DOWN)
    service.undo_snapshot()
    place.settle()
    assert guest.holds(3)
    second.restore()
    place.settle()
    assert guest.holds(2)
    first.restore()
    place.settle()
    assert guest.holds(1)
    first.remove()
    place.settle()
    assert guest.holds(1)
    service.remove()


def test_a_disk_that_has_grown_since_its_snapshot(place: Place, libvirtd: Libvirtd) -> None:
    """What it has grown into is merged into the smaller one, as its machine runs."""
    service = place.add_vm("grown")
    disk = place.attach(service, "grown", types.DiskFormat.RAW, bootable=True, active=True)
    guest = running(place, libvirtd, service, disk)
    guest.write(1)
    kept = guest.keep("kept")
    disk.update(types.DiskAttachment(disk=types.Disk(provisioned_size=16 * MIB)))
    place.settle()
    guest.order("write -P 7 12M 1M")
    guest.write(2)
    service.snapshots_service().snapshot_service(kept).remove()
    place.settle()
    found = place.connection.follow_link(disk.get().disk)
    assert (found.format, found.provisioned_size) == (types.DiskFormat.RAW, 16 * MIB)
    assert place.size_on_storage(disk) == 16 * MIB
    disk.update(types.DiskAttachment(disk=types.Disk(provisioned_size=24 * MIB)))
    place.settle()
    service.stop()
    place.wait(service, DOWN)
    assert guest.holds(2)
    assert (place.machine.root.path / "read").read_bytes()[12 * MIB : 13 * MIB] == bytes([7]) * MIB
    assert place.size_on_storage(disk) == 24 * MIB
    service.remove()


def in_background(place: Place, service: Any, work: Callable[[Any], object]) -> threading.Thread:
    """What is done to a machine's snapshots over a connection of its own."""
    vm_id = service.get().id

    def done() -> None:
        with suppress(sdk.Error), place.machine.connection() as connection:
            work(connection.system_service().vms_service().vm_service(vm_id).snapshots_service())

    thread = threading.Thread(target=done)
    thread.start()
    return thread


def until_begun(snapshots: Any, going: threading.Thread) -> None:
    """Whatever is done to one of them."""
    fine = {types.SnapshotStatus.OK}
    wait_until(lambda: {each.snapshot_status for each in snapshots.list()} != fine or not going.is_alive())


def test_a_machine_is_stopped_while_its_snapshot_goes(place: Place, libvirtd: Libvirtd) -> None:
    """At whatever moment of the merge; it is ended as for one that is down."""
    service = place.add_vm("stopped")
    disk = place.attach(service, "stopped", types.DiskFormat.RAW, bootable=True, active=True)
    guest = RunningGuest(place=place, service=service, libvirtd=libvirtd, disks=(disk,))
    snapshots = service.snapshots_service()
    for number in range(3):
        guest.start()
        kept = guest.keep("kept")
        guest.order("write -P 5 1M 7M")
        guest.write(number + 1)
        going = in_background(place, service, lambda found, kept=kept: found.snapshot_service(kept).remove())  # type: ignore[misc]
        until_begun(snapshots, going)
        time.sleep(0.05 * number)
        service.stop()
        going.join()
        place.wait(service, DOWN)
        place.settle()
        told = [event.description for event in place.system.events_service().list(max=6)]
        assert [each.description for each in snapshots.list()] == ["Active VM"], told
        assert guest.holds(number + 1)
        assert (place.machine.root.path / "read").read_bytes()[MIB:] == bytes([5]) * 7 * MIB
        assert place.connection.follow_link(disk.get().disk).format is types.DiskFormat.RAW
    service.remove()


def test_the_host_is_killed_while_snapshots_are_made_and_removed(place: Place, libvirtd: Libvirtd) -> None:
    """Each time somewhere else; the guest goes on, and has what it has written."""
    service = place.add_vm("hardy")
    disks = [
        place.attach(service, name, kind, bootable=name == "one", active=True)
        for name, kind in (("one", types.DiskFormat.RAW), ("two", types.DiskFormat.COW))
    ]
    guest = running(place, libvirtd, service, *disks)
    snapshots = service.snapshots_service()

    def killed(work: Callable[[Any], object], after_seconds: float) -> None:
        thread = in_background(place, service, work)
        host = place.machine.pids["covirt-host"]
        time.sleep(after_seconds)
        os.kill(host, signal.SIGKILL)
        thread.join()
        wait_until(lambda: place.machine.pids.get("covirt-host", host) != host, timeout_seconds=_SECONDS)
        place.machine.up()
        place.settle()

    for number in range(2):
        guest.write(number + 1)
        name = f"snapshot {number}"
        kept = types.Snapshot(description=name, persist_memorystate=False)
        killed(lambda found, kept=kept: found.add(kept), 0.2 + 0.15 * number)  # type: ignore[misc]
        guest.write(number + 11)
        for made in [each for each in snapshots.list() if each.description == name]:
            killed(lambda found, made=made: found.snapshot_service(made.id).remove(), 0.2 + 0.15 * number)  # type: ignore[misc]
            if made.id in {each.id for each in snapshots.list()}:
                snapshots.snapshot_service(made.id).remove()
                place.settle()
        assert [each.description for each in snapshots.list()] == ["Active VM"]
        assert service.get().status in (UP, types.VmStatus.POWERING_UP)
        assert place.drives(service) == {each.get().id for each in disks}
    guest.write(99)
    service.stop()
    place.wait(service, DOWN)
    assert guest.holds(99)
    for attachment in disks:
        disk = place.connection.follow_link(attachment.get().disk)
        (path,) = place.machine.root.path.glob(f"var/**/images/{disk.id}/{disk.image_id}")
        assert [each.name for each in path.parent.iterdir() if not each.suffix] == [disk.image_id]
    service.remove()


def test_a_container_keeps_what_is_on_its_disks(place: Place) -> None:
    """One is there at its start, another comes while it runs and goes again."""
    words = {"containerType": "docker", "containerImage": IMAGE}
    service = place.add_vm("box", **words, containerCommand=KEEPING, volumeMap="/data:data")
    data = place.attach(service, "data", types.DiskFormat.RAW, active=True)
    for code in ("3", "7"):
        service.start()
        assert code in place.wait(service, DOWN).stop_reason
    sleeping = {**words, "containerCommand": "sleep 1000"}
    place.configure(service, **sleeping, volumeMap="/data:data,/more:more")
    with pytest.raises(sdk.Error, match="more"):
        service.start()
    place.configure(service, **sleeping, volumeMap="/data:data")
    service.start()
    place.wait(service, UP)
    with pytest.raises(sdk.Error, match="its volumeMap has no absolute path for other"):
        place.attach(service, "other", types.DiskFormat.RAW, active=True)
    place.configure(service, **sleeping, volumeMap="/data:data,/more:more")
    more = place.attach(service, "more", types.DiskFormat.RAW, active=True)
    assert place.drives(service) == {data.get().id, more.get().id}
    more.update(types.DiskAttachment(active=False))
    assert place.drives(service) == {data.get().id}
    more.remove(detach_only=False)
    service.stop()
    place.wait(service, DOWN)
    data.remove(detach_only=False)
    service.remove()
    assert place.system.disks_service().list(search="name=data or name=more or name=other") == []


def test_the_engine_is_killed_while_disks_are_made(place: Place) -> None:
    """Each of them is there whole, or not at all."""
    (domain,) = place.system.storage_domains_service().list()
    names = [f"disk{number}" for number in range(6)]
    images = place.machine.root.path.glob(f"**/{domain.id}/images/*")
    before = {path.name for path in images if path.is_dir()}

    def add(name: str) -> None:
        disk = types.Disk(name=name, format=types.DiskFormat.RAW, sparse=False, provisioned_size=32 * MIB,
                          storage_domains=[types.StorageDomain(id=domain.id)])  # fmt: skip
        with suppress(Exception), place.machine.connection() as connection:  # also what becomes of its logout
            connection.system_service().disks_service().add(disk)

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    engine = place.machine.pids["covirt-engine"]
    for thread in threads:
        thread.start()
    wait_until(lambda: bool(place.system.disks_service().list(search="name=disk*")), what="the first disk")
    os.kill(engine, signal.SIGKILL)
    for thread in threads:
        thread.join()
    wait_until(lambda: place.machine.pids.get("covirt-engine", engine) != engine, timeout_seconds=_SECONDS)
    place.machine.up()
    with place.machine.connection() as connection:
        disks = connection.system_service().disks_service()
        wait_until(
            lambda: all(disk.status is types.DiskStatus.OK for disk in disks.list(search="name=disk*")),
            timeout_seconds=_SECONDS,
            what="all disks to be there or gone",
        )
        found = {disk.id: disk for disk in disks.list(search="name=disk*")}
        images = place.machine.root.path.glob(f"**/{domain.id}/images/*")
        assert {path.name for path in images if path.is_dir()} - before == set(found)
        assert all(disk.actual_size >= 32 * MIB for disk in found.values())
        for disk_id in found:
            disks.disk_service(disk_id).remove()
