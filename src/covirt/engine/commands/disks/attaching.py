# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What attaching a disk to a machine looks at, and how it is plugged where the machine runs."""

from dataclasses import replace

from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Doing, Start
from covirt.engine.commands.disks.drives import Drives, container_place
from covirt.engine.commands.disks.errors import AlreadyAttached, BadDisk, BootDiskThere, DiskOfOtherKind, DiskRefused
from covirt.engine.commands.disks.facts import require_no_template, users_of
from covirt.engine.commands.vms.common import is_running, subject_of
from covirt.engine.commands.vms.errors import VmInStatus
from covirt.engine.model.disk import Disk, DiskAttachment, DiskContentType, DiskFormat
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.vm import Vm, VmStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session
from covirt.engine.vms.domain import BUSES
from covirt.engine.vms.kinds import KIND_NAMES

_CHANGEABLE = (VmStatus.UP, VmStatus.PAUSED, VmStatus.POWERING_UP)


def lock_vm(start: Start, vm_id: str, disk: Disk) -> Vm:
    """Raises MissingPermit, ObjectLocked, VmInStatus."""
    vm = start.session.vms.get(vm_id)
    start.require(Right.CONFIGURE_VM_STORAGE, subject_of(vm.id))
    start.lock(vm.id, f"the disks of VM {vm.name} are being changed")
    if is_running(vm) and vm.facts.status not in _CHANGEABLE:
        raise VmInStatus(action=f"change disk {disk.name} of", status=vm.facts.status)
    return vm


def check_attachment(start: Start, attachment: DiskAttachment, disk: Disk, vm: Vm) -> None:
    """Before it is written down, or changed; from then on the disk is of the machine's kind. Raises what says why it
    cannot be."""
    session = start.session
    _check_words(attachment, disk, vm)
    require_no_template(session, disk, "attach")
    others = [user for user in users_of(session, disk.id) if user.id != vm.id]
    if others and not disk.shareable:
        raise AlreadyAttached(disk=disk.name, users=", ".join(user.name for user in others))
    if disk.kind not in (None, vm.kind):
        raise DiskOfOtherKind(disk=disk.name, kind=KIND_NAMES[disk.kind], vm=vm.name)
    if attachment.bootable:
        _check_boot(session, attachment, vm)
    if attachment.active and is_running(vm):
        container_place(vm, disk)
    domain = session.storage_domains.get(disk.storage_domain_id)
    center = session.clusters.get(vm.cluster_id).data_center_id
    if domain.data_center_id != center:
        reason = f"Storage Domain {domain.name} is not of the Data Center of VM {vm.name}."
        raise DiskRefused(action="attach", reason=reason)
    session.disks.update(replace(session.disks.get(disk.id), kind=vm.kind))


def plug(doing: Doing, attachment: DiskAttachment) -> None:
    """Where its machine runs; otherwise it has it at its next start."""
    drives = _drives(doing, attachment)
    if drives is not None:
        drives.plug(attachment)


def unplug(doing: Doing, attachment: DiskAttachment) -> None:
    drives = _drives(doing, attachment)
    if drives is not None:
        drives.unplug(attachment)


def _drives(doing: Doing, attachment: DiskAttachment) -> Drives | None:
    with doing.services.store.read() as session:
        vm = session.vms.get(attachment.vm_id)
    return None if vm.facts.host_id is None else Drives(doing=doing, vm=vm, host_id=vm.facts.host_id)


def _check_words(attachment: DiskAttachment, disk: Disk, vm: Vm) -> None:
    if attachment.interface not in BUSES:
        raise BadDisk(
            action="attach", reason=f"covirt has no disks of the interface {attachment.interface}; use virtio."
        )
    if attachment.uses_scsi_reservation:
        raise BadDisk(action="attach", reason="SCSI reservations need a LUN, and covirt has none.")
    if vm.kind is not VmKind.CONTAINER:
        return
    if disk.format is not DiskFormat.RAW or disk.content_type is not DiskContentType.DATA:
        reason = f"{vm.name} is a container, whose disks are raw and of data; {disk.name} is not."
        raise BadDisk(action="attach", reason=reason)
    if attachment.bootable:
        raise BadDisk(action="attach", reason="A container boots from its image, not from a disk.")


def _check_boot(session: Session, attachment: DiskAttachment, vm: Vm) -> None:
    for other in session.disk_attachments.list(ListQuery(where={"vm_id": vm.id})):
        if other.bootable and other.disk_id != attachment.disk_id:
            raise BootDiskThere(vm=vm.name, disk=session.disks.get(other.disk_id).name)
