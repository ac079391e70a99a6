# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A domain's devices, as frozen facts."""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from covirt.virtocid.driver.domain_xml.kept import NOTHING_KEPT, Kept
from covirt.virtocid.driver.domain_xml.model_tuning import NO_DISK_LIMITS, DiskIoTune
from covirt.virtocid.driver.domain_xml.model_volumes import AccessMode, DiskMount


class Family(StrEnum):
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class InterfaceType(StrEnum):
    BRIDGE = "bridge"
    NETWORK = "network"


class DiskType(StrEnum):
    FILE = "file"
    BLOCK = "block"
    DIR = "dir"  # what virtocid shows of a volume that it keeps itself; not to be defined


class DiskDevice(StrEnum):
    DISK = "disk"
    CDROM = "cdrom"


class FilesystemType(StrEnum):
    """Where a <filesystem> comes from: a directory, an image file, a device, memory, or a named image."""

    MOUNT = "mount"
    BIND = "bind"
    FILE = "file"
    BLOCK = "block"
    RAM = "ram"
    TEMPLATE = "template"  # the name of an imported container image; only at /


FAMILY_BITS: Final = {Family.IPV4: 32, Family.IPV6: 128}


def default_prefix(address: str) -> int:
    """libvirt's prefix length for an address written without one: 0 for "any", its class in IPv4, 64 in IPv6."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        return 0
    if isinstance(parsed, ipaddress.IPv6Address):
        return 64
    first = parsed.packed[0]
    return 8 if first < 128 else 16 if first < 192 else 24


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceAddress:
    """<ip>: an address the interface has inside the container."""

    family: Family
    address: str
    prefix: int | None = None
    peer: str | None = None

    @property
    def cidr(self) -> str:
        """``address/prefix``, with libvirt's default when the XML has no prefix."""
        return f"{self.address}/{default_prefix(self.address) if self.prefix is None else self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """<route>: a route inside the container. A ``netmask`` in the XML became ``prefix``."""

    family: Family
    address: str
    gateway: str
    prefix: int | None = None
    metric: int | None = None

    @property
    def destination(self) -> str:
        """``network/prefix``; ``0.0.0.0/0`` or ``::/0`` is the default route."""
        length = default_prefix(self.address) if self.prefix is None else self.prefix
        return str(ipaddress.ip_network(f"{self.address}/{length}", strict=False))

    @property
    def is_default(self) -> bool:
        return self.destination in {"0.0.0.0/0", "::/0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """<interface>: one veth pair. ``source`` is the Linux bridge, or the libvirt network to find one in."""

    type: InterfaceType
    source: str
    mac: str | None = None
    target: str | None = None
    model: str | None = None
    addresses: tuple[InterfaceAddress, ...] = ()
    routes: tuple[Route, ...] = ()
    link_up: bool = True
    guest_name: str | None = None
    guest_actual: str | None = None  # its name inside for one run, chosen when there is no guest_name
    mtu: int | None = None
    filter_off: bool = False  # trustGuestRxFilters='yes': the container may use any MAC and IP address
    alias: str | None = None
    kept: Kept = NOTHING_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """<disk>: the container image (``cdrom``) or a raw volume (``disk``). ``source`` None is an empty drive."""

    device: DiskDevice
    type: DiskType
    source: str | None
    target: str
    bus: str | None = None
    format: str | None = None
    readonly: bool = False
    shareable: bool = False
    io_tune: DiskIoTune = NO_DISK_LIMITS  # of a volume
    mount: DiskMount | None = None  # <covirt:volume> inside; a mapping of <covirt:container> is not repeated here
    alias: str | None = None
    kept: Kept = NOTHING_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Filesystem:
    """<filesystem>: a directory, a file or block device with a file system, or memory, at ``target`` inside."""

    type: FilesystemType
    source: str | None  # None for ``ram``
    target: str
    readonly: bool = False
    size_bytes: int | None = None  # of ``ram``
    access: AccessMode | None = None  # of a directory
    alias: str | None = None
    kept: Kept = NOTHING_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """<console>: the terminal of the container's process, and the file that records it."""

    type: Literal["pty"] = "pty"
    target_type: str = "lxc"
    target_port: int = 0
    log_file: str | None = None
    log_append: bool | None = None
    alias: str | None = None
    path: str | None = None  # of the pseudo terminal, while it runs
    kept: Kept = NOTHING_KEPT
