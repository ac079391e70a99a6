# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage domains and disks."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, String, Table, UniqueConstraint

from covirt.engine.model.data_center import StorageFormat
from covirt.engine.model.disk import (
    DiskBackup,
    DiskContentType,
    DiskFormat,
    DiskInterface,
    DiskStatus,
    TransferDirection,
    TransferPhase,
    TransferTimeoutPolicy,
)
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.storage_domain import (
    StorageDomainFacts,
    StorageDomainStatus,
    StorageDomainType,
    StorageType,
)
from covirt.engine.store.columns import Time, Whole, Word, called, flag, identity, metadata, ref, text

storage_connections = Table(
    "storage_connections",
    metadata,
    identity(),
    *called(),
    Column("type", Word(StorageType), nullable=False),
    Column("address", String(255), nullable=False),
    text("path"),
    ref("host_id", "hosts", required=False),
    Column("nfs_version", String(8), nullable=False),
    Column("nfs_timeo", Integer),
    Column("nfs_retrans", Integer),
    text("mount_options"),
    Column("vfs_type", String(32), nullable=False),
)

storage_domains = Table(
    "storage_domains",
    metadata,
    identity(),
    *called(unique=True),
    Column("type", Word(StorageDomainType), nullable=False),
    Column("status", Word(StorageDomainStatus), nullable=False),
    ref("data_center_id", "data_centers", required=False),
    ref("connection_id", "storage_connections", required=False),
    flag("master"),
    Column("storage_format", Word(StorageFormat), nullable=False),
    flag("wipe_after_delete"),
    flag("discard_after_delete"),
    flag("backup"),
    Column("warning_low_space_percent", Integer, nullable=False),
    Column("critical_space_gib", Integer, nullable=False),
)

storage_domain_facts = Table(
    "storage_domain_facts",
    metadata,
    Column("storage_domain_id", String(36), ForeignKey("storage_domains.id", ondelete="CASCADE"), primary_key=True),
    Column("facts", Whole(StorageDomainFacts), nullable=False),
)

disk_profiles = Table(
    "disk_profiles",
    metadata,
    identity(),
    *called(),
    ref("storage_domain_id", "storage_domains", on_delete="CASCADE"),
)

disks = Table(
    "disks",
    metadata,
    identity(),
    *called(),
    ref("storage_domain_id", "storage_domains"),
    Column("image_id", String(36), nullable=False, unique=True),
    Column("status", Word(DiskStatus), nullable=False),
    Column("format", Word(DiskFormat), nullable=False),
    flag("sparse"),
    Column("content_type", Word(DiskContentType), nullable=False),
    Column("provisioned_size_bytes", BigInteger, nullable=False),
    Column("actual_size_bytes", BigInteger, nullable=False),
    Column("total_size_bytes", BigInteger, nullable=False),
    Column("initial_size_bytes", BigInteger),
    flag("shareable"),
    flag("wipe_after_delete"),
    flag("propagate_errors"),
    Column("qcow_version", String(16), nullable=False),
    ref("disk_profile_id", "disk_profiles", required=False, on_delete="SET NULL"),
    Column("created_at", Time),
    Column("kind", Word(VmKind)),
    Column("backup", Word(DiskBackup), nullable=False, server_default="none"),
)

disk_attachments = Table(
    "disk_attachments",
    metadata,
    Column("number", Integer, primary_key=True),
    ref("disk_id", "disks", on_delete="CASCADE"),
    ref("vm_id", "vms", required=False, on_delete="CASCADE"),
    ref("template_id", "templates", required=False, on_delete="CASCADE"),
    Column("interface", Word(DiskInterface), nullable=False),
    flag("active"),
    flag("bootable"),
    flag("read_only"),
    flag("pass_discard"),
    flag("uses_scsi_reservation"),
    text("logical_name"),
    UniqueConstraint("vm_id", "disk_id"),
    UniqueConstraint("template_id", "disk_id"),
    CheckConstraint("(vm_id IS NULL) <> (template_id IS NULL)", name="one_owner"),
)

image_transfers = Table(
    "image_transfers",
    metadata,
    identity(),
    *called(),
    Column("disk_id", String(36), nullable=False, index=True),  # which may be gone, as after a cancelled upload
    Column("direction", Word(TransferDirection), nullable=False),
    Column("phase", Word(TransferPhase), nullable=False),
    Column("format", Word(DiskFormat), nullable=False),
    ref("host_id", "hosts", required=False, on_delete="SET NULL"),
    Column("timeout_policy", Word(TransferTimeoutPolicy), nullable=False),
    Column("inactivity_timeout_seconds", Integer, nullable=False),
    text("transfer_url"),
    Column("transferred_bytes", BigInteger, nullable=False),
    flag("active"),
    flag("shallow"),
    Column("ticket_id", String(36), nullable=False, unique=True),
    flag("illegal_before"),
    text("source_url"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("last_activity", Time),
    Column("ended_at", Time),
)

container_images = Table(
    "container_images",
    metadata,
    Column("id", String(36), ForeignKey("disks.id", ondelete="CASCADE"), primary_key=True),
    text("reference"),
    Column("digest", String(100), nullable=False, index=True),
    Column("architecture", String(40), nullable=False),
    Column("volumes", Whole(tuple[str, ...]), nullable=False),
    text("config"),
)
