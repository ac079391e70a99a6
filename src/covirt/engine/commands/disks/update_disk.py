# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes what a disk is called and how it is treated, and makes it larger, also while a machine runs with it."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks import messages
from covirt.engine.commands.disks.drives import Drives
from covirt.engine.commands.disks.errors import BadDisk, DiskRefused
from covirt.engine.commands.disks.facts import (
    about,
    attachments_of,
    lock_users,
    manager_of,
    of_disk,
    require_no_template,
    require_ok,
    require_room,
    users_of,
    volumes_of,
)
from covirt.engine.commands.names import check_title
from covirt.engine.commands.vms.common import is_running
from covirt.engine.model.disk import Disk, DiskFormat, DiskStatus
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.vm import Vm
from covirt.engine.store.session import Session

_GIB = 1 << 30
# What a user may change. All else is as it is by now, and not as it was when he asked.
_CHANGED: Final = (
    "name", "description", "provisioned_size_bytes", "shareable", "wipe_after_delete", "propagate_errors",
    "disk_profile_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateDisk(Command):
    """``disk``: as it shall be; its place, format and volume are facts."""

    action: ClassVar = "UpdateDisk"

    disk: Disk

    def begin(self, start: Start) -> None:
        session = start.session
        before = session.disks.get(self.disk.id)
        start.require(Right.EDIT_DISK_PROPERTIES, of_disk(before.id))
        start.lock(before.id, f"disk {before.name} is being changed")
        lock_users(start, before.id)
        require_ok(before, "edit")
        check_title("Disk", self.disk.name)
        self._check(session, before)
        if self._grows(before):
            require_no_template(session, before, "extend")
            self._check_growth(start, before)
        start.describe(f"Changing Disk {before.name}", {before.id})

    def run(self, flow: Flow) -> JsonValue:
        return flow.step("Making it larger", self._extend)

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        before = session.disks.get(self.disk.id)
        after = replace(before, status=DiskStatus.OK, **{name: getattr(self.disk, name) for name in _CHANGED})
        if isinstance(finish.result, dict):
            actual = int(str(finish.result.get("actual") or 0))
            after = replace(after, actual_size_bytes=actual, total_size_bytes=actual)
        session.disks.update(after)
        if self._grows(before):
            size = f"{after.provisioned_size_bytes / _GIB:g}"
            finish.tell(messages.EXTENDED, about(session, after), disk=after.name, size=size)
        finish.tell(messages.UPDATED, about(session, after), disk=after.name)

    def failed(self, finish: Finish, reason: str) -> None:
        """It may have grown already, which harms nobody: the next change finds the size that it has."""
        session = finish.session
        disk = session.disks.get(self.disk.id)
        size = f"{self.disk.provisioned_size_bytes / _GIB:g}"
        finish.tell(messages.EXTEND_FAILED, about(session, disk), disk=disk.name, size=size, reason=reason)

    def _grows(self, before: Disk) -> bool:
        return self.disk.provisioned_size_bytes > before.provisioned_size_bytes

    def _check(self, session: Session, before: Disk) -> None:
        if self.disk.provisioned_size_bytes < before.provisioned_size_bytes:
            reason = (
                f"New disk size cannot be smaller than the current one: {before.provisioned_size_bytes} bytes; disks "
                "are never made smaller."
            )
            raise BadDisk(action="edit", reason=reason)
        users = users_of(session, before.id)
        if before.shareable and not self.disk.shareable and len(users) > 1:
            reason = f"It is attached to several machines: {', '.join(vm.name for vm in users)}."
            raise DiskRefused(action="edit", reason=reason)
        if self.disk.shareable and not before.shareable:
            if before.format is not DiskFormat.RAW:
                raise DiskRefused(action="edit", reason="Only raw disks can be shared by machines.")
            if any(is_running(vm) for vm in users):
                raise DiskRefused(action="edit", reason="It is in use; stop its machine first.")

    def _check_growth(self, start: Start, before: Disk) -> None:
        session = start.session
        domain = session.storage_domains.get(before.storage_domain_id)
        more = self.disk.provisioned_size_bytes - before.provisioned_size_bytes
        require_room(domain, 0 if before.sparse else more, "edit")
        manager_of(session, start.services.hosts, domain, "edit")
        if session.container_images.find(before.id) is not None:
            raise DiskRefused(action="edit", reason="A container image has the size that it has.")
        running = _running(session, before)
        if running is not None and running.kind is VmKind.CONTAINER:
            reason = f"{running.name} is a container that runs: its volumes are extended while it is down."
            raise DiskRefused(action="edit", reason=reason)

    def _extend(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            before = session.disks.get(self.disk.id)
            vm = _running(session, before)
        if not self._grows(before):
            return None
        size = self.disk.provisioned_size_bytes
        volumes = volumes_of(doing, before, "edit")
        if vm is None or before.format is DiskFormat.RAW:
            volumes.extend(before, size)
        if vm is not None and vm.facts.host_id is not None:
            Drives(doing=doing, vm=vm, host_id=vm.facts.host_id).extend(before, size)
        return {"actual": volumes.sizes(before).actual}


def _running(session: Session, disk: Disk) -> Vm | None:
    """A machine that runs with it plugged."""
    plugged = {each.vm_id for each in attachments_of(session, disk.id) if each.active}
    return next((vm for vm in users_of(session, disk.id) if vm.id in plugged and is_running(vm)), None)
