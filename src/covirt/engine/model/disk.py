# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks, how machines have them attached, and uploads and downloads of them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from covirt.engine.model.entity import Entity
from covirt.engine.model.hardware import VmKind


class DiskStatus(StrEnum):
    OK = "ok"
    LOCKED = "locked"
    ILLEGAL = "illegal"


class DiskFormat(StrEnum):
    COW = "cow"
    RAW = "raw"


class DiskBackup(StrEnum):
    """Whether bitmaps of what has changed may be kept in it, which qcow2 can."""

    NONE = "none"
    INCREMENTAL = "incremental"


class DiskContentType(StrEnum):
    """``CONTAINER_IMAGE`` is data to clients that do not know better: a raw file that nothing writes to."""

    DATA = "data"
    ISO = "iso"
    OVF_STORE = "ovf_store"
    MEMORY_DUMP_VOLUME = "memory_dump_volume"
    MEMORY_METADATA_VOLUME = "memory_metadata_volume"
    BACKUP_SCRATCH = "backup_scratch"
    HOSTED_ENGINE = "hosted_engine"
    HOSTED_ENGINE_CONFIGURATION = "hosted_engine_configuration"
    HOSTED_ENGINE_METADATA = "hosted_engine_metadata"
    HOSTED_ENGINE_SANLOCK = "hosted_engine_sanlock"


class DiskInterface(StrEnum):
    VIRTIO = "virtio"
    VIRTIO_SCSI = "virtio_scsi"
    SATA = "sata"
    IDE = "ide"
    SPAPR_VSCSI = "spapr_vscsi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk(Entity):
    """``name`` is oVirt's alias. ``image_id``: the volume that is written to; the image group has the disk's id.

    ``kind``: of the machines that may have written to it, for good; None while none has. What came from outside is a
    virtual machine's: containers are given what covirt's hosts have made (docs/adr/0044-kind-of-a-disk.md).
    """

    storage_domain_id: str
    image_id: str
    status: DiskStatus = DiskStatus.OK
    format: DiskFormat = DiskFormat.RAW
    sparse: bool = True
    content_type: DiskContentType = DiskContentType.DATA
    provisioned_size_bytes: int
    actual_size_bytes: int = 0
    total_size_bytes: int = 0
    initial_size_bytes: int | None = None
    shareable: bool = False
    wipe_after_delete: bool = False
    propagate_errors: bool = False
    qcow_version: str = ""
    disk_profile_id: str | None = None
    created_at: datetime | None = None
    kind: VmKind | None = None
    backup: DiskBackup = DiskBackup.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskAttachment:
    """Of a disk to a machine or to a template (exactly one of both). Its id on the wire is the disk's."""

    disk_id: str
    vm_id: str | None = None
    template_id: str | None = None
    interface: DiskInterface = DiskInterface.VIRTIO
    active: bool = True
    bootable: bool = False
    read_only: bool = False
    pass_discard: bool = False
    uses_scsi_reservation: bool = False
    logical_name: str = ""


class TransferPhase(StrEnum):
    UNKNOWN = "unknown"
    INITIALIZING = "initializing"
    TRANSFERRING = "transferring"
    RESUMING = "resuming"
    PAUSED_SYSTEM = "paused_system"
    PAUSED_USER = "paused_user"
    CANCELLED = "cancelled"
    CANCELLED_SYSTEM = "cancelled_system"
    CANCELLED_USER = "cancelled_user"
    FINALIZING_SUCCESS = "finalizing_success"
    FINALIZING_FAILURE = "finalizing_failure"
    FINALIZING_CLEANUP = "finalizing_cleanup"
    FINISHED_SUCCESS = "finished_success"
    FINISHED_FAILURE = "finished_failure"
    FINISHED_CLEANUP = "finished_cleanup"


class TransferDirection(StrEnum):
    DOWNLOAD = "download"
    UPLOAD = "upload"


class TransferTimeoutPolicy(StrEnum):
    LEGACY = "legacy"
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTransfer(Entity):
    disk_id: str
    direction: TransferDirection
    phase: TransferPhase = TransferPhase.INITIALIZING
    format: DiskFormat = DiskFormat.RAW
    host_id: str | None = None
    timeout_policy: TransferTimeoutPolicy = TransferTimeoutPolicy.LEGACY
    inactivity_timeout_seconds: int = 60
    transfer_url: str = ""
    transferred_bytes: int = 0
    active: bool = False
    shallow: bool = False
    # Whoever knows it may read or write the disk, at the host's daemon; it is told in URLs only.
    ticket_id: str = field(default="", repr=False)
    illegal_before: bool = False  # of the disk, which is what it was when nothing came of the transfer
    # What the daemon reads or writes, by its host; empty until the volume is prepared.
    source_url: str = ""
    size_bytes: int = 0
    # When the client did something last, or the transfer began, or went on.
    last_activity: datetime | None = None
    ended_at: datetime | None = None
