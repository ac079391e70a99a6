# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs that change running Vms, and what follows them by itself: agents' facts, lost storage."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covirt.host.virt.device_errors import DiskNotUnplugged
from covirt.host.virt.hotplug import HotPlug
from covirt.host.virt.kinds import Kind
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.errors import Code
from tests.support.engine_xml import POOL, STORAGE, disk_xml, nic_xml, volume_facts
from tests.support.engine_xml import container_xml as stored_container_xml
from tests.support.fake_volumes import FakeVolumes
from tests.support.guest import BOOTED, TinyGuest
from tests.support.host_vms import HostVms, container_xml, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.network import LinuxBridge
from tests.support.roots import new_directory, new_root
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

MAC = "52:54:00:12:34:56"
NOBODY = "6b3f3c6e-64a5-4a6d-9d8c-0f6f5b1d2a10"
SLEEP = "sleep 1000"
CHANGES: dict[str, dict[str, Any]] = {
    "VM.hotplugDisk": {"params": {"xml": "<hotplug/>"}},
    "VM.hotunplugDisk": {"params": {"xml": "<hotplug/>"}},
    "VM.hotplugNic": {"params": {"xml": "<hotplug/>"}},
    "VM.hotunplugNic": {"params": {"xml": "<hotplug/>"}},
    "VM.updateDevice": {"params": {"deviceType": "interface", "alias": "x", "linkActive": "false"}},
    "VM.changeCD": {"driveSpec": {"iface": "ide", "index": "2", "path": ""}},
    "VM.diskSizeExtend": {"driveSpecs": {}, "newSize": "1"},
    "VM.setTicket": {"password": "x", "ttl": "10", "existingConnAction": "disconnect", "params": {}},
    "VM.setNumberOfCpus": {"numberOfCpus": 2},
    "VM.setBalloonTarget": {"target": 65536},
    "VM.updateVmPolicy": {"params": {"vcpuLimit": 50}},
    "VM.freeze": {},
    "VM.thaw": {},
}


def ref(number: int) -> VolumeRef:
    image, volume = (f"{kind}a3c1a5e-54b1-4a5b-9f0b-00000000000{number}" for kind in (8, 9))
    return VolumeRef(pool_id=POOL, domain_id=STORAGE, image_id=image, volume_id=volume)


@pytest.fixture(scope="module")
def volumes() -> Iterator[FakeVolumes]:
    """Their files belong to 36:36, as a storage domain's."""
    with new_directory(on_disk=True) as path:
        paths = {}
        for number in range(1, 4):
            file = path / "images" / ref(number).image_id / ref(number).volume_id
            file.parent.mkdir(parents=True)
            with file.open("wb") as stream:
                stream.truncate(16 << 20)
            file.chmod(0o660)
            os.chown(file, 36, 36)
            paths[ref(number)] = str(file)
        yield FakeVolumes(paths)


@pytest.fixture(scope="module")
def shared(libvirtd: Libvirtd, virtocid_daemon: Virtocid, volumes: FakeVolumes) -> Iterator[HostVms]:
    with (
        new_root() as root,
        serve_vms(root, oci_uri=virtocid_daemon.uri, qemu_uri=libvirtd.uri, volumes=volumes) as running,
    ):
        yield running


@pytest.fixture
def host(shared: HostVms, virtocid: Virtocid) -> Iterator[HostVms]:
    assert virtocid.running
    wait_until(lambda: shared.support.obstacle == "")
    yield shared
    shared.destroy_all()
    assert shared.volumes.users == {}


DISPLAY = "<graphics type='vnc' port='-1'><listen type='network' network='vdsm-ovirtmgmt'/></graphics></devices>"


@pytest.fixture
def machine(host: HostVms, tiny_guest: TinyGuest, open_dir: Path) -> str:
    """Booted, so that it lets go of its devices."""
    log = open_dir / "serial.log"
    vm_id = host.run(machine_xml(tiny_guest, "machine", log=log))
    wait_until(lambda: log.exists() and BOOTED in log.read_text(), timeout_seconds=90, what="the guest's boot")
    return vm_id


def stored_xml(name: str) -> str:
    """A container with its data in the storage domain."""
    disks = (("vda", ref(1)),)
    return stored_container_xml(
        name, NOBODY, disks=disks, containerImage="busybox", volumeMap="data:vda", containerCommand=SLEEP
    )


def live(host: HostVms, vm_id: str) -> str:
    return str(host.vms.get(vm_id).domain().XMLDesc(0))


