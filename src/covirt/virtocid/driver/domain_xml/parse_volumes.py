# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read <covirt:volume> and oVirt's <ovirtdm:drivemap>."""

from pathlib import PurePosixPath
from typing import Final

from covirt.common.dialect import COVIRT_NAMESPACE, OVIRT_DRIVE_MAP_NAMESPACE
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_volumes import DiscardedVolume, DiskMount, MappedDrive, VolumeMapping
from covirt.virtocid.driver.domain_xml.node import Node, Report, local_name

VOLUME_TAG: Final = f"{{{COVIRT_NAMESPACE}}}volume"
DRIVE_MAP_TAG: Final = f"{{{OVIRT_DRIVE_MAP_NAMESPACE}}}drivemap"


def read_volumes(node: Node) -> tuple[tuple[VolumeMapping, ...], tuple[DiscardedVolume, ...]]:
    """The children of <covirt:container>."""
    mappings: dict[str, VolumeMapping] = {}
    discards: list[DiscardedVolume] = []
    for child in node.children(VOLUME_TAG):
        discard = child.attribute("discard", values.absolute_path)
        if discard is not None:
            discards.append(DiscardedVolume(target=discard, size_bytes=_size(child)))
            child.close()
            continue
        disk = child.required("disk", values.word)
        if disk in mappings:
            raise child.invalid(f"the disk {disk} is mapped twice")
        mappings[disk] = VolumeMapping(disk=disk, mount=_mount(child))
        child.close()
    return tuple(mappings.values()), tuple(discards)


def read_disk_mount(node: Node) -> DiskMount | None:
    """The same inside <disk>, which needs no name then."""
    child = node.child(VOLUME_TAG)
    if child is None:
        return None
    mount = _mount(child)
    child.close()
    return mount


def read_drive_map(node: Node, report: Report) -> tuple[MappedDrive, ...]:
    """Tags and texts as they stand: which is the drive is seen when the disks are known."""
    drives = []
    for element in node.fragments():
        child = Node(element, report)
        drives.append(MappedDrive(tag=local_name(child.tag), text=child.text(values.not_empty).strip()))
    return tuple(drives)


def _mount(node: Node) -> DiskMount:
    return DiskMount(
        target=node.required("target", values.absolute_path), subpath=node.attribute("subpath", _relative_path)
    )


def _size(node: Node) -> int | None:
    if node.attribute("size", str) is None:
        return None
    size_bytes = node.scaled(values.scaled_bytes, unit="bytes", number="size")
    if size_bytes == 0:
        raise node.invalid("a size of 0 would be no limit at all; leave it away for the default", attribute="size")
    return size_bytes


def _relative_path(text: str) -> str:
    if text.startswith("/") or not text.strip("/") or ".." in PurePosixPath(text).parts or "\n" in text:
        raise ValueError(f"{text!r} is not a path inside a volume such as shop/data")
    return text
