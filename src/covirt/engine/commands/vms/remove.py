# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Removing a machine, and as oVirt does the disks that are its alone."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Error
from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks import messages as disk_messages
from covirt.engine.commands.disks.facts import about as about_disk
from covirt.engine.commands.disks.facts import (
    attachments_of,
    manager_of,
    require_at_rest,
    require_ok,
    volumes_of,
)
from covirt.engine.commands.forget import forget
from covirt.engine.commands.snapshots.facts import require_no_preview
from covirt.engine.commands.vms.common import about, require_down, subject_of
from covirt.engine.commands.vms.errors import DeleteProtected, SnapshotsKeepDisks
from covirt.engine.commands.vms.messages import DISKS_LEFT, REMOVED
from covirt.engine.commands.vms.run import destroy_on_host
from covirt.engine.model.disk import Disk, DiskStatus
from covirt.engine.model.vm import SnapshotType, Vm
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveVm(Command):
    """``detach_only``: its disks stay. What others have, and what they may share, stays in any case."""

    action: ClassVar = "RemoveVm"

    vm_id: str
    detach_only: bool = False

    def begin(self, start: Start) -> None:
        session = start.session
        start.require(Right.DELETE_VM, subject_of(self.vm_id))
        vm = session.vms.get(self.vm_id)
        start.lock(vm.id, f"VM {vm.name} is being removed")
        require_down(vm, "remove")
        require_no_preview(session, vm, "remove VM")
        if vm.hardware.delete_protected:
            raise DeleteProtected
        if self.detach_only:
            _require_no_snapshots(session, vm)
        disks = self._disks(session)
        self._check_staying(session, {disk.id for disk in disks})
        for disk in disks:
            start.lock(disk.id, f"disk {disk.name} is being removed with VM {vm.name}")
            if disk.status is not DiskStatus.ILLEGAL:
                require_ok(disk, "remove")
            domain = session.storage_domains.get(disk.storage_domain_id)
            manager_of(session, start.services.hosts, domain, "remove")
            session.disks.update(replace(disk, status=DiskStatus.LOCKED))
        session.vms.update(replace(vm, image_locked=True))
        start.describe(f"Removing VM {vm.name}", {vm.id, *(disk.id for disk in disks)})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Clearing its host", self._clear)
        disk_ids = flow.step("Looking which disks go with it", self._look)
        for disk_id in disk_ids if isinstance(disk_ids, list) else []:
            flow.step("Removing a disk", self._remove, disk_id)
        return None

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        vm = session.vms.get(self.vm_id)
        left = ", ".join(disk.name for disk in self._disks(session))
        session.vms.remove(vm.id)
        forget(session, vm.id)
        if left:
            finish.tell(DISKS_LEFT, about(vm), vm=vm.name, disks=left)
        else:
            finish.tell(REMOVED, about(vm), vm=vm.name)

    def failed(self, finish: Finish, reason: str) -> None:
        """By a bug only. Nobody knows which of its disks are whole."""
        del reason
        session = finish.session
        session.vms.update(replace(session.vms.get(self.vm_id), image_locked=False))
        for disk in self._disks(session):
            session.disks.update(replace(disk, status=DiskStatus.ILLEGAL))

    def _check_staying(self, session: Session, going: Collection[str]) -> None:
        """Those that lose their machine and stay. Raises DiskRefused."""
        attached = session.disk_attachments.list(ListQuery(where={"vm_id": self.vm_id}))
        for disk in session.disks.by_ids({each.disk_id for each in attached} - set(going)).values():
            require_at_rest(disk, "detach")

    def _disks(self, session: Session) -> list[Disk]:
        """That go with it."""
        if self.detach_only:
            return []
        ids = {each.disk_id for each in session.disk_attachments.list(ListQuery(where={"vm_id": self.vm_id}))}
        images = session.container_images.by_ids(ids)
        disks = (disk for disk in session.disks.by_ids(ids).values() if not disk.shareable and disk.id not in images)
        return sorted((disk for disk in disks if len(attachments_of(session, disk.id)) == 1), key=lambda d: d.name)

    def _clear(self, doing: Doing) -> JsonValue:
        """Of what a container that has ended left there for its log. A host that is away keeps that."""
        with doing.services.store.read() as session:
            host_id = session.vms.get(self.vm_id).facts.log_host_id
        if host_id is not None:
            try:
                destroy_on_host(doing, host_id, self.vm_id)
            except Error as error:
                log.warning("A log stays on a host vm=%s host=%s reason=%s", self.vm_id, host_id, error)
        return None

    def _look(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            return [disk.id for disk in self._disks(session)]

    @staticmethod
    def _remove(doing: Doing, disk_id: str) -> JsonValue:
        """One that cannot be removed is left without a machine, and can be removed again."""
        with doing.services.store.read() as session:
            disk = session.disks.find(id=disk_id)
        if disk is None:  # this step was cut short at its end
            return None
        failure: Error | None = None
        try:
            volumes_of(doing, disk, "remove").remove(disk)
        except Error as error:
            log.warning("A disk of a machine that goes cannot be removed disk=%s reason=%s", disk_id, error)
            failure = error
        with doing.services.store.change() as session:
            domain = session.storage_domains.get(disk.storage_domain_id)
            about_it, words = about_disk(session, disk), {"disk": disk.name, "domain": domain.name}
            if failure is None:
                session.disks.remove(disk.id)
                forget(session, disk.id)
            else:
                session.disks.update(replace(disk, status=DiskStatus.ILLEGAL))
        if failure is None:
            doing.tell(disk_messages.REMOVED, about_it, **words)
        else:
            doing.tell(disk_messages.REMOVE_FAILED, about_it, **words, reason=failure)
        return None


def _require_no_snapshots(session: Session, vm: Vm) -> None:
    """Without it nobody would know what the volumes of its disks are. Raises SnapshotsKeepDisks."""
    where = {"vm_id": vm.id, "type": SnapshotType.REGULAR}
    names = sorted(each.description for each in session.snapshots.list(ListQuery(where=where)) if each.disks)
    if names:
        raise SnapshotsKeepDisks(snapshots=", ".join(names))
