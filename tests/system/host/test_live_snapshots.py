# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a machine that runs, by the host's verbs: what was written before is in the old volumes."""

import json
import queue
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest
from stomp.exception import NotConnectedException

from covirt.common.process import run
from covirt.hostapi.errors import Code
from tests.support import engine_xml
from tests.support.covirt_host import CallFailed, CovirtHost, HostClient, serve_covirt_host
from tests.support.guest import TinyGuest
from tests.support.host_pool import PoolOnHost, connect_pool, create_volume, finished, new_pool
from tests.support.host_vms import machine_xml
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_root
from tests.support.waiting import free_port, wait_until
from tests.system.host.test_story import ref_of, run_vm, status_of

pytestmark = pytest.mark.qemu

_MIB = 1 << 20
_SIZE = 16 * _MIB
MOST_RECORDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """With two disks, a raw one and a qcow2 one."""

    host: CovirtHost
    libvirtd: Libvirtd
    configuration: str
    pool: PoolOnHost
    client: HostClient
    vm_id: str
    disks: tuple[dict[str, str], ...]

    def write(self, marker: int) -> None:
        """As its guest would, into each disk's first MiB."""
        for disk in self.disks:
            for what in (f"write -P {marker} 0 1M", "flush"):
                command = f'qemu-io -d ua-{disk["imageID"]}/virtio-backend "{what}"'
                told = self.libvirtd.virsh("qemu-monitor-command", self.vm_id, "--hmp", command).stdout
                assert not told.strip(), told  # what it wrote it tells QEMU's own output

    def above(self, disk: dict[str, str]) -> dict[str, str]:
        """A new volume over the disk's."""
        ids = {**disk, "volumeID": str(uuid4())}
        words = {"size": str(_SIZE), "volFormat": "COW", "preallocate": "SPARSE", "diskType": "DATA", "desc": ""}
        source = {"srcImgUUID": disk["imageID"], "srcVolUUID": disk["volumeID"]}
        finished(self.client, self.client.call("Volume.create", {**ids, **words, **source}))
        return ids

    def snapshot(self, above: tuple[dict[str, str], ...], **more: object) -> object:
        drives = [
            {"domainID": new["storagedomainID"], "imageID": new["imageID"], "volumeID": new["volumeID"],
             "baseVolumeID": disk["volumeID"]}
            for disk, new in zip(self.disks, above, strict=True)
        ]  # fmt: skip
        return self.client.call("VM.snapshot", {"vmID": self.vm_id, "snapDrives": drives, **more})

    def merge(self, top: dict[str, str], base_id: str, **more: int) -> str:
        job_id = str(uuid4())
        drive = {"domainID": top["storagedomainID"], "imageID": top["imageID"], "poolID": top["storagepoolID"]}
        words = {"drive": {**drive, "volumeID": top["volumeID"]}, "topVolUUID": top["volumeID"]}
        self.client.call("VM.merge", {"vmID": self.vm_id, **words, "baseVolUUID": base_id, "jobUUID": job_id, **more})
        return job_id

    def jobs(self) -> set[str]:
        return set(self.client.call("VM.getStats", {"vmID": self.vm_id})[0]["vmJobs"])

    def info(self, ids: dict[str, str]) -> dict[str, str]:
        told: dict[str, str] = self.client.call("Volume.getInfo", ids)
        return told

    def marker(self, ids: dict[str, str], kind: str) -> int:
        path = self.pool.images / ids["imageID"] / ids["volumeID"]
        raw = self.host.root.path / "read"
        run(["qemu-img", "convert", "-U", "-f", kind, "-O", "raw", path, raw], timeout_seconds=60)
        data = raw.read_bytes()
        assert data[:_MIB] == data[:1] * _MIB
        return data[0]


@pytest.fixture
def machine(libvirtd: Libvirtd, tiny_guest: TinyGuest) -> Iterator[Machine]:
    with new_root() as root:
        configuration = f'[virt]\nqemu_uri = "{libvirtd.uri}"\nsample_seconds = 1\nhost_files = ["/"]\n'
        export = root.path / "export"
        export.mkdir()
        with (
            serve_covirt_host(root, configuration=configuration, port=free_port()) as host,
            host.client() as client,
        ):
            pool = new_pool(client, export)
            raw, cow = (create_volume(client, pool, size_bytes=_SIZE, cow=cow) for cow in (False, True))
            xml = engine_xml.with_disk(machine_xml(tiny_guest, "box"), ref_of(raw))
            vm_id = run_vm(client, engine_xml.with_disk(xml, ref_of(cow), name="vdb", kind="qcow2"))
            yield Machine(
                host=host,
                configuration=configuration,
                libvirtd=libvirtd,
                pool=pool,
                client=client,
                vm_id=vm_id,
                disks=(raw, cow),
            )
            with host.client() as last:  # a test may have killed the host
                if status_of(last, vm_id):
                    last.call("VM.destroy", {"vmID": vm_id})


def test_old_volumes_keep_what_was(machine: Machine) -> None:
    machine.write(1)
    above = tuple(machine.above(disk) for disk in machine.disks)
    assert machine.snapshot(above) is True
    assert machine.snapshot(above) is True  # a second time
    machine.write(2)
    assert [machine.marker(disk, kind) for disk, kind in zip(machine.disks, ("raw", "qcow2"), strict=True)] == [1, 1]
    assert [machine.marker(ids, "qcow2") for ids in above] == [2, 2]
    job_id = str(uuid4())
    later = tuple(machine.above(ids) for ids in above)
    moved = replace(machine, disks=above)
    assert moved.snapshot(later, jobUUID=job_id, frozen=True) is True
    machine.client.wait_for_event(f"|jobs|status|{job_id}", status="done")
    moved.write(3)
    assert [machine.marker(ids, "qcow2") for ids in (*above, *later)] == [2, 2, 3, 3]
    with pytest.raises(CallFailed) as refused:
        machine.snapshot(above, snapMemory="x")
    assert refused.value.code == Code.UNSUPPORTED


