# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Devices of a real virtual machine come, change and go; the guest is booted, for it has to let go of them."""

import os
import socket
import time
from collections.abc import Iterator

import libvirt
import pytest

from covirt.common.errors import Error
from covirt.common.process import Secret
from covirt.host.virt.device_errors import (
    AgentSilent,
    BadDevice,
    BalloonNotSet,
    CpusNotSet,
    DiskNotPlugged,
    DiskNotUnplugged,
    DisplayNotOpened,
    NicNotPlugged,
    NicNotUnplugged,
    NoSuchDevice,
    PolicyNotSet,
)
from covirt.host.virt.disk_references import BadVolumeReference
from covirt.host.virt.display import set_ticket
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.guest import edit_block
from covirt.host.virt.guest_agent import freeze
from covirt.host.virt.hotplug import HotPlug
from covirt.host.virt.limits import DiskLimits, Policy, set_balloon, set_cpus, set_policy
from covirt.host.virt.machine_xml import MachineHost, adapt_machine
from covirt.host.virt.nic_filter import define_filters
from covirt.host.virt.nic_update import update_nic
from covirt.host.virt.removable import Discs, Drive
from covirt.host.virt.vm_block import reference_device
from covirt.host.virt.volumes import VolumeRef
from tests.support.engine_xml import POOL, STORAGE, disk_xml, nic_xml
from tests.support.fake_volumes import FakeVolumes
from tests.support.guest import BOOTED, TinyGuest
from tests.support.guests import PlainGuest
from tests.support.libvirtd import Libvirtd
from tests.support.network import LinuxBridge, new_linux_bridge
from tests.support.roots import new_directory
from tests.support.waiting import wait_until

pytestmark = pytest.mark.qemu

MIB = 1024 * 1024
MAC = "52:54:00:12:34:56"
HOST = MachineHost(kvm_works=False, display_address="127.0.0.1", closed_password="closed")  # noqa: S106


def ref(number: int) -> VolumeRef:
    image, volume = (f"{kind}a3c1a5e-54b1-4a5b-9f0b-00000000000{number}" for kind in (8, 9))
    return VolumeRef(pool_id=POOL, domain_id=STORAGE, image_id=image, volume_id=volume)


@pytest.fixture(scope="module")
def bridge() -> Iterator[LinuxBridge]:
    with new_linux_bridge() as made:
        yield made


@pytest.fixture(scope="module")
def volumes() -> Iterator[FakeVolumes]:
    with new_directory() as path:
        paths = {}
        for number in range(4):
            one = ref(number)
            file = path / "images" / one.image_id / one.volume_id
            file.parent.mkdir(parents=True)
            file.write_bytes(b"\0" * MIB)
            file.chmod(0o666)
            paths[one] = str(file)
        yield FakeVolumes(paths)


@pytest.fixture(scope="module")
def guest(libvirtd: Libvirtd, tiny_guest: TinyGuest) -> Iterator[PlainGuest]:
    """Defined and started, as a Vm is; with a drive and a closed display."""
    root = read_xml(tiny_guest.domain_xml("devices"))
    devices = root.find("devices")
    assert devices is not None
    more = (
        "<a><graphics type='vnc' port='-1' autoport='yes'/>"
        "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk></a>"
    )
    devices.extend(list(read_xml(more)))
    adapt_machine(root, HOST)
    with new_directory() as path:
        log = path / "serial.log"
        serial = root.find("devices/serial")
        assert serial is not None
        serial.append(read_xml(f"<log file='{log}'/>"))
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        connection = libvirt.open(libvirtd.uri)
        define_filters(connection)
        domain = connection.defineXML(write_xml(root))
        try:
            domain.create()
            wait_until(
                lambda: log.exists() and BOOTED in log.read_text(), timeout_seconds=90, what="the guest's boot"
            )
            yield PlainGuest(domain)
        finally:
            if domain.isActive():
                domain.destroy()
            domain.undefine()
            connection.close()


@pytest.fixture
def hotplug(volumes: FakeVolumes) -> Iterator[HotPlug]:
    volumes.history.clear()
    yield HotPlug(volumes=volumes)
    assert volumes.users == {}


def targets(guest: PlainGuest) -> list[str]:
    return guest.attributes("devices/disk/target", "dev")


