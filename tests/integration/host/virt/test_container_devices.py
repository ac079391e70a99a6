# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The same changes reach a real container, and what it cannot do is refused with the reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
import pytest

from covirt.common.process import Secret
from covirt.common.undo import undo_on_failure
from covirt.host.virt.agent_poller import AgentPoller, Periods
from covirt.host.virt.container_config import ContainersConfig
from covirt.host.virt.container_support import ContainerSupport
from covirt.host.virt.device_errors import DiskNotPlugged, DisplayNotOpened, GuestCannot
from covirt.host.virt.display import set_ticket
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.guest_agent import ask, freeze, thaw
from covirt.host.virt.hotplug import HotPlug
from covirt.host.virt.kinds import Kind
from covirt.host.virt.limits import DiskLimits, Policy, set_balloon, set_cpus, set_policy
from covirt.host.virt.machine_xml import MachineHost
from covirt.host.virt.preparation import Preparation
from covirt.host.virt.removable import Discs, Drive
from covirt.host.virt.volumes import VolumeRef
from tests.support.engine_xml import POOL, STORAGE, container_xml, disk_xml, nic_xml, volume_facts
from tests.support.fake_volumes import FakeVolumes
from tests.support.guests import PlainGuest
from tests.support.network import new_linux_bridge
from tests.support.virtocid import IMAGE, Virtocid
from tests.support.waiting import wait_until

MIB = 1024 * 1024
UUID = "6b3f3c6e-64a5-4a6d-9d8c-0f6f5b1d2a10"
MAC = "52:54:00:12:34:56"


def ref(number: int) -> VolumeRef:
    image, volume = (f"{kind}a3c1a5e-54b1-4a5b-9f0b-00000000000{number}" for kind in (8, 9))
    return VolumeRef(pool_id=POOL, domain_id=STORAGE, image_id=image, volume_id=volume)


def given_volumes(directory: Path, image: Path) -> FakeVolumes:
    """Volumes 1 and 2 are blank, 3 is the container image."""
    paths = {}
    for number in (1, 2, 3):
        one = ref(number)
        file = directory / "images" / one.image_id / one.volume_id
        file.parent.mkdir(parents=True)
        if number == 3:
            file.write_bytes(image.read_bytes())
        else:
            with file.open("wb") as stream:
                stream.truncate(16 * MIB)
        paths[one] = str(file)
    return FakeVolumes(paths)


@contextmanager
def running(virtocid: Virtocid, preparation: Preparation, xml: str) -> Iterator[PlainGuest]:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with virtocid.connect() as connection, undo_on_failure() as undo:
        preparation.containers.set_present(connection.getCapabilities())
        root = read_xml(xml)
        held = preparation.prepare(root, Kind.CONTAINER, vm_id=UUID, undo=undo)
        domain = connection.defineXML(write_xml(root))
        guest = PlainGuest(domain, is_container=True, volumes=held)
        domain.create()
        try:
            yield guest
        finally:
            domain.destroy()
            domain.undefine()
            for one in guest.volumes:
                preparation.volumes.teardown(one, user=UUID)


def never() -> MachineHost:
    raise AssertionError("a container has no machine")


def test_a_container_as_an_engine_sends_it(virtocid: Virtocid, disk_dir: Path) -> None:
    volumes = given_volumes(disk_dir, virtocid.image)
    preparation = Preparation(
        volumes=volumes, containers=ContainerSupport(ContainersConfig(enabled=True)), machine_host=never
    )
    hotplug = HotPlug(volumes=volumes)
    xml = container_xml(
        "web",
        UUID,
        disks=(("vda", ref(1)),),
        containerImage=IMAGE,
        volumeMap="data:vda",
        containerCommand="sh -c 'trap \"exit 0\" TERM; while :; do sleep 1000 &amp; wait; done'",
        containerEnvironment="GREETING='hello there'",
    )
    with running(virtocid, preparation, xml) as guest, new_linux_bridge() as bridge:
        assert volumes.users == {ref(1): {UUID}}
        inside = virtocid.exec("web", "--", "sh", "-c", 'echo "$GREETING"; grep -c " /data " /proc/self/mounts')
        assert inside.stdout == b"hello there\n1\n", inside.stderr

        with pytest.raises(DiskNotPlugged, match="covirt:volume"):
            hotplug.plug_disk(guest, disk_xml("vdb", ref(2)))
        assert volumes.users == {ref(1): {UUID}}
        hotplug.plug_disk(guest, disk_xml("vdb", ref(2), containerPath="/more"))
        assert volumes.users == {ref(1): {UUID}, ref(2): {UUID}}
        assert virtocid.exec("web", "--", "touch", "/more/file").status == 0
        limits = DiskLimits(device=volume_facts(ref(2)), maximum={"read_bytes_sec": 10 * MIB})
        set_policy(guest, Policy(cpu_percent=25, disks=(limits,)))
        assert guest.domain().blockIoTune("vdb")["read_bytes_sec"] == 10 * MIB
        assert guest.domain().schedulerParameters()["global_quota"] > 0
        hotplug.unplug_disk(guest, disk_xml("vdb", ref(2)))
        assert guest.volumes == (ref(1),)

        plugged = hotplug.plug_nic(guest, nic_xml(bridge.name, MAC))
        assert plugged.alias
        facts = ask(guest)
        assert MAC in str(facts["netIfaces"])
        assert (facts["guestName"], facts["guestCPUCount"]) == ("web", 1)
        answered: list[str] = []
        poller = AgentPoller(lambda: [guest], on_answer=answered.append, periods=Periods(look=0.05))
        poller.start()
        try:
            wait_until(lambda: bool(answered))
            assert poller.facts(UUID)["guestName"] == "web"
            assert poller.facts("another") == {}
        finally:
            poller.stop()
        hotplug.unplug_nic(guest, nic_xml(bridge.name, MAC))
        assert guest.attributes("devices/interface/mac", "address") == []

        set_balloon(guest, 48 * 1024)
        assert guest.domain().info()[2] == 48 * 1024
        set_cpus(guest, 1)
        with pytest.raises(GuestCannot):
            freeze(guest)
        with pytest.raises(GuestCannot):
            thaw(guest)
        with pytest.raises(DisplayNotOpened, match="a container has"):
            set_ticket(guest, Secret("x"), valid_seconds=10)
        with pytest.raises(GuestCannot, match="image"):
            Discs(hotplug=hotplug).change(guest, Drive(interface="ide", index=2), None)
    assert volumes.users == {}


def test_an_image_in_a_storage_domain(virtocid: Virtocid, disk_dir: Path) -> None:
    """It comes as a disc, without the property."""
    volumes = given_volumes(disk_dir, virtocid.image)
    support = ContainerSupport(ContainersConfig(enabled=True))
    preparation = Preparation(volumes=volumes, containers=support, machine_host=never)
    xml = container_xml("disc", UUID, disc=ref(3), containerCommand="sleep 1000")
    with running(virtocid, preparation, xml) as guest:
        assert guest.domain().isActive()
        assert volumes.users == {ref(3): {UUID}}
        assert support.capabilities()["containers"] is True
    assert volumes.users == {}
