# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Removes a disk with all that is on it."""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks import messages
from covirt.engine.commands.disks.errors import DiskRefused
from covirt.engine.commands.disks.facts import (
    about,
    holds_state,
    lock_users,
    manager_of,
    of_disk,
    require_at_rest,
    require_in_no_drive,
    require_no_snapshots,
    require_no_template,
    require_unplugged,
    volumes_of,
)
from covirt.engine.commands.forget import forget
from covirt.engine.model.disk import Disk, DiskStatus
from covirt.engine.model.vm import VmStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDisk(Command):
    action: ClassVar = "RemoveDisk"

    disk_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        disk = session.disks.get(self.disk_id)
        start.require(Right.DELETE_DISK, of_disk(disk.id))
        start.lock(disk.id, f"disk {disk.name} is being removed")
        lock_users(start, disk.id)
        require_removable(start, disk)
        session.disks.update(replace(disk, status=DiskStatus.LOCKED))
        start.describe(f"Removing Disk {disk.name}", {disk.id, disk.storage_domain_id})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Removing the volume", self._remove)
        return None

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        disk = session.disks.get(self.disk_id)
        domain = session.storage_domains.get(disk.storage_domain_id)
        finish.tell(messages.REMOVED, about(session, disk), disk=disk.name, domain=domain.name)
        session.disks.remove(disk.id)
        forget(session, disk.id)

    def failed(self, finish: Finish, reason: str) -> None:
        """What is left of it nobody shall write to, but it can be removed again."""
        session = finish.session
        disk = session.disks.get(self.disk_id)
        domain = session.storage_domains.get(disk.storage_domain_id)
        session.disks.update(replace(disk, status=DiskStatus.ILLEGAL))
        finish.tell(messages.REMOVE_FAILED, about(session, disk), disk=disk.name, domain=domain.name, reason=reason)

    def _remove(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            disk = session.disks.get(self.disk_id)
        volumes_of(doing, disk, "remove").remove(disk)
        return None


def _require_forgotten(session: Session, disk: Disk) -> None:
    """No machine goes on from it. Raises DiskRefused."""
    for vm in session.vms.list(ListQuery(where={"status": VmStatus.SUSPENDED})):
        if disk.id in vm.facts.state_disk_ids:
            reason = f"VM {vm.name} is suspended, and goes on from it; stop it to drop its state."
            raise DiskRefused(action="remove", reason=reason)


def require_removable(start: Start, disk: Disk) -> None:
    """Raises DiskRefused, DiskInUse, ObjectLocked, NoManagerOfDomain."""
    session = start.session
    require_at_rest(disk, "remove")
    require_no_template(session, disk, "remove")
    if holds_state(disk):
        _require_forgotten(session, disk)
    require_unplugged(session, disk, "remove")
    require_in_no_drive(start, disk, "remove")
    require_no_snapshots(session, disk, "remove")
    manager_of(session, start.services.hosts, session.storage_domains.get(disk.storage_domain_id), "remove")
