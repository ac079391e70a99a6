# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Devices of both kinds in domain XML: disks, the disc in the CD-ROM, interfaces; also alone, for hot-plug."""

import base64
from collections.abc import Mapping, Sequence
from typing import Final

from lxml import etree

from covirt.common.dialect import OVIRT_VM_NAMESPACE
from covirt.engine.model.disk import DiskFormat, DiskInterface
from covirt.engine.model.hardware import BootDevice, VmKind
from covirt.engine.model.vm import Nic, NicInterface
from covirt.engine.vms.cloud_init import LABEL
from covirt.engine.vms.domain import BUSES, Domain, DomainDisk, DomainNic, VolumePlace, named_disks
from covirt.engine.vms.errors import UnfitInterface

_MODELS: Final = {
    NicInterface.VIRTIO: "virtio",
    NicInterface.E1000: "e1000",
    NicInterface.E1000E: "e1000e",
    NicInterface.RTL8139: "rtl8139",
}
_DEVICE: Final = f"{{{OVIRT_VM_NAMESPACE}}}device"


def child(parent: etree._Element, tag: str, text: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, tag, attributes)
    element.text = text
    return element


def alias_of(device_id: str) -> str:
    """A device is called by its id of the engine's, as oVirt does."""
    return f"ua-{device_id}"


def add_disks(
    devices: etree._Element,
    block: etree._Element,
    domain: Domain,
    *,
    taken: Sequence[str],
    boots: Sequence[BootDevice],
) -> None:
    """All active ones; ``boots`` tells the place of disks in the order of starting. Raises UnfitInterface."""
    for number, (name, disk) in enumerate(named_disks(domain.disks, taken=taken)):
        element = add_disk(devices, name=name, disk=disk)
        if BootDevice.HD in boots and number == 0:
            child(element, "boot", order=str(boot_order(boots, BootDevice.HD)))
        add_volume(block, name=name, volume=disk.volume)


def boot_order(boots: Sequence[BootDevice], device: BootDevice) -> int:
    """Of the first disk, disc or interface; there is one of each in the order."""
    return boots.index(device) + 1


def add_disk(devices: etree._Element, *, name: str, disk: DomainDisk) -> etree._Element:
    attachment = disk.attachment
    element = child(devices, "disk", type="file", device="disk", snapshot="no")
    child(element, "target", dev=name, bus=BUSES[attachment.interface])
    _source(element, disk.volume)
    driver = {
        "name": "qemu",
        "type": "qcow2" if disk.disk.format is DiskFormat.COW else "raw",
        "cache": "none",
        "error_policy": "report" if disk.disk.propagate_errors else "stop",
    }
    if attachment.pass_discard:
        driver["discard"] = "unmap"
    child(element, "driver", **driver)
    child(element, "alias", name=alias_of(disk.disk.id))
    child(element, "serial", disk.disk.id)
    if attachment.read_only:
        child(element, "readonly")
    if disk.disk.shareable:
        child(element, "shareable")
    return element


def _source(element: etree._Element, volume: VolumePlace) -> None:
    source = child(element, "source", file=volume.path)
    child(source, "seclabel", model="dac", type="none", relabel="no")


def add_disc(devices: etree._Element, domain: Domain, *, name: str, bus: str, boot: int | None = None) -> None:
    """The drive, with what is in it."""
    element = child(devices, "disk", type="file", device="cdrom", snapshot="no")
    child(element, "driver", name="qemu", type="raw", error_policy="report")
    if domain.disc is None:
        child(element, "source", file="", startupPolicy="optional")
    else:
        _source(element, domain.disc)
    child(element, "target", dev=name, bus=bus)
    child(element, "readonly")
    if boot is not None:
        child(element, "boot", order=str(boot))


def add_payload(
    devices: etree._Element, block: etree._Element, files: Mapping[str, bytes], *, name: str, bus: str
) -> None:
    """A drive with a disc that the host makes of the files."""
    element = child(devices, "disk", type="file", device="cdrom", snapshot="no")
    child(element, "driver", name="qemu", type="raw", error_policy="report")
    source = child(element, "source", file="PAYLOAD:", startupPolicy="optional")
    child(source, "seclabel", model="dac", type="none", relabel="no")
    child(element, "target", dev=name, bus=bus)
    child(element, "readonly")
    facts = child(block, _DEVICE, devtype="disk", name=name)
    payload = child(facts, f"{{{OVIRT_VM_NAMESPACE}}}payload")
    child(payload, f"{{{OVIRT_VM_NAMESPACE}}}volId", LABEL)
    for path, data in sorted(files.items()):
        child(payload, f"{{{OVIRT_VM_NAMESPACE}}}file", base64.b64encode(data).decode(), path=path)


