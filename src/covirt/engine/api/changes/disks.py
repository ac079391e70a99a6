# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of disks, and of how machines have them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.common.errors import InvalidRequest
from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import has, refuse_set, seen, told, told_word
from covirt.engine.api.changes.copies import ABSENT_OF_DISKS, changed_copy, profile_on
from covirt.engine.api.changes.running import ran
from covirt.engine.api.errors import Incomplete
from covirt.engine.api.node import Body
from covirt.engine.api.params import flag
from covirt.engine.api.reading import items, referred, referred_object, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.api.resources.values import reference
from covirt.engine.commands.disks.add_disk import AddDisk
from covirt.engine.commands.disks.attach import AttachDiskToVm, DetachDiskFromVm, UpdateVmDisk
from covirt.engine.commands.disks.copy_disk import CopyDisk
from covirt.engine.commands.disks.errors import BadDisk, DiskRefused
from covirt.engine.commands.disks.move_disk import MoveDisk
from covirt.engine.commands.disks.remove_disk import RemoveDisk
from covirt.engine.commands.disks.update_disk import UpdateDisk
from covirt.engine.commands.images.remove_image import RemoveContainerImage
from covirt.engine.model.disk import Disk, DiskAttachment, DiskFormat, DiskInterface
from covirt.engine.model.storage_domain import StorageDomain, StorageDomainStatus, StorageDomainType
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

_FACTS: Final = ("format", "sparse", "content_type", "backup")


class NoStorageDomain(InvalidRequest):
    template = (
        "Cannot add Virtual Disk. Give the Storage Domain that it shall lie on (storage_domains.storage_domain by "
        "name or id): {reason}."
    )


