# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host: what was told of it (intent), and what it says of itself (facts), apart, since facts change often."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from covirt.engine.model.cluster import Architecture
from covirt.engine.model.entity import Entity, Version


class HostStatus(StrEnum):
    CONNECTING = "connecting"
    DOWN = "down"
    ERROR = "error"
    INITIALIZING = "initializing"
    INSTALL_FAILED = "install_failed"
    INSTALLING = "installing"
    INSTALLING_OS = "installing_os"
    KDUMPING = "kdumping"
    MAINTENANCE = "maintenance"
    NON_OPERATIONAL = "non_operational"
    NON_RESPONSIVE = "non_responsive"
    PENDING_APPROVAL = "pending_approval"
    PREPARING_FOR_MAINTENANCE = "preparing_for_maintenance"
    REBOOT = "reboot"
    UNASSIGNED = "unassigned"
    UP = "up"


class SpmStatus(StrEnum):
    NONE = "none"
    CONTENDING = "contending"
    SPM = "spm"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostHardware:
    manufacturer: str = ""
    product_name: str = ""
    version: str = ""
    serial_number: str = ""
    family: str = ""
    uuid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NicFigures:
    """What went through an interface of the host since it is there."""

    name: str
    received_bytes: int = 0
    sent_bytes: int = 0
    receive_errors: int = 0
    send_errors: int = 0
    receive_drops: int = 0
    send_drops: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFigures:
    """What changes from one poll to the next. Percents are of all processors together."""

    cpu_user_percent: float = 0
    cpu_system_percent: float = 0
    cpu_idle_percent: float = 0
    load: float = 0
    swap_bytes: int = 0
    swap_free_bytes: int = 0
    memory_shared_bytes: int = 0
    boot_time: int = 0
    nics: tuple[NicFigures, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What getCapabilities and getStats said last; all empty until the host was up once.

    ``networks`` are by the names that hosts know (Network.vdsm_name). ``boot_id`` changes with every boot.
    """

    status: HostStatus = HostStatus.UNASSIGNED
    status_detail: str = ""
    cpu_name: str = ""
    cpu_sockets: int = 0
    cpu_cores_per_socket: int = 0
    cpu_threads_per_core: int = 0
    cpu_speed_mhz: float = 0
    cpu_type: str = ""
    memory_bytes: int = 0
    memory_free_bytes: int = 0
    max_scheduling_memory_bytes: int = 0
    os_type: str = ""
    os_version: str = ""
    kernel: str = ""
    libvirt_version: str = ""
    agent_version: Version | None = None
    hardware: HostHardware = HostHardware()
    se_linux_mode: str = "disabled"
    kvm: bool = False
    containers: bool = False
    container_runtimes: tuple[str, ...] = ()
    containers_reason: str = ""
    extensions: tuple[str, ...] = ()
    architecture: Architecture = Architecture.UNDEFINED
    cluster_levels: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    emulated_machines: tuple[str, ...] = ()
    cpu_threads: int = 0
    memory_reserved_bytes: int = 0
    guest_overhead_bytes: int = 0
    boot_id: str = ""
    figures: HostFigures = HostFigures()
    spm_status: SpmStatus = SpmStatus.NONE
    vms_active: int = 0
    vms_total: int = 0
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNic(Entity):
    """``network_id``: of the network whose bridge lies over it, where there is one."""

    host_id: str
    mac: str = ""
    mtu: int = 1500
    speed_bits_per_second: int = 0
    up: bool = False
    address: str = ""
    netmask: str = ""
    gateway: str = ""
    boot_protocol: str = "none"
    bridged: bool = False
    network_id: str | None = None
    vlan_id: int | None = None
    base_interface: str = ""
    bond_slaves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host(Entity):
    """``address`` is a name or an IP address; ``port`` covirt-host's or Vdsm's."""

    cluster_id: str
    address: str
    port: int = 54321
    ssh_port: int = 22
    ssh_fingerprint: str = ""
    spm_priority: int = 5
    certificate_subject: str = ""
    certificate_organization: str = ""
    override_iptables: bool = False
    facts: HostFacts = HostFacts()
