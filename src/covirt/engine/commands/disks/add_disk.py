# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Adds a disk to a storage domain, and attaches it to a machine if that is wanted."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks import messages
from covirt.engine.commands.disks.attaching import check_attachment, lock_vm, plug, unplug
from covirt.engine.commands.disks.errors import BadDisk
from covirt.engine.commands.disks.facts import (
    about,
    being_made,
    choose_manager,
    manager_of,
    of_disk,
    require_room,
    volumes_on,
)
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_title
from covirt.engine.commands.storage.facts import of_domain
from covirt.engine.model.disk import Disk, DiskAttachment, DiskBackup, DiskContentType, DiskFormat, DiskStatus

OPERATOR_ID: Final = "def0000a-0000-0000-0000-def00000000b"  # oVirt's id of the role DiskOperator
_SMALLEST_BYTES: Final = 1
_LARGEST_BYTES: Final = 500 << 40
_ADDABLE: Final = (DiskContentType.DATA, DiskContentType.ISO)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDisk(Command):
    """The caller chooses the ids. ``attachment``: to a machine, once it is there."""

    action: ClassVar = "AddDisk"

    disk: Disk
    attachment: DiskAttachment | None = None

    def begin(self, start: Start) -> None:
        session, disk = start.session, self.disk
        domain = session.storage_domains.get(disk.storage_domain_id)
        start.require(Right.CREATE_DISK, of_domain(domain.id))
        check_disk(disk, action="add")
        require_room(domain, 0 if disk.sparse else disk.provisioned_size_bytes, "add")
        manager_of(session, start.services.hosts, domain, "add")
        session.disks.add(replace(disk, status=DiskStatus.LOCKED))
        give_creator(start, OPERATOR_ID, of_disk(disk.id))
        start.lock(disk.id, f"disk {disk.name} is being added")
        subjects = {disk.id, domain.id}
        if self.attachment is not None and self.attachment.vm_id is not None:
            vm = lock_vm(start, self.attachment.vm_id, disk)
            check_attachment(start, self.attachment, disk, vm)
            session.disk_attachments.add(replace(self.attachment, active=False))
            subjects.add(vm.id)
        start.describe(f"Adding Disk {disk.name}", subjects)
        start.tell(messages.ADD_BEGUN, about(session, disk), disk=disk.name)

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", self._choose)
        task_id = flow.step("Asking the host for the volume", self._ask, host_id, undo=self._remove)
        sizes = flow.step("Creating the volume", self._create, host_id, task_id)
        if self.attachment is not None and self.attachment.active:
            flow.step("Plugging it into the running machine", self._plug, undo=self._unplug)
        return sizes

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        sizes = finish.result if isinstance(finish.result, dict) else {}
        actual = int(str(sizes.get("actual") or 0))
        disk = session.disks.get(self.disk.id)
        disk = replace(disk, status=DiskStatus.OK, actual_size_bytes=actual, total_size_bytes=actual)
        session.disks.update(disk)
        finish.tell(messages.ADDED, about(session, disk), disk=disk.name)
        if self.attachment is not None and self.attachment.vm_id is not None:
            vm = session.vms.get(self.attachment.vm_id)
            session.disk_attachments.update(self.attachment)
            finish.tell(messages.ATTACHED, about(session, disk, vm), disk=disk.name, vm=vm.name)

    def failed(self, finish: Finish, reason: str) -> None:
        session = finish.session
        finish.tell(messages.ADD_FAILED, about(session, self.disk), disk=self.disk.name, reason=reason)
        session.disks.remove(self.disk.id)
        forget(session, self.disk.id)

    def _choose(self, doing: Doing) -> JsonValue:
        return choose_manager(doing, self.disk.storage_domain_id, "add")

    def _ask(self, doing: Doing, host_id: str) -> JsonValue:
        return volumes_on(doing, self.disk, host_id).begin_create(self.disk)

    def _create(self, doing: Doing, host_id: str, task_id: str) -> JsonValue:
        """A step of its own: an engine that was killed waits for the task that it has begun, and begins no second
        one, which would need the disk's space once more."""
        volumes = volumes_on(doing, self.disk, host_id)
        volumes.finish_create(self.disk, task_id)
        return {"actual": volumes.sizes(self.disk).actual}

    def _remove(self, doing: Doing, host_id: str) -> JsonValue:
        with being_made(self.disk):
            volumes_on(doing, self.disk, host_id).remove(self.disk)
        return None

    def _plug(self, doing: Doing) -> JsonValue:
        assert self.attachment is not None  # noqa: S101 - run() has looked
        plug(doing, self.attachment)
        return None

    def _unplug(self, doing: Doing) -> JsonValue:
        assert self.attachment is not None  # noqa: S101
        unplug(doing, self.attachment)
        return None


def check_disk(disk: Disk, *, action: str) -> None:
    """Raises BadName, BadDisk."""
    check_title("Disk", disk.name)
    size = disk.provisioned_size_bytes
    if not _SMALLEST_BYTES <= size <= _LARGEST_BYTES:
        raise BadDisk(action=action, reason=f"Its size has to be between 1 byte and 500 TiB, and is {size} bytes.")
    if disk.format is DiskFormat.COW and not disk.sparse:
        reason = "Disk configuration (COW Preallocated) is incompatible with the storage domain type."
        raise BadDisk(action=action, reason=reason)
    if disk.backup is DiskBackup.INCREMENTAL and disk.format is not DiskFormat.COW:
        raise BadDisk(
            action=action, reason="Incremental backup needs the format cow: only that keeps what has changed."
        )
    if disk.shareable and disk.format is not DiskFormat.RAW:
        raise BadDisk(action=action, reason="Only raw disks can be shared by machines.")
    if disk.content_type not in _ADDABLE:
        raise BadDisk(action=action, reason=f"Only data and iso can be its content type, not {disk.content_type}.")
