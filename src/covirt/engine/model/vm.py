# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A Vm, of either kind: intent, and apart from it what its host said last."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from covirt.engine.model.disk import DiskFormat, DiskInterface
from covirt.engine.model.entity import Entity
from covirt.engine.model.hardware import Hardware, VmKind

BLANK_TEMPLATE_ID = "00000000-0000-0000-0000-000000000000"


class VmStatus(StrEnum):
    """oVirt's words for the API; a host's words are hostapi.statuses."""

    DOWN = "down"
    IMAGE_LOCKED = "image_locked"
    MIGRATING = "migrating"
    NOT_RESPONDING = "not_responding"
    PAUSED = "paused"
    POWERING_DOWN = "powering_down"
    POWERING_UP = "powering_up"
    REBOOT_IN_PROGRESS = "reboot_in_progress"
    RESTORING_STATE = "restoring_state"
    SAVING_STATE = "saving_state"
    SUSPENDED = "suspended"
    UNASSIGNED = "unassigned"
    UNKNOWN = "unknown"
    UP = "up"
    WAIT_FOR_LAUNCH = "wait_for_launch"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedDevice:
    """A network interface as the guest itself sees it."""

    name: str
    mac: str
    ip_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphicsFacts:
    """Where the screen of a running machine is."""

    protocol: str
    address: str
    port: int | None = None
    tls_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VmFacts:
    """What its host said last. Percentages are of what the guest has, 0 to 100."""

    status: VmStatus = VmStatus.DOWN
    status_detail: str = ""
    pause_code: str = ""
    host_id: str | None = None
    start_time: datetime | None = None
    stop_time: datetime | None = None
    stop_reason: str = ""
    exit_code: int | None = None
    exit_reason: int | None = None
    exit_message: str = ""
    fqdn: str = ""
    guest_os: str = ""
    guest_kernel: str = ""
    reported_devices: tuple[ReportedDevice, ...] = ()
    graphics: tuple[GraphicsFacts, ...] = ()
    cpu_user_percent: float = 0
    cpu_system_percent: float = 0
    memory_used_bytes: int = 0
    network_percent: float = 0
    elapsed_seconds: int = 0
    health: str = ""
    seen_at: datetime | None = None
    log_host_id: str | None = None  # of a container that has ended: where its log is still to be read
    state_disk_ids: tuple[str, ...] = ()  # of a suspended one, and of one that begins again from there


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm(Entity):
    """``kind`` never changes. ``next_run``: an edit of a running machine waits for its next start."""

    cluster_id: str
    template_id: str = BLANK_TEMPLATE_ID
    original_template_id: str = BLANK_TEMPLATE_ID
    instance_type_id: str | None = None
    kind: VmKind = VmKind.VIRTUAL_MACHINE
    hardware: Hardware = field(default_factory=Hardware)
    origin: str = "ovirt"
    cpu_profile_id: str | None = None
    created_at: datetime
    next_run: bool = False
    image_locked: bool = False
    facts: VmFacts = VmFacts()


class NicInterface(StrEnum):
    E1000 = "e1000"
    E1000E = "e1000e"
    PCI_PASSTHROUGH = "pci_passthrough"
    RTL8139 = "rtl8139"
    RTL8139_VIRTIO = "rtl8139_virtio"
    SPAPR_VLAN = "spapr_vlan"
    VIRTIO = "virtio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic(Entity):
    """Of a machine or of a template (exactly one of both); a template's has no MAC address."""

    vm_id: str | None = None
    template_id: str | None = None
    interface: NicInterface = NicInterface.VIRTIO
    mac: str = ""
    vnic_profile_id: str | None = None
    linked: bool = True
    plugged: bool = True
    rx_bits_per_second: int = 0
    tx_bits_per_second: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cdrom:
    """Each machine has exactly one drive. ``file_id``: of the disk in it; ``current`` is what a running one sees."""

    id: str
    vm_id: str | None = None
    template_id: str | None = None
    file_id: str | None = None
    current_file_id: str | None = None


class SnapshotType(StrEnum):
    ACTIVE = "active"
    PREVIEW = "preview"
    REGULAR = "regular"
    STATELESS = "stateless"


class SnapshotStatus(StrEnum):
    OK = "ok"
    LOCKED = "locked"
    IN_PREVIEW = "in_preview"


class DiskThen(StrEnum):
    """``MERGING``: the snapshot's removal has begun to write into the volume; ``MERGED``: nothing is left of then."""

    WHOLE = "whole"
    MERGING = "merging"
    MERGED = "merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDisk:
    """What a disk was: the volume that holds the state of then. ``merging_id``: the one above it, which is being
    merged into it while ``then`` is MERGING. ``format`` and size are the volume's, where they were written down."""

    disk_id: str
    image_id: str
    then: DiskThen = DiskThen.WHOLE
    merging_id: str = ""
    format: DiskFormat | None = None
    provisioned_size_bytes: int = 0
    interface: DiskInterface = DiskInterface.VIRTIO
    bootable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Entity):
    """A machine always has the active one, which is what it is now."""

    vm_id: str
    type: SnapshotType = SnapshotType.REGULAR
    status: SnapshotStatus = SnapshotStatus.OK
    date: datetime
    persist_memory: bool = False
    hardware: Hardware | None = None
    disks: tuple[SnapshotDisk, ...] = ()
