# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container domain as its XML says it: frozen facts, with nothing of the host in them.

parse.parse_domain makes one, format.format_domain writes one; ``parse(format(config)) == config``.
"""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from covirt.virtocid.driver.domain_xml.kept import NOTHING_KEPT, Kept, UnknownElement
from covirt.virtocid.driver.domain_xml.model_devices import (
    Console,
    Disk,
    DiskDevice,
    DiskType,
    Family,
    Filesystem,
    FilesystemType,
    Interface,
    InterfaceAddress,
    InterfaceType,
    Route,
)
from covirt.virtocid.driver.domain_xml.model_settings import (
    UNCONFINED,
    UNLIMITED,
    ContainerSettings,
    DnsSettings,
    InterfaceSettings,
    ResourceLimit,
    RootLayer,
)
from covirt.virtocid.driver.domain_xml.model_tuning import (
    BlockIoDevice,
    BlockIoTune,
    CpuTune,
    DiskIoTune,
    DomainIdMap,
    IdRange,
    MemoryTune,
    NumaTune,
    VcpuPin,
)
from covirt.virtocid.driver.domain_xml.model_volumes import (
    AccessMode,
    DiscardedVolume,
    DiskMount,
    MappedDrive,
    VolumeMapping,
)

DOMAIN_TYPE: Final = "oci"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessConfig:
    """The container's process. What is absent comes from the image's config.

    ``init`` replaces the image's entrypoint and its command; ``arguments`` alone replace the command only.
    """

    init: str | None = None
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    directory: str | None = None
    user: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataElement:
    """One element of <metadata>, the only one of its namespace. ``xml`` is whole, with its namespaces declared."""

    uri: str
    xml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OvirtContainer:
    """<ovirtcnt:container>, oVirt's own words; they count where nothing more precise is said."""

    runtime: str | None
    image: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainConfig:
    """One <domain type='oci'>."""

    name: str
    uuid: UUID
    memory_kib: int
    current_memory_kib: int
    title: str | None = None
    description: str | None = None
    architecture: str | None = None
    vcpus: int = 1
    current_vcpus: int = 1
    cpuset: str | None = None
    cpu_tune: CpuTune = field(default_factory=CpuTune)
    memory_tune: MemoryTune = field(default_factory=MemoryTune)
    block_io: BlockIoTune = field(default_factory=BlockIoTune)
    numa_tune: NumaTune = field(default_factory=NumaTune)
    idmap: DomainIdMap | None = None
    process: ProcessConfig = field(default_factory=ProcessConfig)
    disks: tuple[Disk, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    consoles: tuple[Console, ...] = ()
    on_poweroff: str = "destroy"
    on_reboot: str = "restart"
    on_crash: str = "destroy"
    metadata: tuple[MetadataElement, ...] = ()  # all but <covirt:container>, which is ``settings``
    settings: ContainerSettings = field(default_factory=ContainerSettings)
    ovirt: OvirtContainer | None = field(default=None, compare=False)  # read from ``metadata``
    drive_map: tuple[MappedDrive, ...] = field(default=(), compare=False)  # the same
    kept: Kept = NOTHING_KEPT
    unknown: tuple[UnknownElement, ...] = field(default=(), compare=False)
    machine_devices: tuple[str, ...] = field(default=(), compare=False)  # tags of those in ``kept``

    @property
    def is_placeholder(self) -> bool:
        """Whether it names nothing to run: it holds name and UUID until the real definition comes."""
        return self.image is None and self.root_filesystem is None

    @property
    def image_disk(self) -> Disk | None:
        """The cdrom that holds the container image."""
        return next((disk for disk in self.disks if disk.device is DiskDevice.CDROM and disk.source), None)

    @property
    def image(self) -> str | None:
        """The container image: an absolute path or a name in the image store."""
        if self.settings.image is not None:
            return self.settings.image
        if self.image_disk is not None:
            return self.image_disk.source
        if self.image_filesystem is not None:
            return self.image_filesystem.source
        return self.ovirt.image if self.ovirt else None

    @property
    def runtime(self) -> str | None:
        """The runtime's name; None is the host's default."""
        return self.settings.runtime or (self.ovirt.runtime if self.ovirt else None)

    @property
    def image_filesystem(self) -> Filesystem | None:
        """An image file (``file``) or the name of an imported one (``template``) at ``/``, from virt-install."""
        root = self.root_filesystem
        return root if root and root.type in (FilesystemType.FILE, FilesystemType.TEMPLATE) else None

    @property
    def root_filesystem(self) -> Filesystem | None:
        """The <filesystem> at ``/``, which takes the place of an image."""
        return next((filesystem for filesystem in self.filesystems if filesystem.target == "/"), None)

    @property
    def terminal(self) -> bool:
        """Whether the process gets a terminal."""
        return bool(self.consoles) if self.settings.terminal is None else self.settings.terminal

    def asks_dhcp(self, interface: Interface) -> bool:
        """Whether the interface gets an address by DHCP: as said, else when it has none, as a machine's would."""
        said = self._said_of(interface, "dhcp")
        return not interface.addresses if said is None else said

    def takes_gateway(self, interface: Interface) -> bool:
        """Whether a DHCP server may give the container a default route by this interface."""
        return self._said_of(interface, "gateway") is not False

    def _said_of(self, interface: Interface, what: str) -> bool | None:
        """What is said of the very interface counts more than what is said of all."""
        said: dict[str | None, bool | None] = {item.mac: getattr(item, what) for item in self.settings.interfaces}
        own = said.get(interface.mac) if interface.mac else None
        return said.get(None) if own is None else own

    def element(self, uri: str) -> MetadataElement | None:
        """The metadata element of a namespace; <covirt:container> is not among them."""
        return next((element for element in self.metadata if element.uri == uri), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """What a run adds to the XML: id, names and paths that end with it."""

    domain_id: int
    interface_names: tuple[str, ...] = ()  # in the order of ``interfaces``; shorter is fine
    interface_bridges: tuple[str | None, ...] = ()  # where an interface of type ``network`` was plugged in
    console_path: str | None = None
    runtime: str | None = None
    agent_connected: bool | None = None  # None: its channel is not shown


__all__ = [
    "DOMAIN_TYPE",
    "AccessMode",
    "DiscardedVolume",
    "DiskMount",
    "MappedDrive",
    "VolumeMapping",
    "UNCONFINED",
    "UNLIMITED",
    "BlockIoDevice",
    "BlockIoTune",
    "Console",
    "ContainerSettings",
    "CpuTune",
    "Disk",
    "DiskDevice",
    "DiskIoTune",
    "DiskType",
    "DnsSettings",
    "DomainConfig",
    "DomainIdMap",
    "Family",
    "Filesystem",
    "FilesystemType",
    "IdRange",
    "Interface",
    "InterfaceAddress",
    "InterfaceSettings",
    "InterfaceType",
    "Kept",
    "LiveState",
    "MemoryTune",
    "MetadataElement",
    "NumaTune",
    "OvirtContainer",
    "ProcessConfig",
    "ResourceLimit",
    "RootLayer",
    "Route",
    "UnknownElement",
    "VcpuPin",
]