def test_volumes_are_merged(machine: Machine) -> None:
    """First one in the middle of the chain, then the one that the guest writes to."""
    machine.write(1)
    middle = tuple(machine.above(disk) for disk in machine.disks)
    machine.snapshot(middle)
    machine.write(2)
    upper = replace(machine, disks=middle)
    top = tuple(machine.above(ids) for ids in middle)
    upper.snapshot(top)
    machine.write(3)
    for volumes in (middle, top):
        for ids, disk in zip(volumes, machine.disks, strict=True):
            machine.merge(ids, disk["volumeID"])
        wait_until(lambda: not machine.jobs(), timeout_seconds=60, what="merges")
        for ids in volumes:
            assert machine.info(ids)["legality"] == "ILLEGAL"
            finished(machine.client, machine.client.call("Volume.delete", {**ids, "postZero": False, "force": False}))
        assert status_of(machine.client, machine.vm_id) == "Up"
        if volumes is middle:
            assert [machine.info(ids)["parent"] for ids in top] == [disk["volumeID"] for disk in machine.disks]
            assert [machine.marker(ids, "qcow2") for ids in top] == [3, 3]
            assert machine.marker(machine.disks[0], "raw") == 2
    machine.write(4)
    assert [machine.marker(disk, kind) for disk, kind in zip(machine.disks, ("raw", "qcow2"), strict=True)] == [4, 4]
    machine.client.call("VM.destroy", {"vmID": machine.vm_id})
    for disk in machine.disks:
        assert not list(machine.host.root.path.glob(f"run/vdsm/storage/*/{disk['imageID']}"))


@pytest.mark.parametrize("stands_still", [False, True])
def test_a_host_that_is_killed_ends_the_merge_later(machine: Machine, *, stands_still: bool) -> None:
    machine.write(1)
    top = tuple(machine.above(disk) for disk in machine.disks)
    machine.snapshot(top)
    machine.write(2)
    for ids, disk in zip(top, machine.disks, strict=True):
        assert machine.merge(ids, disk["volumeID"], bandwidth=1) in machine.jobs()
    machine.host.kill()
    if stands_still:  # it was killed when the guest had to
        (path,) = (machine.host.root.state_dir / "host/vms").glob("*.json")
        told = json.loads(path.read_text())
        for merge in told["merges"]:
            merge["stands_still"] = True
        path.write_text(json.dumps(told))
        machine.libvirtd.virsh("suspend", machine.vm_id)
    machine.host.start()
    with machine.host.client() as client:
        again = replace(machine, client=client)
        wait_until(lambda: not again.jobs(), timeout_seconds=60, what="merges")
        wait_until(lambda: status_of(client, machine.vm_id) == "Up", timeout_seconds=60, what="the guest")
        assert [again.info(ids)["legality"] for ids in top] == ["ILLEGAL", "ILLEGAL"]
        again.write(3)
        kinds = zip(machine.disks, ("raw", "qcow2"), strict=True)
        assert [again.marker(disk, kind) for disk, kind in kinds] == [3, 3]
        client.call("VM.destroy", {"vmID": machine.vm_id})


@pytest.mark.timeout(300)  # a host for each record
def test_a_host_that_is_killed_at_every_record_of_a_merge(machine: Machine) -> None:
    """The next one ends it; the guest goes on, and has what it has written."""
    for kill_at in range(1, MOST_RECORDS):
        with machine.host.client() as client:
            connect_pool(client, machine.pool)
            again = replace(machine, client=client)
            top = tuple(again.above(disk) for disk in machine.disks)
            again.snapshot(top)
        again.write(kill_at)
        machine.host.stop()
        was_killed = killed_in_merges(machine, top, kill_at)
        machine.host.start()
        with machine.host.client() as client:
            again = replace(machine, client=client)
            for ids, disk in zip(top, machine.disks, strict=True):
                again.merge(ids, disk["volumeID"])  # one that was never begun, or has ended
            wait_until(lambda found=again: not found.jobs(), timeout_seconds=60, what="merges")  # type: ignore[misc]
            assert status_of(client, machine.vm_id) == "Up", kill_at
            again.write(kill_at + 100)
            kinds = zip(machine.disks, ("raw", "qcow2"), strict=True)
            assert [again.marker(disk, kind) for disk, kind in kinds] == [kill_at + 100] * 2
            connect_pool(client, machine.pool)
            for ids in top:
                assert again.info(ids)["legality"] == "ILLEGAL"
                finished(client, client.call("Volume.delete", {**ids, "postZero": False, "force": False}))
        if not was_killed:
            assert kill_at > 5
            return
    raise AssertionError("it was killed every time")


def killed_in_merges(machine: Machine, top: tuple[dict[str, str], ...], kill_at: int) -> bool:
    """Whether the host has written so many records until all is merged."""
    mortal = CovirtHost(machine.host.root, configuration=machine.configuration, port=machine.host.port)
    mortal.program = (Path(sys.executable), Path("-m"), Path("tests.support.mortal_host"), Path(str(kill_at)))
    mortal.start()
    with suppress(queue.Empty, NotConnectedException, OSError), mortal.client() as client:
        client.patience_seconds = 2  # for the answer of one that is dead
        again = replace(machine, client=client)
        for ids, disk in zip(top, machine.disks, strict=True):
            again.merge(ids, disk["volumeID"])
        wait_until(lambda: not again.jobs(), timeout_seconds=60, what="merges")
    killed = mortal.has_ended
    mortal.kill()
    return killed
