# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What machines, templates and instance types have alike: the machine they describe."""

from dataclasses import dataclass
from enum import StrEnum

from covirt.engine.model.cluster import BiosType


class VmKind(StrEnum):
    """What it is, for good: not changed by an edit, a clone, a template or an import."""

    VIRTUAL_MACHINE = "virtual_machine"
    CONTAINER = "container"


class VmType(StrEnum):
    DESKTOP = "desktop"
    SERVER = "server"
    HIGH_PERFORMANCE = "high_performance"


class VmAffinity(StrEnum):
    MIGRATABLE = "migratable"
    USER_MIGRATABLE = "user_migratable"
    PINNED = "pinned"


class DisplayType(StrEnum):
    VNC = "vnc"
    SPICE = "spice"


class BootDevice(StrEnum):
    HD = "hd"
    CDROM = "cdrom"
    NETWORK = "network"


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTopology:
    sockets: int = 1
    cores: int = 1
    threads: int = 1

    @property
    def total(self) -> int:
        return self.sockets * self.cores * self.threads


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomProperty:
    name: str
    value: str


class GuestProtocol(StrEnum):
    """How an interface inside a guest gets its address."""

    NONE = "none"
    DHCP = "dhcp"
    STATIC = "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestAddress:
    """``netmask``: of IPv6 the length of the prefix."""

    protocol: GuestProtocol = GuestProtocol.NONE
    address: str = ""
    netmask: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestNic:
    """An interface by the name that the guest gives it, as eth0."""

    name: str
    v4: GuestAddress = GuestAddress()
    v6: GuestAddress = GuestAddress()


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialization:
    """What cloud-init is told. ``root_password`` and ``custom_script`` are sealed (vault.sealing), and told to
    nobody. ``used``: a start has handed it to the guest; only who asks for it gets it again."""

    host_name: str = ""
    user_name: str = ""
    root_password: str = ""
    authorized_ssh_keys: str = ""
    regenerate_ssh_keys: bool | None = None
    custom_script: str = ""
    time_zone: str = ""
    dns_servers: str = ""
    dns_search: str = ""
    nics: tuple[GuestNic, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Sizes as a user gave them; what a host made of them is a fact of the machine."""

    memory_bytes: int = 1 << 30
    memory_guaranteed_bytes: int = 1 << 30
    memory_max_bytes: int = 4 << 30
    ballooning: bool = True
    cpu: CpuTopology = CpuTopology()
    cpu_shares: int = 0
    custom_cpu_model: str = ""
    custom_emulated_machine: str = ""
    os_type: str = "other"
    boot_devices: tuple[BootDevice, ...] = (BootDevice.HD,)
    kernel: str = ""
    initrd: str = ""
    kernel_command_line: str = ""
    bios_type: BiosType = BiosType.CLUSTER_DEFAULT
    boot_menu: bool = False
    type: VmType = VmType.SERVER
    display_type: DisplayType = DisplayType.VNC
    monitors: int = 1
    copy_paste: bool = True
    file_transfer: bool = True
    soundcard: bool = False
    tpm: bool = False
    usb: bool = False
    virtio_scsi: bool = True
    multi_queues: bool = True
    io_threads: int = 1
    serial_console: bool = False
    time_zone: str = ""
    high_availability: bool = False
    priority: int = 1
    affinity: VmAffinity = VmAffinity.MIGRATABLE
    placement_host_ids: tuple[str, ...] = ()
    stateless: bool = False
    start_paused: bool = False
    delete_protected: bool = False
    sso_guest_agent: bool = True
    rng_source: str = "urandom"
    custom_properties: tuple[CustomProperty, ...] = ()
    initialization: Initialization | None = None
    small_icon_id: str | None = None
    large_icon_id: str | None = None
