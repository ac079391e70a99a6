# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tags, affinity groups and labels, and what belongs to each."""

from sqlalchemy import Column, Float, ForeignKey, String, Table, UniqueConstraint

from covirt.engine.model.affinity import AffinityRule, TaggedType
from covirt.engine.store.columns import Whole, Word, called, flag, identity, metadata, ref


def _members(name: str, owner: tuple[str, str], member: tuple[str, str]) -> Table:
    """A table of pairs: (column, table) on both sides."""
    return Table(
        name,
        metadata,
        Column(owner[0], String(36), ForeignKey(f"{owner[1]}.id", ondelete="CASCADE"), primary_key=True),
        Column(
            member[0], String(36), ForeignKey(f"{member[1]}.id", ondelete="CASCADE"), primary_key=True, index=True
        ),
    )


affinity_groups = Table(
    "affinity_groups",
    metadata,
    identity(),
    *called(),
    ref("cluster_id", "clusters", on_delete="CASCADE"),
    Column("priority", Float, nullable=False),
    Column("vms_rule", Whole(AffinityRule), nullable=False),
    Column("hosts_rule", Whole(AffinityRule), nullable=False),
    flag("broken"),
    UniqueConstraint("cluster_id", "name"),
)
affinity_group_vms = _members("affinity_group_vms", ("affinity_group_id", "affinity_groups"), ("vm_id", "vms"))
affinity_group_hosts = _members(
    "affinity_group_hosts", ("affinity_group_id", "affinity_groups"), ("host_id", "hosts")
)

affinity_labels = Table(
    "affinity_labels",
    metadata,
    identity(),
    *called(unique=True),
    flag("read_only"),
    flag("has_implicit_affinity_group"),
)
affinity_label_vms = _members("affinity_label_vms", ("affinity_label_id", "affinity_labels"), ("vm_id", "vms"))
affinity_label_hosts = _members(
    "affinity_label_hosts", ("affinity_label_id", "affinity_labels"), ("host_id", "hosts")
)

tags = Table(
    "tags",
    metadata,
    identity(),
    *called(unique=True),
    ref("parent_id", "tags", required=False, on_delete="CASCADE"),
)

taggings = Table(
    "taggings",
    metadata,
    Column("tag_id", String(36), ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    Column("type", Word(TaggedType), primary_key=True),
    Column("object_id", String(36), primary_key=True, index=True),
)
