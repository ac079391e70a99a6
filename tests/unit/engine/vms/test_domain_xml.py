# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Domain XML as hosts get it. That a host runs it is tested with one."""

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from covirt.engine.model.cluster import BiosType
from covirt.engine.model.disk import Disk, DiskAttachment, DiskFormat, DiskInterface
from covirt.engine.model.hardware import BootDevice, CpuTopology, CustomProperty, DisplayType, Hardware, VmKind
from covirt.engine.model.vm import Nic, NicInterface, Vm
from covirt.engine.vms.device_xml import hotplug_disk_xml, hotplug_nic_xml
from covirt.engine.vms.domain import Domain, DomainDisk, DomainNic, VolumePlace, named_disks
from covirt.engine.vms.domain_xml import domain_xml
from covirt.engine.vms.errors import NoSuchVolumeDisk, UnfitInterface
from covirt.host.virt.host_reach import HostReach
from covirt.host.virt.ovirt_metadata import read_vm_facts
from tests.support.engine_objects import NOON
from tests.support.golden import Golden

DATA = Path(__file__).parent / "data"
POOL = "5849b030-626e-47cb-ad90-3ce782d831b3"
STORAGE = "5e6b0e2f-3b0f-4c4d-8c5e-7c1a0a4b5a11"


def disk(number: int, **attachment: object) -> DomainDisk:
    disk_id = f"00000000-0000-4000-8000-00000000000{number}"
    found = Disk(
        id=disk_id,
        name=f"disk{number}",
        storage_domain_id=STORAGE,
        image_id=disk_id.replace("4000", "4001"),
        format=DiskFormat.COW if number % 2 else DiskFormat.RAW,
        provisioned_size_bytes=1 << 30,
    )
    return DomainDisk(disk=found, attachment=DiskAttachment(disk_id=disk_id, vm_id="v", **attachment), pool_id=POOL)  # type: ignore[arg-type]


NIC = DomainNic(
    nic=Nic(id="11111111-0000-4000-8000-000000000001", name="nic1", vm_id="v", mac="56:6f:00:00:00:01"),
    bridge="ovirtmgmt",
    mtu=1400,
    filter_name="vdsm-no-mac-spoofing",
)
MACHINE = Domain(
    vm=Vm(
        id="c1bbe382-172a-4f54-9c6c-ea48644c0c34",
        name="web & more",
        cluster_id="c",
        created_at=NOON,
        hardware=Hardware(
            cpu=CpuTopology(sockets=2, cores=2),
            os_type="windows_2022",
            cpu_shares=512,
            tpm=True,
            soundcard=True,
            custom_properties=(CustomProperty(name="sap_agent", value="true"),),
        ),
    ),
    level="4.8",
    bios=BiosType.Q35_SECURE_BOOT,
    cpu_model="Nehalem",
    disks=(
        disk(1, interface=DiskInterface.VIRTIO_SCSI),
        disk(2, bootable=True, read_only=True),
        disk(3, active=False),
        disk(4, interface=DiskInterface.SATA, pass_discard=True),
    ),
    nics=(NIC, replace(NIC, nic=replace(NIC.nic, plugged=False))),
    disc=VolumePlace(
        pool_id=POOL, domain_id=STORAGE, image_id="a" * 8 + STORAGE[8:], volume_id="b" * 8 + STORAGE[8:]
    ),
    boot_devices=(BootDevice.CDROM, BootDevice.HD, BootDevice.NETWORK),
    paused=True,
    closed_password="closed",  # noqa: S106 - nobody's
)
CONTAINER = replace(
    MACHINE,
    vm=replace(
        MACHINE.vm,
        kind=VmKind.CONTAINER,
        hardware=Hardware(
            custom_properties=(
                CustomProperty(name="containerType", value="crun"),
                CustomProperty(name="containerImage", value="web"),
                CustomProperty(name="volumeMap", value="data:disk2,/logs:vdb,/tmp:discard"),
                CustomProperty(name="containerCommand", value="sh -c 'echo \"<&>\"'"),
                CustomProperty(name="containerRootDisk", value=disk(4).disk.id),
            )
        ),
    ),
    disks=(disk(1), disk(2, bootable=True), disk(4)),
)


