# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks and interfaces of running guests come and go.

What a guest holds is written down before it is prepared, and struck out after it was given back: an agent that was
killed in between finds a volume that no disk of the guest shows, and ``settle`` gives it back.
"""

import copy
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import libvirt
from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.common.errors import Error
from covirt.common.undo import UndoStack, undo_on_failure
from covirt.host.virt.device_errors import (
    BadDevice,
    DiskNotPlugged,
    DiskNotUnplugged,
    NicNotPlugged,
    NicNotUnplugged,
)
from covirt.host.virt.disk_references import UNPREPARED, disk_reference, point_at_file
from covirt.host.virt.document import attribute_of, read_xml, write_xml
from covirt.host.virt.errors import HypervisorUnavailable, VmIsDown
from covirt.host.virt.guest import Guest, Turns, edit_block, has_ended, live_xml
from covirt.host.virt.host_reach import HostReach
from covirt.host.virt.libvirt_errors import told_as
from covirt.host.virt.nic_filter import filter_interface
from covirt.host.virt.ovirt_metadata import DEVICE_TAG, VM_TAG, DeviceFacts, read_vm_facts
from covirt.host.virt.vm_block import devices_about, reference_device, reference_values, vm_name
from covirt.host.virt.volumes import VolumeRef, Volumes

log = logging.getLogger(__name__)

DISK: Final = "disk"
NIC: Final = "interface"
# A guest has to let go of a device; one that does not within this time is told to have kept it, as Vdsm does.
_REMOVAL_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
# In the metadata of a disk for a container: where it is mounted.
_PLACE: Final = "containerPath"
_PLACE_TAG: Final = f"{{{COVIRT_NAMESPACE}}}volume"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluggedNic:
    """What an engine wants to know of a new interface."""

    mac: str
    alias: str
    domain_xml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HotPlug:
    """Changes of the devices of guests; each raises what device_errors names, and then nothing has changed."""

    volumes: Volumes
    turns: Turns = field(default_factory=Turns)
    removal_seconds: float = _REMOVAL_SECONDS
    reach: HostReach = field(default_factory=HostReach)

    @contextmanager
    def changing(self, guest: Guest, failure: type[Error]) -> Iterator[UndoStack]:
        """One change at a time, undone when it fails. But when libvirt goes away in the middle nobody knows whether
        the guest has the device: what it may have stays its own, and settle() finds out once libvirt is back.
        Raises VmIsDown when the guest has ended meanwhile, whatever that made of the change."""
        with self.turns.turn(guest.vm_id), undo_on_failure() as undo:
            try:
                with told_as(failure, name=guest.vm_id):
                    yield undo
            except HypervisorUnavailable:
                undo.keep()
                raise
            except Error as error:
                if has_ended(guest):
                    raise VmIsDown(name=guest.vm_id) from error
                raise

    def plug_disk(self, guest: Guest, xml: str) -> None:
        """``xml``: <hotplug> with one disk, and what oVirt knows of it."""
        root = read_xml(xml)
        disk, facts = _only_device(root, DISK), read_vm_facts(root)
        name = attribute_of(disk, "target", "dev")
        if not name:
            raise BadDevice(reason="it has no <target dev>")
        ref = disk_reference(disk, facts)
        if ref is not None:
            point_at_file(disk, UNPREPARED)
        self.reach.check(root, prepared=(UNPREPARED,))
        known = facts.device(devtype=DISK, name=name, alias=attribute_of(disk, "alias", "name"))
        with self.changing(guest, DiskNotPlugged) as undo:
            if find_disk(live_xml(guest), name=name) is not None:
                raise DiskNotPlugged(reason=f"the guest has a disk {name} already")
            if ref is not None:
                point_at_file(disk, self.hold(guest, ref, _known_device(root, name, ref), undo))
            if guest.is_container:
                _place(disk, known)
            guest.domain().attachDeviceFlags(write_xml(disk), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def hold(self, guest: Guest, ref: VolumeRef, device: etree._Element, undo: UndoStack) -> str:
        """Prepare a volume for a guest that goes on; its path."""
        undo.add(f"give back {ref}", partial(self._give_back, guest, ref))
        guest.holds((*(held for held in guest.volumes if held != ref), ref))
        edit_block(guest, lambda block: block.append(device))
        return self.volumes.prepare(ref, user=guest.vm_id)

    def _give_back(self, guest: Guest, ref: VolumeRef) -> None:
        self.volumes.teardown(ref, user=guest.vm_id)
        guest.holds(tuple(held for held in guest.volumes if held != ref))
        if not has_ended(guest):
            edit_block(guest, partial(_forget_volume, ref=ref))

    def unplug_disk(self, guest: Guest, xml: str) -> None:
        """``xml``: <hotplug> with the disk, found by its alias, its volume, or its name."""
        root = read_xml(xml)
        given = _only_device(root, DISK)
        ref = disk_reference(given, read_vm_facts(root))
        with self.turns.turn(guest.vm_id), told_as(DiskNotUnplugged, name=guest.vm_id):
            live = live_xml(guest)
            name, alias = attribute_of(given, "target", "dev"), attribute_of(given, "alias", "name")
            ways = (find_disk(live, alias=alias), find_disk(live, ref=ref), find_disk(live, name=name))
            disk = next((found for found in ways if found is not None), None)
            if disk is None:
                raise DiskNotUnplugged(reason=f"the guest has no disk {alias or ref or name}")
            target = attribute_of(disk, "target", "dev")
            self._detach(guest, disk, lambda now: find_disk(now, name=target) is None, DiskNotUnplugged)
            self._settle(guest)

    def plug_nic(self, guest: Guest, xml: str) -> PluggedNic:
        """``xml``: <hotplug> with one interface, and what oVirt knows of it."""
        root = read_xml(xml)
        nic = _only_device(root, NIC)
        mac = attribute_of(nic, "mac", "address").lower()
        if not mac:
            raise BadDevice(reason="it has no <mac address>")
        self.reach.check(root)
        with self.changing(guest, NicNotPlugged) as undo:
            if find_nic(live_xml(guest), mac=mac) is not None:
                raise NicNotPlugged(reason=f"the guest has an interface {mac} already")
            device = _given_device(root, NIC)
            if device is not None:
                undo.add(f"forget {mac}", partial(edit_block, guest, partial(_forget_nic, mac=mac)))
                edit_block(guest, lambda block: block.append(device))
            if not guest.is_container:
                filter_interface(nic)
            guest.domain().attachDeviceFlags(write_xml(nic), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        with told_as(NicNotPlugged, name=guest.vm_id):
            text = guest.domain().XMLDesc(0)
        plugged = find_nic(read_xml(text), mac=mac)
        alias = "" if plugged is None else attribute_of(plugged, "alias", "name")
        return PluggedNic(mac=mac, alias=alias, domain_xml=text)

    def unplug_nic(self, guest: Guest, xml: str) -> None:
        """``xml``: <hotplug> with the interface, found by its alias or its MAC address."""
        given = _only_device(read_xml(xml), NIC)
        mac, alias = attribute_of(given, "mac", "address").lower(), attribute_of(given, "alias", "name")
        with self.turns.turn(guest.vm_id), told_as(NicNotUnplugged, name=guest.vm_id):
            live = live_xml(guest)
            nic = find_nic(live, alias=alias)
            nic = find_nic(live, mac=mac) if nic is None else nic
            if nic is None:
                raise NicNotUnplugged(reason=f"the guest has no interface {alias or mac}")
            found = attribute_of(nic, "mac", "address").lower()
            self._detach(guest, nic, lambda now: find_nic(now, mac=found) is None, NicNotUnplugged)
            edit_block(guest, partial(_forget_nic, mac=found))

    def settle(self, guest: Guest) -> None:
        """Give back what the guest holds and no disk of it shows.

        For a device that left late, and for what an earlier agent could not finish.
        """
        with self.turns.turn(guest.vm_id), told_as(DiskNotUnplugged, name=guest.vm_id):
            self._settle(guest)

    def _settle(self, guest: Guest) -> None:
        live = live_xml(guest)
        for ref in guest.volumes:
            if find_disk(live, ref=ref) is None and not _is_mirrored(live, ref):
                try:
                    self._give_back(guest, ref)
                except Error:
                    log.warning("A volume could not be given back vm=%s volume=%s", guest.vm_id, ref, exc_info=True)

    def _detach(
        self,
        guest: Guest,
        device: etree._Element,
        is_gone: Callable[[etree._Element], bool],
        failure: type[Error],
    ) -> None:
        guest.domain().detachDeviceFlags(write_xml(device), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        until = time.monotonic() + self.removal_seconds
        while not is_gone(live_xml(guest)):
            if time.monotonic() > until:
                raise failure(reason=f"the guest did not let go of it within {self.removal_seconds:g} seconds")
            time.sleep(_LOOK_SECONDS)


def _only_device(root: etree._Element, tag: str) -> etree._Element:
    devices = root.find("devices")
    found = [] if devices is None else list(devices)
    if len(found) != 1 or found[0].tag != tag:
        raise BadDevice(reason=f"<hotplug><devices> has to hold one <{tag}>")
    return found[0]


def _given_device(root: etree._Element, devtype: str) -> etree._Element | None:
    """What the engine knows of the device, as it is kept."""
    for device in root.iterfind(f"metadata/{VM_TAG}/{DEVICE_TAG}"):
        if device.get("devtype", devtype) == devtype:
            return device
    return None


def _known_device(root: etree._Element, name: str, ref: VolumeRef) -> etree._Element:
    """The same of a disk, which has to tell its volume."""
    device = _given_device(root, DISK)
    if device is None or not all(device.findtext(vm_name(key)) for key in reference_values(ref)):
        return reference_device(name=name, ref=ref)
    return device


def find_disk(
    root: etree._Element, *, name: str = "", alias: str = "", ref: VolumeRef | None = None
) -> etree._Element | None:
    """The <disk> of a <domain> with this name or alias, or that shows this volume."""
    ending = f"/{ref.image_id}/{ref.volume_id}" if ref else "\0"
    for disk in root.iterfind("devices/disk"):
        if (name and attribute_of(disk, "target", "dev") == name) or (
            alias and attribute_of(disk, "alias", "name") == alias
        ):
            return disk
        if attribute_of(disk, "source", "file").endswith(ending):
            return disk
    return None


def _is_mirrored(live: etree._Element, ref: VolumeRef) -> bool:
    """QEMU writes to it, although no disk shows it yet."""
    ending = f"/{ref.image_id}/{ref.volume_id}"
    return any(each.get("file", "").endswith(ending) for each in live.iterfind("devices/disk/mirror/source"))


def find_nic(root: etree._Element, *, mac: str = "", alias: str = "") -> etree._Element | None:
    """The <interface> of a <domain> with this MAC address, in lower case, or alias."""
    for nic in root.iterfind("devices/interface"):
        if mac and attribute_of(nic, "mac", "address").lower() == mac:
            return nic
        if alias and attribute_of(nic, "alias", "name") == alias:
            return nic
    return None


def _place(disk: etree._Element, known: DeviceFacts | None) -> None:
    """Where a container has it; without a word of that virtocid refuses it, and says what helps."""
    path = known.custom.get(_PLACE, "") if known else ""
    if path and disk.find(_PLACE_TAG) is None:
        etree.SubElement(disk, _PLACE_TAG, nsmap={"covirt": COVIRT_NAMESPACE}).set("target", path)


def known_device(live: etree._Element, name: str, above: VolumeRef) -> etree._Element:
    """What is known of the disk, which is another volume of its image from then on."""
    block = live.find(f"metadata/{VM_TAG}")
    known = [] if block is None else devices_about(block, devtype="disk", name=name)
    for device in known:
        changed = copy.deepcopy(device)
        volume = changed.find(vm_name("volumeID"))
        if volume is not None:
            volume.text = above.volume_id
            return changed
    return reference_device(name=name, ref=above)


def _forget_volume(block: etree._Element, *, ref: VolumeRef) -> None:
    values = reference_values(ref)
    for device in block.findall(DEVICE_TAG):
        facts = {etree.QName(child).localname: (child.text or "").strip() for child in device}
        if all(facts.get(key) == values[key] for key in ("domainID", "imageID", "volumeID")):
            block.remove(device)


def _forget_nic(block: etree._Element, *, mac: str) -> None:
    for device in devices_about(block, devtype=NIC, mac_address=mac):
        block.remove(device)