def test_a_disk_comes_and_goes(guest: PlainGuest, hotplug: HotPlug, volumes: FakeVolumes) -> None:
    hotplug.plug_disk(guest, disk_xml("vdb", ref(1)))
    assert "vdb" in targets(guest)
    assert volumes.users == {ref(1): {guest.vm_id}}
    assert (guest.volumes, guest.known_images) == ((ref(1),), [ref(1).image_id])
    assert ref(1).image_id in guest.domain().XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    with pytest.raises(DiskNotPlugged, match="has a disk vdb already"):
        hotplug.plug_disk(guest, disk_xml("vdb", ref(2)))
    set_policy(guest, Policy(disks=(DiskLimits(device={"name": "vdb"}, maximum={"total_iops_sec": 100}),)))
    assert guest.domain().blockIoTune("vdb")["total_iops_sec"] == 100
    hotplug.unplug_disk(guest, disk_xml("vdb", ref(1)))
    assert "vdb" not in targets(guest)
    assert (guest.volumes, guest.known_images) == ((), [])


def test_a_disk_that_cannot_come(guest: PlainGuest, hotplug: HotPlug, volumes: FakeVolumes) -> None:
    with pytest.raises(DiskNotPlugged):
        hotplug.plug_disk(guest, disk_xml("vdc", ref(2)).replace("bus='virtio'", "bus='nonsense'"))
    assert (guest.volumes, guest.known_images, volumes.users) == ((), [], {})
    with pytest.raises(Error, match="no volume"):
        hotplug.plug_disk(guest, disk_xml("vdc", ref(7)))
    assert (guest.volumes, guest.known_images) == ((), [])
    with pytest.raises(BadVolumeReference):
        hotplug.plug_disk(guest, disk_xml("vdc", ref(2)).replace(STORAGE, "../.."))


def test_a_disk_that_is_not_there(guest: PlainGuest, hotplug: HotPlug) -> None:
    with pytest.raises(DiskNotUnplugged, match="no disk"):
        hotplug.unplug_disk(guest, disk_xml("vdc", ref(2)))


def test_what_a_killed_agent_left_is_given_back(guest: PlainGuest, hotplug: HotPlug, volumes: FakeVolumes) -> None:
    """It had written the disk down and prepared the volume, and not attached it."""
    guest.holds((ref(3),))
    edit_block(guest, lambda block: block.append(reference_device(name="vdd", ref=ref(3))))
    volumes.prepare(ref(3), user=guest.vm_id)
    hotplug.settle(guest)
    assert (guest.volumes, guest.known_images, volumes.users) == ((), [], {})


def test_an_interface_comes_changes_and_goes(guest: PlainGuest, hotplug: HotPlug, bridge: LinuxBridge) -> None:
    plugged = hotplug.plug_nic(guest, nic_xml(bridge.name, MAC))
    assert (plugged.mac, plugged.alias) == (MAC, "ua-nic")
    assert MAC in plugged.domain_xml
    with pytest.raises(NicNotPlugged, match="already"):
        hotplug.plug_nic(guest, nic_xml(bridge.name, MAC))
    update_nic(guest, hotplug.turns, alias="ua-nic", link=False)
    assert guest.attributes("devices/interface/link", "state") == ["down"]
    with new_linux_bridge() as other:
        update_nic(guest, hotplug.turns, mac=MAC, link=True, network=other.name)
        assert guest.attributes("devices/interface/source", "bridge") == [other.name]
        update_nic(guest, hotplug.turns, alias="ua-nic", network=bridge.name)
    update_nic(guest, hotplug.turns, alias="ua-nic", network="")
    assert guest.attributes("devices/interface/link", "state") == ["down"]
    with pytest.raises(NoSuchDevice):
        update_nic(guest, hotplug.turns, alias="ua-other", link=True)
    hotplug.unplug_nic(guest, nic_xml(bridge.name, MAC))
    assert guest.attributes("devices/interface/mac", "address") == []
    assert MAC not in guest.domain().XMLDesc(0)
    with pytest.raises(NicNotUnplugged, match="no interface"):
        hotplug.unplug_nic(guest, nic_xml(bridge.name, MAC))


def test_discs(guest: PlainGuest, hotplug: HotPlug, volumes: FakeVolumes) -> None:
    discs, drive = Discs(hotplug=hotplug), Drive(interface="ide", index=2)
    discs.change(guest, drive, ref(1))
    assert volumes.users == {ref(1): {guest.vm_id}}
    discs.change(guest, drive, ref(2))
    assert volumes.users == {ref(2): {guest.vm_id}}
    with pytest.raises(Error, match="no volume"):
        discs.change(guest, drive, ref(7))
    assert guest.attributes("devices/disk/source", "file") == [volumes.paths[ref(2)]]
    discs.change(guest, drive, None)
    assert not any(guest.attributes("devices/disk/source", "file"))
    with pytest.raises(NoSuchDevice):
        discs.change(guest, Drive(interface="sata", index=0), None)


