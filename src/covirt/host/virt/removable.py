# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The disc in a virtual machine's drive."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import libvirt
from lxml import etree

from covirt.host.virt.device_errors import BadDevice, DiscNotChanged, GuestCannot, NoSuchDevice
from covirt.host.virt.disk_references import path_reference, point_at_file, volume_ref
from covirt.host.virt.document import attribute_of, write_xml
from covirt.host.virt.guest import Guest, live_xml
from covirt.host.virt.hotplug import HotPlug
from covirt.host.virt.vm_block import reference_device
from covirt.host.virt.volumes import VolumeRef

_PREFIXES: Final[Mapping[str, str]] = {"ide": "hd", "sata": "sd", "scsi": "sd", "usb": "sd", "virtio": "vd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One drive, as an engine names it."""

    interface: str
    index: int

    @property
    def name(self) -> str:
        """Its target: hdc, sdc, … Raises BadDevice."""
        prefix = _PREFIXES.get(self.interface)
        if prefix is None or not 0 <= self.index < len(string.ascii_lowercase):
            raise BadDevice(reason=f"there is no drive {self.index} of interface {self.interface!r}")
        return prefix + string.ascii_lowercase[self.index]


def disc_of(spec: object) -> VolumeRef | None:
    """The volume that ``spec`` names by four UUIDs or by its path in a data center; None when it is empty.

    Other files of the host are no discs. Raises BadVolumeReference and BadDevice.
    """
    if not spec:
        return None
    if isinstance(spec, Mapping):
        return volume_ref(spec, disk="CD-ROM")
    ref = path_reference(spec) if isinstance(spec, str) else None
    if ref is None:
        raise BadDevice(reason="a disc has to be a volume of a storage domain")
    return ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Discs:
    """Puts discs in and takes them out."""

    hotplug: HotPlug

    def change(self, guest: Guest, drive: Drive, ref: VolumeRef | None) -> None:
        """None takes the disc out. Raises GuestCannot, NoSuchDevice, DiscNotChanged and the storage's errors."""
        if guest.is_container:
            raise GuestCannot(reason="a container's image is that of its start")
        with self.hotplug.changing(guest, DiscNotChanged) as undo:
            disk = _drive(live_xml(guest), drive.name)
            if ref is None:
                _empty(disk)
            else:
                device = reference_device(name=drive.name, ref=ref)
                point_at_file(disk, self.hotplug.hold(guest, ref, device, undo))
            flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | (libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE if ref else 0)
            guest.domain().updateDeviceFlags(write_xml(disk), flags)
        self.hotplug.settle(guest)  # the disc that was in before


def _drive(live: etree._Element, name: str) -> etree._Element:
    for disk in live.iterfind("devices/disk"):
        if disk.get("device") == "cdrom" and attribute_of(disk, "target", "dev") == name:
            return disk
    raise NoSuchDevice(what="CD-ROM drive", name=name)


def _empty(disk: etree._Element) -> None:
    for source in disk.findall("source"):
        disk.remove(source)
