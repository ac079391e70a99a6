# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine asks of a host beyond its guests' own is refused, and what it needs is not."""

import pytest

from covirt.host.virt.document import BadXml, read_xml
from covirt.host.virt.errors import BadVm
from covirt.host.virt.host_reach import BeyondTheGuest, HostReach
from covirt.host.virt.hotplug import HotPlug
from covirt.host.virt.kinds import Kind
from covirt.host.virt.volumes import VolumeRef
from tests.support.engine_xml import POOL, STORAGE, disk_xml, hotplug_xml, nic_xml
from tests.support.fake_volumes import FakeVolumes
from tests.support.vdsm import final_xml
from tests.unit.host.virt.test_container_xml import engine_xml
from tests.unit.host.virt.test_libvirt_errors import Guest, libvirt_error
from tests.unit.host.virt.test_preparation import preparation

QEMU = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
COVIRT = "xmlns:c='https://covirt.org/xmlns/container/1.0'"


def domain(parts: str = "", devices: str = "", kind: str = "kvm") -> str:
    return (
        f"<domain type='{kind}'><name>/x</name><os><type>hvm</type><cmdline>init=/bin/sh</cmdline></os>{parts}"
        f"<devices>{devices}</devices></domain>"
    )


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        (f"<qemu:commandline {QEMU}><qemu:arg value='-daemonize'/></qemu:commandline>", "commandline"),
        (f"<cpu><qemu:x {QEMU}/></cpu>", "libvirt.org"),
        ("<os><kernel>/etc/shadow</kernel></os>", "/etc/shadow"),
        ("<os><kernel>etc/shadow</kernel></os>", "etc/shadow"),
        ("<os><initrd>/rhev/../etc/shadow</initrd></os>", "etc/shadow"),
        ("<os><loader>/home/x/fw</loader></os>", "/home/x/fw"),
        ("<os><loader>/usr/share/../../home/x</loader></os>", "home/x"),
        ("<os><nvram template='/etc/shadow'/></os>", "/etc/shadow"),
        ("<os><acpi><table type='slic'>/etc/shadow</table></acpi></os>", "/etc/shadow"),
        ("<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/shadow'/></sysinfo>", "/etc/shadow"),
        ("<seclabel type='none' model='selinux'/>", "seclabel"),
        ("<seclabel type='static' model='dac' relabel='yes'><label>+0:+0</label></seclabel>", "seclabel"),
        ("<idmap><uid start='0' target='0' count='65536'/></idmap>", "idmap"),
        ("<blkiotune><device><path>/dev/sda</path></device></blkiotune>", "/dev/sda"),
        (f"<metadata><c:container {COVIRT}><c:image>/etc/shadow</c:image></c:container></metadata>", "/etc/shadow"),
        (
            f"<metadata><c:container {COVIRT}><c:seccomp profile='unconfined'/></c:container></metadata>",
            "unconfined",
        ),
    ],
)
def test_a_domain_that_reaches_beyond(parts: str, named: str) -> None:
    with pytest.raises(BeyondTheGuest, match=named):
        HostReach().check(read_xml(domain(parts)))


@pytest.mark.parametrize(
    ("device", "named"),
    [
        ("<disk type='file'><source file='/etc/shadow'/><target dev='vda'/></disk>", "/etc/shadow"),
        ("<disk type='file'><source file='etc/shadow'/><target dev='vda'/></disk>", "etc/shadow"),
        ("<disk type='block'><source dev='/dev/sda'/><target dev='vda'/></disk>", "/dev/sda"),
        ("<disk type='block'><source dev='dev/sda'/><target dev='vda'/></disk>", "dev/sda"),
        ("<disk type='network'><source protocol='nbd' name='x'/><target dev='vda'/></disk>", "network"),
        ("<disk type='volume'><source pool='p' volume='v'/><target dev='vda'/></disk>", "volume"),
        (
            "<disk type='file'><backingStore type='file'><source file='/etc/shadow'/></backingStore></disk>",
            "/etc/shadow",
        ),
        ("<disk type='file' rawio='yes'><target dev='sda'/></disk>", "rights of the host"),
        ("<hostdev mode='subsystem' type='pci'><source/></hostdev>", "hostdev"),
        ("<interface type='ethernet'><script path='/tmp/x'/></interface>", "ethernet"),
        ("<interface type='bridge'><script path='/tmp/x'/><source bridge='b'/></interface>", "/tmp/x"),
        ("<interface type='direct'><source dev='eth0'/></interface>", "direct"),
        ("<filesystem type='mount'><source dir='/etc'/><target dir='/data'/></filesystem>", "/etc"),
        ("<filesystem type='block'><source dev='/dev/sda'/><target dir='/data'/></filesystem>", "block"),
        ("<serial type='file'><source path='/etc/cron.d/x'/></serial>", "file"),
        ("<serial type='tcp'><source mode='bind' host='0.0.0.0' service='1'/></serial>", "tcp"),
        ("<serial type='pty'><log file='/etc/cron.d/x'/></serial>", "/etc/cron.d/x"),
        ("<channel type='unix'><source mode='connect' path='/run/docker.sock'/></channel>", "docker.sock"),
        ("<channel type='unix'><source path='/var/lib/libvirt/qemu/channels/../x'/></channel>", "channels"),
        ("<graphics type='vnc' socket='/run/x'/>", "/run/x"),
        ("<graphics type='sdl'/>", "sdl"),
        ("<input type='evdev'><source dev='/dev/input/event0'/></input>", "/dev/input"),
        ("<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>", "passthrough"),
        ("<rng><backend model='random'>/dev/sda</backend></rng>", "/dev/sda"),
        ("<rng><backend model='egd' type='tcp'/></rng>", "egd"),
        ("<memory model='nvdimm'><source><path>/dev/pmem0</path></source></memory>", "/dev/pmem0"),
        ("<smartcard mode='host'/>", "host"),
        ("<shmem name='x'/>", "shmem"),
        ("<lease><target path='/etc/shadow'/></lease>", "lease"),
        ("<what-libvirt-has-next-year/>", "next-year"),
    ],
)
def test_a_device_that_reaches_beyond(device: str, named: str) -> None:
    with pytest.raises(BeyondTheGuest, match=named):
        HostReach().check(read_xml(domain(devices=device)))


