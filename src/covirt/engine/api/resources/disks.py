# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks, and how machines and templates have them attached."""

from collections.abc import Sequence
from dataclasses import replace

from covirt.engine.api.call import Call
from covirt.engine.api.changes import disks as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.access import permissions_below
from covirt.engine.api.resources.loading import by_id, by_parent, each, found, grouped
from covirt.engine.api.resources.statistics import DISK_STATISTICS
from covirt.engine.api.resources.values import named, reference
from covirt.engine.model.access import ObjectType
from covirt.engine.model.disk import Disk, DiskAttachment
from covirt.engine.store.query import ListQuery


def _disks(call: Call, items: Sequence[tuple[str, Disk]]) -> Sequence[Node]:
    ids = tuple(disk.id for _, disk in items)
    attached = call.session.disk_attachments.list(ListQuery(where={"disk_id": ids}))
    users = grouped((attachment.disk_id, attachment.vm_id) for attachment in attached if attachment.vm_id)
    return [_disk_node(disk, users.get(disk.id, [])) for _, disk in items]


def _disk_node(disk: Disk, vm_ids: Sequence[str]) -> Node:
    vms: list[Value] = [reference("Vm", vm_id) for vm_id in vm_ids]
    values: dict[str, Value] = {
        **named(disk),
        "alias": disk.name,
        "image_id": disk.image_id,
        "status": str(disk.status),
        "format": str(disk.format),
        "sparse": disk.sparse,
        "content_type": str(disk.content_type),
        "storage_type": "image",
        "provisioned_size": disk.provisioned_size_bytes,
        "actual_size": disk.actual_size_bytes,
        "total_size": disk.total_size_bytes,
        "initial_size": disk.initial_size_bytes,
        "shareable": disk.shareable,
        "wipe_after_delete": disk.wipe_after_delete,
        "propagate_errors": disk.propagate_errors,
        "backup": str(disk.backup),
        "qcow_version": disk.qcow_version or None,
        "disk_profile": reference("DiskProfile", disk.disk_profile_id),
        "storage_domains": [reference("StorageDomain", disk.storage_domain_id)],
        "vms": vms or None,
    }
    return Node(type="Disk", id=disk.id, values=values)


def attachment_node(attachment: DiskAttachment) -> Node:
    values: dict[str, Value] = {
        "active": attachment.active,
        "bootable": attachment.bootable,
        "interface": str(attachment.interface),
        "logical_name": attachment.logical_name or None,
        "pass_discard": attachment.pass_discard,
        "read_only": attachment.read_only,
        "uses_scsi_reservation": attachment.uses_scsi_reservation,
        "disk": reference("Disk", attachment.disk_id),
        "vm": reference("Vm", attachment.vm_id),
        "template": reference("Template", attachment.template_id),
    }
    return Node(type="DiskAttachment", id=attachment.disk_id, values=values)


def _attachments(column: str) -> Collection:
    return Collection(
        path="diskattachments",
        type="DiskAttachment",
        show=each(attachment_node),
        below=by_parent(lambda session: session.disk_attachments, column),
        key=lambda attachment: str(attachment.disk_id),
    )


ATTACHMENTS_OF_VM = replace(
    _attachments("vm_id"),
    add=changes.add_attachment,
    update=changes.update_attachment,
    remove=changes.remove_attachment,
)
ATTACHMENTS_OF_TEMPLATE = _attachments("template_id")
_ACTIONS = {"copy": changes.copy_disk, "move": changes.move_disk}
DISK_CHILDREN = (permissions_below(ObjectType.DISK), DISK_STATISTICS)
DISKS = Collection(
    path="disks",
    type="Disk",
    show=_disks,
    list=found(lambda session: session.disks),
    get=by_id(lambda session: session.disks),
    add=changes.add_disk,
    update=changes.update_disk,
    remove=changes.remove_disk,
    actions=_ACTIONS,
    searchable=True,
    children=DISK_CHILDREN,
)
DISKS_OF_STORAGE_DOMAIN = Collection(
    path="disks",
    type="Disk",
    show=_disks,
    below=by_parent(lambda session: session.disks, "storage_domain_id"),
    add=changes.add_disk,
    update=changes.update_disk,
    remove=changes.remove_disk,
    actions=_ACTIONS,
    children=DISK_CHILDREN,
)
