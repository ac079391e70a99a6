# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks that are there: attached to machines, changed there, and detached; plugged and unplugged where those run."""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks import messages
from covirt.engine.commands.disks.attaching import check_attachment, lock_vm, plug, unplug
from covirt.engine.commands.disks.errors import BadDisk, DiskRefused
from covirt.engine.commands.disks.facts import about, of_disk, require_at_rest, require_no_snapshots, require_ok
from covirt.engine.commands.vms.common import is_running
from covirt.engine.model.disk import Disk, DiskAttachment
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class _AttachmentCommand(Command):
    """``attachment``: as it shall be, to a machine."""

    attachment: DiskAttachment

    def _disk(self, session: Session) -> Disk:
        disk: Disk = session.disks.get(self.attachment.disk_id)
        return disk

    def _kept(self, session: Session) -> DiskAttachment:
        """As it is. Raises NoSuchObject."""
        found = session.disk_attachments.find(vm_id=self.attachment.vm_id, disk_id=self.attachment.disk_id)
        if found is None:
            session.disk_attachments.get("")
        assert found is not None  # noqa: S101 - the line above raises
        return found

    def _tell(self, finish: Finish, message: AuditMessage, **more: object) -> None:
        disk, vm = self._disk(finish.session), finish.session.vms.get(self.attachment.vm_id)
        finish.tell(message, about(finish.session, disk, vm), disk=disk.name, vm=vm.name, **more)

    def _plug(self, doing: Doing) -> JsonValue:
        plug(doing, self.attachment)
        return None

    def _unplug(self, doing: Doing) -> JsonValue:
        unplug(doing, self.attachment)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachDiskToVm(_AttachmentCommand):
    action: ClassVar = "AttachDiskToVm"

    def begin(self, start: Start) -> None:
        session = start.session
        disk = self._disk(session)
        start.require(Right.ATTACH_DISK, of_disk(disk.id))
        start.lock(disk.id, f"disk {disk.name} is being attached")
        vm = lock_vm(start, self.attachment.vm_id or "", disk)
        require_ok(disk, "attach")
        if session.container_images.find(disk.id) is not None:
            reason = f"{disk.name} is a container image; name it in the property containerImage."
            raise BadDisk(action="attach", reason=reason)
        if session.disk_attachments.find(disk_id=disk.id, vm_id=vm.id) is not None:
            raise DiskRefused(action="attach", reason=f"Disk {disk.name} is already attached to VM {vm.name}.")
        check_attachment(start, self.attachment, disk, vm)
        session.disk_attachments.add(replace(self.attachment, active=False))
        start.describe(f"Attaching Disk {disk.name} to VM {vm.name}", {disk.id, vm.id})

    def run(self, flow: Flow) -> JsonValue:
        if self.attachment.active:
            flow.step("Plugging it into the running machine", self._plug, undo=self._unplug)
        return None

    def succeeded(self, finish: Finish) -> None:
        finish.session.disk_attachments.update(self.attachment)
        self._tell(finish, messages.ATTACHED)

    def failed(self, finish: Finish, reason: str) -> None:
        self._tell(finish, messages.ATTACH_FAILED, reason=reason)
        finish.session.disk_attachments.take_off(self.attachment)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachDiskFromVm(_AttachmentCommand):
    action: ClassVar = "DetachDiskFromVm"

    def begin(self, start: Start) -> None:
        disk = self._disk(start.session)
        self._kept(start.session)
        start.lock(disk.id, f"disk {disk.name} is being detached")
        vm = lock_vm(start, self.attachment.vm_id or "", disk)
        require_at_rest(disk, "detach")  # a cancelled upload removes a disk that is nobody's
        require_no_snapshots(start.session, disk, "detach")
        start.describe(f"Detaching Disk {disk.name} from VM {vm.name}", {disk.id, vm.id})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Unplugging it from the running machine", self._unplug)
        return None

    def succeeded(self, finish: Finish) -> None:
        self._tell(finish, messages.DETACHED)
        finish.session.disk_attachments.take_off(self.attachment)

    def failed(self, finish: Finish, reason: str) -> None:
        self._tell(finish, messages.DETACH_FAILED, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateVmDisk(_AttachmentCommand):
    """How a machine has it; ``active`` plugs and unplugs."""

    action: ClassVar = "UpdateVmDisk"

    def begin(self, start: Start) -> None:
        session = start.session
        disk, before = self._disk(session), self._kept(session)
        start.lock(disk.id, f"disk {disk.name} is being changed")
        vm = lock_vm(start, self.attachment.vm_id or "", disk)
        require_ok(disk, "edit")
        check_attachment(start, self.attachment, disk, vm)
        changed = replace(self.attachment, active=before.active) != before
        if changed and before.active and is_running(vm):
            reason = f"VM {vm.name} runs with Disk {disk.name}; deactivate it first."
            raise DiskRefused(action="edit", reason=reason)
        start.describe(f"Changing Disk {disk.name} of VM {vm.name}", {disk.id, vm.id})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Changing it in the running machine", self._switch, undo=self._switch_back)
        return None

    def succeeded(self, finish: Finish) -> None:
        before = self._kept(finish.session)
        finish.session.disk_attachments.update(self.attachment)
        if before.active is self.attachment.active:
            self._tell(finish, messages.VM_DISK_UPDATED)
        else:
            self._tell(finish, messages.PLUGGED if self.attachment.active else messages.UNPLUGGED)

    def failed(self, finish: Finish, reason: str) -> None:
        message = messages.PLUG_FAILED if self.attachment.active else messages.UNPLUG_FAILED
        self._tell(finish, message, reason=reason)

    def _switch(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            before = self._kept(session)
        if before.active is self.attachment.active:
            return None
        return self._plug(doing) if self.attachment.active else self._unplug(doing)

    def _switch_back(self, doing: Doing) -> JsonValue:
        """A host that is silent may have plugged it, and nobody would know that the disk is in use."""
        with doing.services.store.read() as session:
            before = self._kept(session)
        if before.active is self.attachment.active:
            return None
        return replace(self, attachment=before)._plug(doing) if before.active else self._unplug(doing)