@pytest.mark.parametrize("kind", ["lxc", "xen", "vz", "bhyve"])
def test_other_types_of_domains(kind: str) -> None:
    with pytest.raises(BeyondTheGuest, match=kind):
        HostReach().check(read_xml(domain(kind=kind)))


def test_what_an_engine_needs() -> None:
    HostReach().check(read_xml(final_xml("web", POOL, bridge="br0")))
    firmware = "<os><loader readonly='yes'>/usr/share/OVMF/x.fd</loader><nvram template='/usr/share/OVMF/y.fd'/></os>"
    HostReach().check(read_xml(domain(firmware, "<vsock/>")))
    HostReach().check(read_xml(nic_xml("br0", "52:54:00:00:00:01")))


def test_what_the_administrator_allows() -> None:
    reach = HostReach(host_files=("/srv/boot",))
    reach.check(read_xml(domain("<os><kernel>/srv/boot/vmlinuz</kernel></os>")))
    for path in ("/srv/bootleg", "/srv/boot/../../etc/shadow"):
        with pytest.raises(BeyondTheGuest):
            reach.check(read_xml(domain(f"<os><kernel>{path}</kernel></os>")))


def test_a_container_with_an_image_of_the_host() -> None:
    root = read_xml(engine_xml(containerType="docker", containerImage="/etc/shadow"))
    with pytest.raises(BeyondTheGuest, match="/etc/shadow"):
        preparation(FakeVolumes({})).check(root, Kind.CONTAINER)


def test_before_anything_is_held() -> None:
    root = read_xml(engine_xml("<hostdev mode='subsystem' type='pci'/>"))
    with pytest.raises(BeyondTheGuest):
        preparation(FakeVolumes({})).check(root, Kind.MACHINE)


def test_what_is_plugged_in() -> None:
    volumes = FakeVolumes({})
    guest = Guest(libvirt_error(1))
    disk = "<disk type='file'><source file='/etc/shadow'/><target dev='vdb'/></disk>"
    with pytest.raises(BeyondTheGuest, match="/etc/shadow"):
        HotPlug(volumes=volumes).plug_disk(guest, hotplug_xml(disk))
    nic = "<interface type='ethernet'><mac address='52:54:00:00:00:01'/><script path='/tmp/x'/></interface>"
    with pytest.raises(BeyondTheGuest, match="ethernet"):
        HotPlug(volumes=volumes).plug_nic(guest, hotplug_xml(nic))
    ref = VolumeRef(pool_id=POOL, domain_id=STORAGE, image_id=POOL, volume_id=STORAGE)
    backing = "<backingStore type='file'><source file='/etc/shadow'/></backingStore><driver"
    with pytest.raises(BeyondTheGuest, match="/etc/shadow"):
        HotPlug(volumes=volumes).plug_disk(guest, disk_xml("vdb", ref).replace("<driver", backing))
    assert volumes.history == []


@pytest.mark.parametrize(
    "xml",
    [
        "<!DOCTYPE d [<!ENTITY a 'b'>]><domain><name>&a;</name></domain>",
        "<!DOCTYPE d SYSTEM 'file:///etc/shadow'><domain/>",
        "<domain><name>&a;</name></domain>",
        "<domain>" + "<a>" * 100 + "</a>" * 100 + "</domain>",
        "<domain>" + "<a/>" * 60_000 + "</domain>",
        "<domain><name>" + "x" * (5 << 20) + "</name></domain>",
        "<domain><name>a\0b</name></domain>",
        "\ud800",
        "",
    ],
)
def test_xml_that_is_a_weapon(xml: str) -> None:
    with pytest.raises((BadXml, BadVm)):
        read_xml(xml)
