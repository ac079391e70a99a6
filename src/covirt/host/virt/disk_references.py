# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks that name a volume of a storage domain: found in an engine's XML, and given the path of a file.

The reference stands in oVirt's block of metadata; an engine's path in a data center's tree says the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from lxml import etree

from covirt.common.errors import InvalidRequest
from covirt.common.undo import UndoStack
from covirt.host.virt.document import attribute_of
from covirt.host.virt.ovirt_metadata import DeviceFacts, VmFacts
from covirt.host.virt.volumes import VolumeRef, Volumes

_KEYS: Final = ("poolID", "domainID", "imageID", "volumeID")
_UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# /rhev/data-center/POOL/DOMAIN/images/IMAGE/VOLUME; a link that each host has of a connected pool.
_POOL_PATH: Final = re.compile(
    rf"/rhev/data-center/(?P<pool>{_UUID})/(?P<domain>{_UUID})/images/(?P<image>{_UUID})/(?P<volume>{_UUID})"
)
# In place of a path that is not known before the volume is prepared.
UNPREPARED: Final = "/not/prepared/yet"
_DISK: Final = "disk"
_FILE: Final = "file"


class BadVolumeReference(InvalidRequest):
    template = "the disk {disk} does not name a volume: {reason}"


@dataclass(frozen=True, slots=True)
class DiskReference:
    """A <disk> and the volume it stands for."""

    disk: etree._Element
    ref: VolumeRef

    @property
    def name(self) -> str:
        """The disk's target: vda, sdc, …"""
        return attribute_of(self.disk, "target", "dev")


def find_references(root: etree._Element, facts: VmFacts) -> list[DiskReference]:
    """The disks of a <domain> or <hotplug> that name a volume; the others keep what they say.

    Raises BadVolumeReference.
    """
    found = ((disk, disk_reference(disk, facts)) for disk in root.iterfind("devices/disk"))
    return [DiskReference(disk, ref) for disk, ref in found if ref is not None]


def disk_reference(disk: etree._Element, facts: VmFacts) -> VolumeRef | None:
    name, alias = attribute_of(disk, "target", "dev"), attribute_of(disk, "alias", "name")
    known = facts.device(devtype=_DISK, name=name, alias=alias)
    if known is not None and _is_reference(known):
        return volume_ref(known.values, disk=name)
    return path_reference(attribute_of(disk, "source", _FILE))


def path_reference(path: str) -> VolumeRef | None:
    """The volume that an engine's path in a data center's tree stands for; None for other paths."""
    match = _POOL_PATH.fullmatch(path)
    if match is None:
        return None
    pool, domain, image, volume = (str(UUID(text)) for text in match.groups())
    return VolumeRef(pool_id=pool, domain_id=domain, image_id=image, volume_id=volume)


def _is_reference(facts: DeviceFacts) -> bool:
    return any(facts.values.get(key) for key in _KEYS[1:])


def volume_ref(values: Mapping[str, object], *, disk: str) -> VolumeRef:
    """From poolID, domainID, imageID and volumeID. Raises BadVolumeReference."""
    pool, domain, image, volume = (_uuid(values.get(key), key, disk) for key in _KEYS)
    return VolumeRef(pool_id=pool, domain_id=domain, image_id=image, volume_id=volume)


def _uuid(value: object, key: str, disk: str) -> str:
    if not value:
        raise BadVolumeReference(disk=disk, reason=f"{key} is missing")
    text = str(value)
    if not re.fullmatch(_UUID, text):
        raise BadVolumeReference(disk=disk, reason=f"{key} is not a UUID")
    return str(UUID(text))


def prepare_references(found: list[DiskReference], volumes: Volumes, *, user: str, undo: UndoStack) -> None:
    """Prepare each volume and point its disk there; what was prepared is given back when a later step fails."""
    for reference in found:
        undo.add(f"teardown {reference.ref}", partial(volumes.teardown, reference.ref, user=user))
        path = volumes.prepare(reference.ref, user=user)
        point_at_file(reference.disk, path)


def point_at_file(disk: etree._Element, path: str) -> None:
    """Give a disk this file as its source, and leave the file's owner alone: others use it too."""
    disk.set("type", _FILE)
    source = disk.find("source")
    if source is None:
        source = etree.Element("source")
        disk.insert(0, source)
    for name in ("dev", "name", "protocol", "startupPolicy"):
        if name in source.attrib:
            del source.attrib[name]
    source.set(_FILE, path)
    for label in source.findall("seclabel"):
        source.remove(label)
    etree.SubElement(source, "seclabel", model="dac", relabel="no")