def add_volume(block: etree._Element, *, name: str, volume: VolumePlace) -> etree._Element:
    """Which volume a drive stands for; what is said of the drive."""
    facts = child(block, _DEVICE, devtype="disk", name=name)
    values = {"poolID": volume.pool_id, "domainID": volume.domain_id,
              "imageID": volume.image_id, "volumeID": volume.volume_id}  # fmt: skip
    for key, value in values.items():
        child(facts, f"{{{OVIRT_VM_NAMESPACE}}}{key}", value)
    return facts


def add_nics(
    devices: etree._Element, block: etree._Element, domain: Domain, *, boots: Sequence[BootDevice] = ()
) -> None:
    """All that are plugged. Raises UnfitInterface."""
    plugged = [nic for nic in domain.nics if nic.nic.plugged]
    for number, nic in enumerate(plugged):
        element = add_nic(devices, nic, kind=domain.vm.kind)
        if BootDevice.NETWORK in boots and number == 0:
            child(element, "boot", order=str(boot_order(boots, BootDevice.NETWORK)))
        add_nic_facts(block, nic.nic)


def add_nic(devices: etree._Element, found: DomainNic, *, kind: VmKind) -> etree._Element:
    """Raises UnfitInterface."""
    nic = found.nic
    model = _MODELS.get(nic.interface)
    if model is None:
        raise UnfitInterface(what=f"NIC {nic.name}", reason=f"covirt has none of type {nic.interface}; use virtio")
    if not found.bridge:
        reason = "it has no vNIC profile, and with it no network; give it one, or unplug it"
        raise UnfitInterface(what=f"NIC {nic.name}", reason=reason)
    element = child(devices, "interface", type="bridge")
    child(element, "model", type=model)
    child(element, "link", state="up" if nic.linked else "down")
    child(element, "source", bridge=found.bridge)
    child(element, "alias", name=alias_of(nic.id))
    child(element, "mac", address=nic.mac)
    if found.mtu:
        child(element, "mtu", size=str(found.mtu))
    if found.filter_name and kind is VmKind.VIRTUAL_MACHINE:
        child(element, "filterref", filter=found.filter_name)
    return element


def add_nic_facts(block: etree._Element, nic: Nic) -> None:
    child(block, _DEVICE, mac_address=nic.mac, devtype="interface")


def hotplug_nic_xml(found: DomainNic, *, kind: VmKind) -> str:
    """What VM.hotplugNic and VM.hotunplugNic take. Raises UnfitInterface."""
    root, devices, block = _hotplug()
    add_nic(devices, found, kind=kind)
    add_nic_facts(block, found.nic)
    return etree.tostring(root, encoding="unicode")


def hotplug_disk_xml(disk: DomainDisk, *, name: str, container_path: str = "") -> str:
    """What VM.hotplugDisk and VM.hotunplugDisk take; ``container_path``: where a container gets it."""
    root, devices, block = _hotplug()
    add_disk(devices, name=name, disk=disk)
    facts = add_volume(block, name=name, volume=disk.volume)
    if container_path:
        custom = child(facts, f"{{{OVIRT_VM_NAMESPACE}}}custom")
        child(custom, f"{{{OVIRT_VM_NAMESPACE}}}containerPath", container_path)
    return etree.tostring(root, encoding="unicode")


def _hotplug() -> tuple[etree._Element, etree._Element, etree._Element]:
    root = etree.Element("hotplug", nsmap={"ovirt-vm": OVIRT_VM_NAMESPACE})
    devices = child(root, "devices")
    return root, devices, child(child(root, "metadata"), f"{{{OVIRT_VM_NAMESPACE}}}vm")


def scsi_needed(domain: Domain) -> bool:
    interfaces = {disk.attachment.interface for disk in domain.disks if disk.attachment.active}
    return DiskInterface.VIRTIO_SCSI in interfaces or domain.vm.hardware.virtio_scsi