def vnc_security(guest: PlainGuest) -> list[int]:
    """The ways in that the display offers: 1 is none, 2 a password."""
    (port,) = guest.attributes("devices/graphics", "port")
    with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as client:
        stream = client.makefile("rwb")
        stream.write(stream.read(12))
        stream.flush()
        return list(stream.read(stream.read(1)[0]))


def test_a_display_opens_to_a_ticket(guest: PlainGuest, caplog: pytest.LogCaptureFixture) -> None:
    assert guest.attributes("devices/graphics", "passwdValidTo") == ["1970-01-01T00:00:01"]
    assert vnc_security(guest) == [2]
    set_ticket(guest, Secret("t1cket"), valid_seconds=120)
    (until,) = guest.attributes("devices/graphics", "passwdValidTo")
    seconds = time.mktime(time.strptime(until, "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())
    assert 60 < seconds <= 120
    assert vnc_security(guest) == [2]
    with pytest.raises(DisplayNotOpened) as caught:
        set_ticket(guest, Secret("longer than eight"), valid_seconds=120)
    assert "longer" not in str(caught.value)
    with pytest.raises(DisplayNotOpened, match="spice"):
        set_ticket(guest, Secret("x"), valid_seconds=120, kind="spice")
    assert "t1cket" not in caplog.text
    assert "t1cket" not in guest.domain().XMLDesc(0)


def test_limits(guest: PlainGuest) -> None:
    set_cpus(guest, 1, cpusets=["0"])
    assert guest.domain().vcpuPinInfo()[0][0]
    assert not any(guest.domain().vcpuPinInfo()[0][1:])
    with pytest.raises(CpusNotSet):
        set_cpus(guest, 2)
    with pytest.raises(BadDevice):
        set_cpus(guest, 1, cpusets=["0", "1"])
    set_balloon(guest, 94 * 1024)
    wait_until(lambda: guest.domain().info()[2] == 94 * 1024, what="the balloon")
    set_policy(guest, Policy(cpu_percent=50))
    assert guest.domain().schedulerParameters()["global_quota"] == (os.cpu_count() or 1) * 50_000
    set_policy(guest, Policy(cpu_percent=0))
    assert guest.domain().schedulerParameters()["global_quota"] != (os.cpu_count() or 1) * 50_000


def test_numbers_that_libvirt_cannot_be_told(guest: PlainGuest) -> None:
    memory = guest.domain().info()[2]
    for number in (-1, (1 << 32) + 1):  # to whose binding they are others
        with pytest.raises(CpusNotSet):
            set_cpus(guest, number)
    for number in (-(10**30), -(1 << 63), 1 << 63, 1 << 64, 10**30):
        with pytest.raises(CpusNotSet):
            set_cpus(guest, number)
        with pytest.raises(BalloonNotSet):
            set_balloon(guest, number)
        with pytest.raises((PolicyNotSet, BadDevice)):
            set_policy(guest, Policy(cpu_percent=number))
        limits = DiskLimits(device={"name": targets(guest)[0]}, maximum={"total_bytes_sec": number})
        with pytest.raises(PolicyNotSet):
            set_policy(guest, Policy(disks=(limits,)))
        if number > 0:
            with pytest.raises(DisplayNotOpened, match="ttl must be"):
                set_ticket(guest, Secret("t1cket"), valid_seconds=number)
            with pytest.raises(BadDevice):
                set_cpus(guest, 1, cpusets=[f"0-{number}"])
    assert guest.domain().info()[2:4] == [memory, 1]


def test_a_guest_without_an_agent(guest: PlainGuest) -> None:
    with pytest.raises(Error) as caught:
        freeze(guest)
    assert isinstance(caught.value, AgentSilent) or "agent" in str(caught.value)


def test_a_guest_that_keeps_a_device(guest: PlainGuest, volumes: FakeVolumes) -> None:
    """Paused, it hears of nothing; what it kept is given back when it let go after all."""
    impatient = HotPlug(volumes=volumes, removal_seconds=0.2)
    impatient.plug_disk(guest, disk_xml("vdb", ref(1)))
    guest.domain().suspend()
    try:
        with pytest.raises(DiskNotUnplugged, match="did not let go"):
            impatient.unplug_disk(guest, disk_xml("vdb", ref(1)))
        assert volumes.users == {ref(1): {guest.vm_id}}
    finally:
        guest.domain().resume()
    wait_until(lambda: "vdb" not in targets(guest), timeout_seconds=60, what="the disk's leave")
    impatient.settle(guest)
    assert (guest.volumes, guest.known_images, volumes.users) == ((), [], {})