def test_devices_of_a_machine(host: HostVms, machine: str, linux_bridge: LinuxBridge) -> None:
    assert host.call("VM.hotplugDisk", vmID=machine, params={"xml": disk_xml("vdb", ref(1))}) == {"vmList": {}}
    assert host.volumes.users == {ref(1): {machine}}
    assert host.refusal("VM.hotplugDisk", vmID=machine, params={"xml": disk_xml("vdb", ref(2))}).code == 45
    wait_until(lambda: host.stats(machine).get("disks", {}).get("vdb", {}).get("imageID") == ref(1).image_id)
    tune = [{**volume_facts(ref(1)), "maximum": {"total_iops_sec": 100}}]
    assert host.call("VM.updateVmPolicy", vmID=machine, params={"vcpuLimit": "50", "ioTune": tune}) is True
    host.call("VM.hotunplugDisk", vmID=machine, params={"xml": disk_xml("vdb", ref(1))})
    assert (host.volumes.users, "vdb" in live(host, machine)) == ({}, False)
    assert host.refusal("VM.hotunplugDisk", vmID=machine, params={"xml": disk_xml("vdb", ref(1))}).code == 46

    answer = host.call("VM.hotplugNic", vmID=machine, params={"xml": nic_xml(linux_bridge.name, MAC)})
    assert answer["vmList"]["devices"] == [{"macAddr": MAC, "alias": "ua-nic"}]
    change = {"deviceType": "interface", "alias": "ua-nic", "linkActive": "false"}
    host.call("VM.updateDevice", vmID=machine, params=change)
    assert "state='down'" in live(host, machine)
    host.call("VM.hotunplugNic", vmID=machine, params={"xml": nic_xml(linux_bridge.name, MAC)})
    assert MAC not in live(host, machine)


def test_a_ticket(host: HostVms, tiny_guest: TinyGuest, caplog: pytest.LogCaptureFixture) -> None:
    """The display listens where this host says, whatever network of Vdsm's the engine names."""
    machine = host.run(machine_xml(tiny_guest, "machine").replace("</devices>", DISPLAY))
    (display,) = host.stats(machine)["displayInfo"]
    assert (display["type"], display["ipAddress"]) == ("vnc", "127.0.0.1")
    ticket = {"password": "s3cret", "ttl": "120", "existingConnAction": "disconnect", "params": {}}
    assert host.call("VM.setTicket", vmID=machine, **ticket) is True
    refused = host.refusal("VM.setTicket", vmID=machine, **{**ticket, "password": "far too long"})
    assert refused.code == Code.TICKET
    update = {"deviceType": "graphics", "graphicsType": "vnc", "password": "s3cret", "ttl": 60, "params": {}}
    assert host.call("VM.updateDevice", vmID=machine, params=update) == {"vmList": {}}
    assert "far too long" not in refused.message
    assert "s3cret" not in caplog.text
    assert "far too long" not in caplog.text


def test_a_device_that_leaves_late(host: HostVms, machine: str) -> None:
    """The engine was told that it stayed; when it goes after all, its volume is given back."""
    impatient = HotPlug(volumes=host.volumes, turns=host.part.hotplug.turns, removal_seconds=0.1)
    guest = host.part._running()[0]
    host.call("VM.hotplugDisk", vmID=machine, params={"xml": disk_xml("vdb", ref(1))})
    host.call("VM.pause", vmID=machine)
    with pytest.raises(DiskNotUnplugged):
        impatient.unplug_disk(guest, disk_xml("vdb", ref(1)))
    assert host.volumes.users == {ref(1): {machine}}
    host.call("VM.cont", vmID=machine)
    wait_until(lambda: host.volumes.users == {}, timeout_seconds=60)


def test_a_container(host: HostVms, linux_bridge: LinuxBridge) -> None:
    xml = stored_container_xml(
        "web",
        NOBODY,
        disks=(("vda", ref(1)),),
        containerImage="busybox",
        volumeMap="data:vda",
        containerCommand=SLEEP,
    )
    vm_id = host.run(xml)
    host.call("VM.hotplugDisk", vmID=vm_id, params={"xml": disk_xml("vdb", ref(2), containerPath="/more")})
    host.call("VM.hotplugNic", vmID=vm_id, params={"xml": nic_xml(linux_bridge.name, MAC)})
    assert host.volumes.users == {ref(1): {vm_id}, ref(2): {vm_id}}
    wait_until(lambda: MAC in str(host.stats(vm_id).get("netIfaces")), timeout_seconds=60, what="the agent's facts")
    assert host.stats(vm_id)["guestName"] == "web"
    host.call("VM.hotunplugNic", vmID=vm_id, params={"xml": nic_xml(linux_bridge.name, MAC)})
    host.call("VM.setBalloonTarget", vmID=vm_id, target="49152")
    assert host.stats(vm_id)["balloonInfo"]["balloon_target"] == "49152"
    host.call("VM.setNumberOfCpus", vmID=vm_id, numberOfCpus="1")
    before = live(host, vm_id)
    for verb in ("VM.setTicket", "VM.changeCD", "VM.freeze", "VM.thaw"):
        assert host.refusal(verb, vmID=vm_id, **CHANGES[verb]).code == Code.UNSUPPORTED
    display = {"deviceType": "graphics", "graphicsType": "vnc", "password": "x", "ttl": 1, "params": {}}
    assert host.refusal("VM.updateDevice", vmID=vm_id, params=display).code == Code.UNSUPPORTED
    assert live(host, vm_id) == before
    # What was plugged in is given back with the rest.


