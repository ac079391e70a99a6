# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Machines of both kinds, what they are made of, templates and instance types."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, String, Table, UniqueConstraint

from covirt.engine.model.hardware import Hardware, VmKind
from covirt.engine.model.template import TemplateStatus
from covirt.engine.model.vm import NicInterface, SnapshotDisk, SnapshotStatus, SnapshotType, VmFacts, VmStatus
from covirt.engine.store.columns import Time, Whole, Word, called, flag, identity, metadata, ref

templates = Table(
    "templates",
    metadata,
    identity(),
    *called(),
    ref("cluster_id", "clusters", required=False),
    Column("status", Word(TemplateStatus), nullable=False),
    Column("kind", Word(VmKind), nullable=False),
    Column("hardware", Whole(Hardware), nullable=False),
    Column("origin", String(32), nullable=False),
    ref("cpu_profile_id", "cpu_profiles", required=False, on_delete="SET NULL"),
    Column("created_at", Time, nullable=False),
    Column("base_template_id", String(36), nullable=False),
    Column("version_number", Integer, nullable=False),
    Column("version_name", String(255), nullable=False),
    UniqueConstraint("name", "version_number"),
)

instance_types = Table(
    "instance_types",
    metadata,
    identity(),
    *called(unique=True),
    Column("hardware", Whole(Hardware), nullable=False),
    Column("created_at", Time, nullable=False),
)

vms = Table(
    "vms",
    metadata,
    identity(),
    *called(unique=True),
    ref("cluster_id", "clusters"),
    ref("template_id", "templates"),
    Column("original_template_id", String(36), nullable=False),
    ref("instance_type_id", "instance_types", required=False, on_delete="SET NULL"),
    Column("kind", Word(VmKind), nullable=False),
    Column("hardware", Whole(Hardware), nullable=False),
    Column("origin", String(32), nullable=False),
    ref("cpu_profile_id", "cpu_profiles", required=False, on_delete="SET NULL"),
    Column("created_at", Time, nullable=False),
    flag("next_run"),
    flag("image_locked"),
)

# Apart from vms: written at every poll. The columns beside the facts are what is searched and sorted by.
vm_facts = Table(
    "vm_facts",
    metadata,
    Column("vm_id", String(36), ForeignKey("vms.id", ondelete="CASCADE"), primary_key=True),
    Column("status", Word(VmStatus), nullable=False, index=True),
    ref("host_id", "hosts", required=False, on_delete="SET NULL"),
    Column("facts", Whole(VmFacts), nullable=False),
)

nics = Table(
    "nics",
    metadata,
    identity(),
    *called(),
    ref("vm_id", "vms", required=False, on_delete="CASCADE"),
    ref("template_id", "templates", required=False, on_delete="CASCADE"),
    Column("interface", Word(NicInterface), nullable=False),
    Column("mac", String(17), nullable=False, index=True),
    ref("vnic_profile_id", "vnic_profiles", required=False, on_delete="SET NULL"),
    flag("linked"),
    flag("plugged"),
    Column("rx_bits_per_second", BigInteger, nullable=False),
    Column("tx_bits_per_second", BigInteger, nullable=False),
    UniqueConstraint("vm_id", "name"),
    UniqueConstraint("template_id", "name"),
    CheckConstraint("(vm_id IS NULL) <> (template_id IS NULL)", name="one_owner"),
)

cdroms = Table(
    "cdroms",
    metadata,
    identity(),
    ref("vm_id", "vms", required=False, on_delete="CASCADE"),
    ref("template_id", "templates", required=False, on_delete="CASCADE"),
    Column("file_id", String(36)),
    Column("current_file_id", String(36)),
    CheckConstraint("(vm_id IS NULL) <> (template_id IS NULL)", name="one_owner"),
)

snapshots = Table(
    "snapshots",
    metadata,
    identity(),
    *called(),
    ref("vm_id", "vms", on_delete="CASCADE"),
    Column("type", Word(SnapshotType), nullable=False),
    Column("status", Word(SnapshotStatus), nullable=False),
    Column("date", Time, nullable=False),
    flag("persist_memory"),
    Column("hardware", Whole(Hardware)),
    Column("disks", Whole(tuple[SnapshotDisk, ...]), nullable=False),
)
