# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine was, and what it is now: the active snapshot is always there."""

from collections.abc import Mapping, Sequence

from covirt.engine.api.call import Call
from covirt.engine.api.changes import snapshots as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.hardware import hardware_values
from covirt.engine.api.resources.loading import by_parent, each
from covirt.engine.api.resources.values import named, reference
from covirt.engine.api.resources.vm_devices import nic_node
from covirt.engine.model.disk import Disk
from covirt.engine.model.vm import Nic, Snapshot, SnapshotDisk, SnapshotType
from covirt.engine.store.query import ListQuery


def snapshot_node(snapshot: Snapshot) -> Node:
    values: dict[str, Value] = {
        **(hardware_values(snapshot.hardware) if snapshot.hardware else {}),
        **named(snapshot),
        "date": snapshot.date,
        "snapshot_type": str(snapshot.type),
        "snapshot_status": str(snapshot.status),
        "persist_memorystate": snapshot.persist_memory,
        "vm": reference("Vm", snapshot.vm_id),
    }
    return Node(type="Snapshot", id=snapshot.id, values=values)


def _disks(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[tuple[Disk | None, SnapshotDisk]]]:
    snapshots: Sequence[Snapshot] = call.session.snapshots.list(ListQuery(where={"id": tuple(ids)}))
    disks = call.session.disks.by_ids({each.disk_id for snapshot in snapshots for each in snapshot.disks})
    return {snapshot.id: [(disks.get(each.disk_id), each) for each in snapshot.disks] for snapshot in snapshots}


def _disk_node(item: tuple[Disk | None, SnapshotDisk]) -> Node:
    disk, then = item
    values: dict[str, Value] = {
        "image_id": then.image_id,
        "interface": str(then.interface),
        "bootable": then.bootable,
        "storage_type": "image",
    }
    if disk is not None:
        values |= {
            "name": disk.name,
            "alias": disk.name,
            "format": str(then.format or disk.format),
            "provisioned_size": then.provisioned_size_bytes or disk.provisioned_size_bytes,
            "actual_size": disk.actual_size_bytes,
            "status": str(disk.status),
            "sparse": disk.sparse,
        }
    return Node(type="Disk", id=then.disk_id, values=values)


def _nics(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Nic]]:
    """A machine's NICs are not part of what a snapshot keeps: it has those that the machine has now."""
    snapshots: Sequence[Snapshot] = call.session.snapshots.list(ListQuery(where={"id": tuple(ids)}))
    active = [snapshot for snapshot in snapshots if snapshot.type is SnapshotType.ACTIVE]
    nics: Sequence[Nic] = call.session.nics.list(ListQuery(where={"vm_id": tuple(each.vm_id for each in active)}))
    return {snapshot.id: [nic for nic in nics if nic.vm_id == snapshot.vm_id] for snapshot in active}


SNAPSHOTS = Collection(
    path="snapshots",
    type="Snapshot",
    show=each(snapshot_node),
    below=by_parent(lambda session: session.snapshots, "vm_id"),
    add=changes.add_snapshot,
    remove=changes.remove_snapshot,
    actions={"restore": changes.restore_snapshot},
    children=(
        Collection(
            path="disks",
            type="Disk",
            show=each(_disk_node),
            below=_disks,
            key=lambda item: str(item[1].disk_id),
        ),
        Collection(path="nics", type="Nic", show=each(nic_node), below=_nics),
    ),
)