def test_another_disc_is_another_set_of_devices(host: HostVms, tiny_guest: TinyGuest) -> None:
    """For engines, which ask for the XML when the hash has changed."""
    drive = "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk></devices>"
    vm_id = host.run(machine_xml(tiny_guest, "player").replace("</devices>", drive))
    before = host.stats(vm_id)["hash"]
    disc = {"iface": "ide", "index": "2", "drive_spec": volume_facts(ref(3))}
    # Firmware that resets the drive between libvirt's two commands shuts a tray that libvirt then takes for open.
    host.call("VM.pause", vmID=vm_id)
    host.call("VM.changeCD", vmID=vm_id, driveSpec=disc)
    assert host.stats(vm_id)["hash"] != before


def test_storage_that_goes_away(host: HostVms) -> None:
    stored = host.run(stored_xml("stored"))
    elsewhere = host.run(container_xml("elsewhere", SLEEP))
    host.part.storage_loss.domain_health(STORAGE, False)
    host.wait_for(stored, "Paused")
    wait_until(lambda: host.stats(stored)["pauseCode"] == "EIO")
    host.part.storage_loss.domain_health(STORAGE, True)
    host.wait_for(stored, "Up")
    assert host.statuses(stored)[:1] == ["Up"]
    assert host.statuses(stored)[-1] == "Up"
    assert host.statuses(elsewhere) == ["Up"]


def test_storage_that_stays_away_too_long(host: HostVms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covirt.host.virt.storage_loss._LONG_PAUSE_SECONDS", 0.0)
    wish = "<ovirt-vm:resumeBehavior>kill</ovirt-vm:resumeBehavior><ovirt-vm:custom>"
    stored = host.run(stored_xml("stored").replace("<ovirt-vm:custom>", wish, 1))
    host.part.storage_loss.domain_health(STORAGE, False)
    host.wait_for(stored, "Paused")
    host.part.storage_loss.end_long_pauses()
    host.wait_for(stored, "Down")
    told = host.events(stored)[-1]
    assert (told["exitCode"], told["exitReason"]) == (1, 14)
    host.part.storage_loss.domain_health(STORAGE, True)
    host.call("VM.destroy", vmID=stored)
    assert stored not in {user for users in host.volumes.users.values() for user in users}


@pytest.mark.parametrize("verb", CHANGES)
def test_nobody_and_nothing(host: HostVms, verb: str) -> None:
    assert host.refusal(verb, vmID=NOBODY, **CHANGES[verb]).code == Code.NO_SUCH_VM


def test_one_that_is_down(host: HostVms) -> None:
    vm_id = host.create(container_xml("short", "true"))
    host.wait_for(vm_id, "Down")
    assert host.refusal("VM.setNumberOfCpus", vmID=vm_id, numberOfCpus=1).code == Code.VM_IS_DOWN


def test_containers_are_refused_where_they_are_off(host: HostVms) -> None:
    facts = host.part.capabilities()
    assert (facts["containers"], facts["kvmEnabled"]) == (True, "false")
    xml = container_xml("rkt", SLEEP).replace(">docker<", ">rkt<")
    refused = host.refusal("VM.create", vmID="", vmParams={"xml": xml})
    assert (refused.code, "archived" in refused.message) == (Code.UNSUPPORTED, True)
    host.support.set_absent("virtocid is away")
    try:
        refused = host.refusal("VM.create", vmID="", vmParams={"xml": container_xml("off", SLEEP)})
        assert (refused.code, "virtocid is away" in refused.message) == (Code.UNSUPPORTED, True)
    finally:
        host.support.set_present(str(host.vms.connections[Kind.CONTAINER].get().getCapabilities()))