def add_disk(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST disks, and POST storagedomains/ID/disks."""
    disk = _new_disk(call, body, ids[-1] if ids else None)
    return ran(call, AddDisk(disk=disk), id=disk.id)


def update_disk(call: Call, ids: tuple[str, ...], body: Body) -> None:
    """PUT disks/ID."""
    call.run(UpdateDisk(disk=_changed(call.session, call.session.disks.get(ids[-1]), body)))


def copy_disk(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST disks/ID/copy: to a storage domain, which may be its own; ``disk`` says what shall be different."""
    source: Disk = call.session.disks.get(ids[-1])
    refuse_set(body, quota="quotas")
    require_fields("Action", body, "copy", "storage_domain.id|name")
    domain = _target(call, body)
    given = body.get("disk")
    wanted: Body = given if isinstance(given, dict) else {}
    copied = replace(
        changed_copy(source, wanted, domain, profile_on(call.session, body, domain)),
        id=call.new_id("copied disk"),
        image_id=call.new_id("copied volume"),
        shareable=False,
        created_at=datetime.now(UTC),
    )
    done = ran(call, CopyDisk(source_id=source.id, disk=copied))
    return replace(done, values={"disk": reference("Disk", copied.id)})


def move_disk(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST disks/ID/move: to another storage domain of the data center."""
    disk: Disk = call.session.disks.get(ids[-1])
    refuse_set(body, quota="quotas")
    require_fields("Action", body, "move", "storage_domain.id|name")
    domain = _target(call, body)
    command = MoveDisk(
        disk_id=disk.id,
        from_id=disk.storage_domain_id,
        storage_domain_id=domain.id,
        disk_profile_id=profile_on(call.session, body, domain),
    )
    return ran(call, command)


def _target(call: Call, body: Body) -> StorageDomain:
    found: StorageDomain = seen(call, call.session.storage_domains, body["storage_domain"], "storage_domain")
    return found


def remove_disk(call: Call, ids: tuple[str, ...]) -> None:
    """DELETE disks/ID; a container image is removed as one."""
    image = call.session.container_images.find(ids[-1])
    call.run(RemoveDisk(disk_id=ids[-1]) if image is None else RemoveContainerImage(disk_id=ids[-1]))


def add_attachment(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/diskattachments: of a disk that is there, or of a new one."""
    require_fields("DiskAttachment", body, "add", "disk", "interface")
    given = body["disk"]
    if not isinstance(given, dict):
        raise Incomplete(type="DiskAttachment", names="disk", action="add")
    there = _existing(call, given)
    if there is not None:
        attachment = _attachment(DiskAttachment(disk_id=there.id, vm_id=ids[-1], active=True), body)
        return ran(call, AttachDiskToVm(attachment=attachment), id=there.id)
    disk = _new_disk(call, given, None, vm_id=ids[-1])
    attachment = _attachment(DiskAttachment(disk_id=disk.id, vm_id=ids[-1], active=True), body)
    return ran(call, AddDisk(disk=disk, attachment=attachment), id=disk.id)


def update_attachment(call: Call, ids: tuple[str, ...], body: Body) -> None:
    """PUT vms/ID/diskattachments/ID, with what shall change of the disk inside."""
    before = _found(call.session, ids)
    after = _attachment(before, body)
    given = body.get("disk")
    disk = call.session.disks.get(before.disk_id)
    changed = _changed(call.session, disk, given) if isinstance(given, dict) else disk
    if changed != disk:
        call.run(UpdateDisk(disk=changed))
    if after != before or changed == disk:
        call.run(UpdateVmDisk(attachment=after))


def remove_attachment(call: Call, ids: tuple[str, ...]) -> None:
    """DELETE vms/ID/diskattachments/ID; with detach_only=false the disk is removed, too."""
    attachment = _found(call.session, ids)
    keep = flag(call.params.others.get("detach_only", "true"))
    if keep:
        call.run(DetachDiskFromVm(attachment=attachment))
    else:
        remove_disk(call, (attachment.disk_id,))


def _existing(call: Call, given: Body) -> Disk | None:
    """The one that a body refers to: by its id, or by its name where it says nothing else of it."""
    identifier = str(given.get("id") or "").lower()
    if identifier:
        found = call.session.disks.find(id=identifier)
        if found is not None or not has(given, "provisioned_size"):
            return call.session.disks.get_visible(identifier, call.viewer)
        return None
    if has(given, "provisioned_size"):
        return None
    disk: Disk = referred_object(call.session.disks, _by_name(given), "disk")
    return call.session.disks.get_visible(disk.id, call.viewer)


def _by_name(given: Body) -> Body:
    return {"name": given["alias"]} if "alias" in given and "name" not in given else given


def _new_disk(call: Call, body: Body, domain_id: str | None, vm_id: str | None = None) -> Disk:
    session = call.session
    refuse_set(body, **ABSENT_OF_DISKS)
    require_fields("Disk", body, "add", "provisioned_size", "format")
    domain = _domain(session, body, domain_id, vm_id)
    image_format = told_word(body, "format", DiskFormat.RAW)
    for name in ("id", "image_id"):  # whoever could choose them would get volumes that somebody else has left there
        if body.get(name):
            raise BadDisk(action="add", reason=f"The engine chooses the {name} of a new disk; leave it out.")
    identifier = call.new_id("disk")
    disk = Disk(
        id=identifier,
        name=f"disk-{identifier[:8]}",
        image_id=call.new_id("volume"),
        storage_domain_id=domain.id,
        format=image_format,
        sparse=told(body, "sparse", True),
        provisioned_size_bytes=0,
        initial_size_bytes=told(body, "initial_size", None),
        qcow_version="qcow2_v3" if image_format is DiskFormat.COW else "",
        wipe_after_delete=domain.wipe_after_delete,
        disk_profile_id=profile_on(session, body, domain),
        created_at=datetime.now(UTC),
    )
    disk = replace(
        disk,
        content_type=told_word(body, "content_type", disk.content_type),
        backup=told_word(body, "backup", disk.backup),
    )
    return _described(disk, body)


def _described(disk: Disk, body: Body) -> Disk:
    return replace(
        disk,
        name=told(body, "alias", told(body, "name", disk.name)),
        description=told(body, "description", disk.description),
        provisioned_size_bytes=told(body, "provisioned_size", disk.provisioned_size_bytes),
        shareable=told(body, "shareable", disk.shareable),
        wipe_after_delete=told(body, "wipe_after_delete", disk.wipe_after_delete),
        propagate_errors=told(body, "propagate_errors", disk.propagate_errors),
    )


def _changed(session: Session, disk: Disk, body: Body) -> Disk:
    """Raises DiskRefused for what is a fact of the disk. Clients send those as they were."""
    refuse_set(body, **ABSENT_OF_DISKS)
    for name in _FACTS:
        given = body.get(name)
        if given is not None and str(given).lower() != str(getattr(disk, name)).lower():
            raise DiskRefused(action="edit", reason=f"The {name} of a disk that is there cannot be changed.")
    domain = session.storage_domains.get(disk.storage_domain_id)
    profile = profile_on(session, body, domain) if has(body, "disk_profile") else disk.disk_profile_id
    return replace(_described(disk, body), disk_profile_id=profile)


def _domain(session: Session, body: Body, domain_id: str | None, vm_id: str | None) -> StorageDomain:
    """The one in the path or in the body; else the only one that there is to choose."""
    if domain_id is not None:
        above: StorageDomain = session.storage_domains.get(domain_id)
        return above
    named = items(body, "storage_domains")
    if named:
        found: StorageDomain = referred_object(session.storage_domains, named[0], "storage_domain")
        return found
    single: StorageDomain | None = referred(session.storage_domains, body, "storage_domain")
    if single is not None:
        return single
    where: dict[str, object] = {"status": (StorageDomainStatus.ACTIVE,), "type": (StorageDomainType.DATA,)}
    if vm_id is not None:
        where["data_center_id"] = session.clusters.get(session.vms.get(vm_id).cluster_id).data_center_id
    choice = session.storage_domains.list(ListQuery(where=where, maximum=2))
    if len(choice) != 1:
        raise NoStorageDomain(reason="there are several" if choice else "there is no active one")
    only: StorageDomain = choice[0]
    return only


def _attachment(before: DiskAttachment, body: Body) -> DiskAttachment:
    return replace(
        before,
        interface=told_word(body, "interface", before.interface or DiskInterface.VIRTIO),
        active=told(body, "active", before.active),
        bootable=told(body, "bootable", before.bootable),
        read_only=told(body, "read_only", before.read_only),
        pass_discard=told(body, "pass_discard", before.pass_discard),
        uses_scsi_reservation=told(body, "uses_scsi_reservation", before.uses_scsi_reservation),
        logical_name=told(body, "logical_name", before.logical_name),
    )


def _found(session: Session, ids: tuple[str, ...]) -> DiskAttachment:
    found = session.disk_attachments.find(vm_id=ids[-2], disk_id=ids[-1])
    if found is None:
        return session.disk_attachments.get(ids[-1])
    return found
