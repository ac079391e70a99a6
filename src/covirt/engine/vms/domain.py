# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a machine's domain XML, gathered from the model; and how its disks are called inside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from covirt.engine.model.cluster import BiosType
from covirt.engine.model.disk import Disk, DiskAttachment, DiskInterface
from covirt.engine.model.hardware import BootDevice
from covirt.engine.model.vm import Nic, Vm
from covirt.engine.vms.errors import UnfitInterface

DISC_NAME: Final = "sdc"  # of the CD-ROM's drive, as oVirt has it
_PREFIXES: Final = {
    DiskInterface.VIRTIO: "vd",
    DiskInterface.VIRTIO_SCSI: "sd",
    DiskInterface.SATA: "sd",
    DiskInterface.IDE: "hd",
}
BUSES: Final = {
    DiskInterface.VIRTIO: "virtio",
    DiskInterface.VIRTIO_SCSI: "scsi",
    DiskInterface.SATA: "sata",
    DiskInterface.IDE: "ide",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlace:
    """Where a disk's volume lies, in the host's words: pool, domain, image (the disk's id) and volume."""

    pool_id: str
    domain_id: str
    image_id: str
    volume_id: str

    @property
    def path(self) -> str:
        """An engine's path, which each host has of a connected pool."""
        return f"/rhev/data-center/{self.pool_id}/{self.domain_id}/images/{self.image_id}/{self.volume_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainDisk:
    disk: Disk
    attachment: DiskAttachment
    pool_id: str

    @property
    def volume(self) -> VolumePlace:
        return volume_of(self.disk, self.pool_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainNic:
    """``bridge`` is empty for a NIC without a network. ``mtu`` 0 is the host's default."""

    nic: Nic
    bridge: str = ""
    mtu: int = 0
    filter_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """``disc``: the volume in its CD-ROM. ``bios`` is never the cluster's default. ``closed_password``: of a display
    that has no ticket yet; nobody gets to know it."""

    vm: Vm
    level: str  # of its cluster, as in 4.8
    bios: BiosType
    cpu_model: str = ""  # libvirt's name; empty: what the host has
    disks: tuple[DomainDisk, ...] = ()
    nics: tuple[DomainNic, ...] = ()
    disc: VolumePlace | None = None
    boot_devices: tuple[BootDevice, ...] = ()
    paused: bool = False
    closed_password: str = ""
    payload: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # files for a disc, which may be secret


def volume_of(disk: Disk, pool_id: str) -> VolumePlace:
    return VolumePlace(pool_id=pool_id, domain_id=disk.storage_domain_id, image_id=disk.id, volume_id=disk.image_id)


def named_disks(disks: Sequence[DomainDisk], *, taken: Sequence[str] = ()) -> Iterator[tuple[str, DomainDisk]]:
    """The active disks with their drives' names (vda, sda, …), the bootable one first. Raises UnfitInterface."""
    used = set(taken)
    active = [disk for disk in disks if disk.attachment.active]
    for disk in sorted(active, key=lambda each: not each.attachment.bootable):
        prefix = _PREFIXES.get(disk.attachment.interface)
        if prefix is None:
            reason = f"covirt has no disks of the interface {disk.attachment.interface}; use virtio"
            raise UnfitInterface(what=f"Disk {disk.disk.name}", reason=reason)
        name = next(name for name in _names(prefix) if name not in used)
        used.add(name)
        yield name, disk


def _names(prefix: str) -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield from (f"{prefix}{letter}" for letter in letters)
    yield from (f"{prefix}{first}{second}" for first in letters for second in letters)