@pytest.mark.parametrize(("name", "domain"), [("machine", MACHINE), ("container", CONTAINER)])
def test_domain_xml(golden: Golden, name: str, domain: Domain) -> None:
    root = etree.fromstring(domain_xml(domain))
    etree.indent(root)
    golden(DATA / f"{name}.xml", etree.tostring(root, encoding="unicode") + "\n")


@pytest.mark.parametrize("domain", [MACHINE, CONTAINER])
def test_a_host_finds_in_it_what_it_looks_for(domain: Domain) -> None:
    root = etree.fromstring(domain_xml(domain))
    HostReach().check(root, prepared=[found.volume.path for found in domain.disks] + [domain.disc.path])  # type: ignore[union-attr]
    facts = read_vm_facts(root)
    for name, found in named_disks(domain.disks, taken=("sdc",)):
        known = facts.device(devtype="disk", name=name)
        assert known is not None
        assert known.values["volumeID"] == found.disk.image_id


def test_drives_have_names_by_their_buses() -> None:
    names = [(name, found.disk.name) for name, found in named_disks(MACHINE.disks, taken=("sdc",))]
    assert names == [("vda", "disk2"), ("sda", "disk1"), ("sdb", "disk4")]
    many = [replace(disk(1), disk=replace(disk(1).disk, id=str(n))) for n in range(28)]
    assert [name for name, _ in named_disks(many)][-2:] == ["vdaa", "vdab"]
    with pytest.raises(UnfitInterface, match="spapr_vscsi"):
        list(named_disks([disk(1, interface=DiskInterface.SPAPR_VSCSI)]))


def test_a_disk_that_a_container_has_not() -> None:
    properties = (
        CustomProperty(name="containerType", value="docker"),
        CustomProperty(name="volumeMap", value="data:disk9"),
    )
    vm = replace(CONTAINER.vm, hardware=Hardware(custom_properties=properties))
    with pytest.raises(NoSuchVolumeDisk, match="disk9"):
        domain_xml(replace(CONTAINER, vm=vm))


def test_an_old_machine() -> None:
    hardware = Hardware(
        display_type=DisplayType.SPICE,
        kernel="/boot/vmlinuz",
        kernel_command_line="quiet",
        boot_menu=True,
        io_threads=0,
    )
    vm = replace(MACHINE.vm, hardware=hardware)
    root = etree.fromstring(domain_xml(replace(MACHINE, vm=vm, bios=BiosType.I440FX_SEA_BIOS, cpu_model="")))
    assert [each.get("dev") for each in root.iterfind("devices/disk[@device='cdrom']/target")] == ["hdc"]
    assert root.find("os/type").get("machine") == "pc"  # type: ignore[union-attr]
    assert root.find("cpu").get("mode") == "host-model"  # type: ignore[union-attr]
    assert root.findtext("os/kernel") == "/boot/vmlinuz"
    assert root.find("devices/graphics").get("type") == "spice"  # type: ignore[union-attr]


def test_interfaces_that_no_host_could_have() -> None:
    for nic, reason in (
        (replace(NIC, bridge=""), "it has no vNIC profile"),
        (replace(NIC, nic=replace(NIC.nic, interface=NicInterface.PCI_PASSTHROUGH)), "none of type pci_passthrough"),
    ):
        with pytest.raises(UnfitInterface, match=reason):
            domain_xml(replace(MACHINE, nics=(nic,)))


def test_hot_plug_takes_one_device_and_its_facts() -> None:
    root = etree.fromstring(hotplug_nic_xml(NIC, kind=VmKind.CONTAINER))
    assert read_vm_facts(root).device(devtype="interface", mac_address=NIC.nic.mac) is not None
    assert root.find("devices/interface/filterref") is None
    root = etree.fromstring(hotplug_disk_xml(disk(2), name="vdb"))
    known = read_vm_facts(root).device(devtype="disk", name="vdb")
    assert known is not None
    assert known.values["poolID"] == POOL
