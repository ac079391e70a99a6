# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What operations on snapshots have in common: the machine and its disks are theirs until the end."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from covirt.common.errors import Error, Unavailable
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Doing, Finish, Start
from covirt.engine.commands.disks.facts import about as about_disk
from covirt.engine.commands.disks.facts import being_made, manager_of, require_ok, require_room, volumes_on
from covirt.engine.commands.snapshots import messages
from covirt.engine.commands.snapshots.errors import InPreview, NoSpaceToMerge, SnapshotRefused
from covirt.engine.commands.snapshots.live import require_settled
from covirt.engine.commands.vms.common import about, is_running, require_down, subject_of
from covirt.engine.commands.vms.errors import VmInStatus
from covirt.engine.model.disk import Disk, DiskContentType, DiskFormat, DiskInterface, DiskStatus
from covirt.engine.model.vm import (
    DiskThen,
    Snapshot,
    SnapshotDisk,
    SnapshotStatus,
    SnapshotType,
    Vm,
    VmStatus,
)
from covirt.engine.storage.host_chains import HostChain
from covirt.engine.storage.host_jobs import job_of
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session
from covirt.engine.vms.errors import NotForThisKind
from covirt.engine.vms.kinds import KIND_NAMES, NO_SNAPSHOTS

log = logging.getLogger(__name__)

_MIB: Final = 1 << 20
_PATIENCE_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 2.0
_EMPTY_BYTES: Final = _MIB  # of a qcow2 volume that holds nothing yet


def begin_on(
    start: Start,
    vm_id: str,
    action: str,
    doing: str,
    *,
    live: bool = False,
    beside: bool = False,
    ends_preview: bool = False,
) -> Vm:
    """Lock the machine, as in "VM web is having ...". ``live``: it may run; ``beside``: and be stopped meanwhile, for
    it is not locked then, and only its locked disks keep it from being started. Raises what says why nothing can be
    done to its snapshots."""
    start.require(Right.MANIPULATE_VM_SNAPSHOTS, subject_of(vm_id))
    vm: Vm = start.session.vms.get(vm_id)
    if vm.kind in NO_SNAPSHOTS:
        kind = KIND_NAMES[vm.kind]
        raise NotForThisKind(action=f"{action} a snapshot of", name=vm.name, kind=kind, reason=NO_SNAPSHOTS[vm.kind])
    if beside and is_running(vm):
        start.require_unlocked(vm.id)
    else:
        start.lock(vm.id, f"a snapshot of VM {vm.name} is being {doing}")
    if not ends_preview:
        require_no_preview(start.session, vm, f"{action} Snapshot")
    if vm.facts.status is VmStatus.SUSPENDED:  # its memory knows its disks as they are
        raise VmInStatus(action=f"{action} a snapshot of", status=vm.facts.status)
    if live and is_running(vm):
        require_settled(vm, f"{action} a snapshot of")
        return vm
    require_down(vm, f"{action} a snapshot of")
    start.session.vms.update(replace(vm, image_locked=True))
    return vm


def previewed(session: Session, vm_id: str) -> Snapshot | None:
    """The machine's snapshot that its disks are made of for a while."""
    return session.snapshots.find(vm_id=vm_id, status=SnapshotStatus.IN_PREVIEW)


def require_no_preview(session: Session, vm: Vm, action: str) -> None:
    """Raises InPreview."""
    found = previewed(session, vm.id)
    if found is not None:
        raise InPreview(action=action, vm=vm.name, snapshot=found.description)


def require_whole(snapshot: Snapshot, action: str) -> None:
    """Raises SnapshotRefused."""
    if any(each.then is not DiskThen.WHOLE for each in snapshot.disks):
        reason = f"The removal of {snapshot.description} had begun, and has failed; remove it again."
        raise SnapshotRefused(action=action, reason=reason)


def write_disks(session: Session, volumes: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    """What the disks are now, by their ids: volumes that build on others, and what guests see of them in bytes, where
    that changes."""
    for disk in session.disks.by_ids(volumes).values():
        session.disks.update(
            replace(
                disk,
                image_id=volumes[disk.id],
                format=DiskFormat.COW,
                sparse=True,
                qcow_version="qcow2_v3",
                provisioned_size_bytes=sizes.get(disk.id, disk.provisioned_size_bytes),
            )
        )


def forget_later(session: Session, vm_id: str, gone: Collection[str]) -> None:
    """The volumes go, and with them the machine's snapshots that have no others."""
    for other in session.snapshots.list(ListQuery(where={"vm_id": vm_id, "type": SnapshotType.REGULAR})):
        left = tuple(each for each in other.disks if each.image_id not in gone)
        if left == other.disks:
            continue
        if left:
            session.snapshots.update(replace(other, disks=left))
        else:
            session.snapshots.remove(other.id)


def lock_disks(start: Start, disks: Iterable[Disk], doing: str, vm: Vm) -> None:
    session = start.session
    for disk in disks:
        start.lock(disk.id, f"a snapshot of VM {vm.name} with disk {disk.name} is being {doing}")
        require_ok(disk, "edit")
        manager_of(session, start.services.hosts, session.storage_domains.get(disk.storage_domain_id), "edit")
        session.disks.update(replace(disk, status=DiskStatus.LOCKED))


def require_rooms(session: Session, disks: Iterable[Disk], action: str) -> None:
    """For new volumes, which are empty. Raises LowSpace."""
    for domain_id, count in Counter(disk.storage_domain_id for disk in disks).items():
        require_room(session.storage_domains.get(domain_id), count * _EMPTY_BYTES, action)


def unlock(session: Session, vm_id: str, disk_ids: Iterable[str]) -> None:
    session.vms.update(replace(session.vms.get(vm_id), image_locked=False))
    for disk in session.disks.by_ids(disk_ids).values():
        session.disks.update(replace(disk, status=DiskStatus.OK))


def disk_then(disk: Disk, *, interface: DiskInterface, bootable: bool) -> SnapshotDisk:
    """What the disk is now, for when it is something else."""
    return SnapshotDisk(
        disk_id=disk.id,
        image_id=disk.image_id,
        interface=interface,
        bootable=bootable,
        format=disk.format,
        provisioned_size_bytes=disk.provisioned_size_bytes,
    )


def disks_of_vm(session: Session, vm_id: str) -> Sequence[tuple[Disk, SnapshotDisk]]:
    """That snapshots hold: its data, which nobody else has."""
    attached = session.disk_attachments.list(ListQuery(where={"vm_id": vm_id}))
    disks = session.disks.by_ids({each.disk_id for each in attached})
    return [
        (disk, disk_then(disk, interface=each.interface, bootable=each.bootable))
        for each in sorted(attached, key=lambda each: str(each.disk_id))
        if (disk := disks[each.disk_id]).content_type is DiskContentType.DATA and not disk.shareable
    ]  # fmt: skip


def begin_with(start: Start, snapshot_id: str, action: str, doing: str, *, live: bool = False) -> Snapshot:
    """Of one that is there; ``live``: its machine may run, and be stopped meanwhile. Raises SnapshotRefused, and what
    begin_on raises."""
    session = start.session
    snapshot: Snapshot = session.snapshots.get(snapshot_id)
    vm = begin_on(start, snapshot.vm_id, action, doing, live=live, beside=live)
    if snapshot.type is not SnapshotType.REGULAR:
        raise SnapshotRefused(action=action, reason=f"The {snapshot.type} one is what VM {vm.name} is now.")
    if snapshot.status is not SnapshotStatus.OK:
        raise SnapshotRefused(action=action, reason=f"Its status is {snapshot.status}.")
    lock_disks(start, session.disks.by_ids({each.disk_id for each in snapshot.disks}).values(), doing, vm)
    session.snapshots.update(replace(snapshot, status=SnapshotStatus.LOCKED))
    subjects = {vm.id, *(each.disk_id for each in snapshot.disks)}
    start.describe(f"{action.capitalize()} Snapshot {snapshot.description} of VM {vm.name}", subjects)
    return snapshot


def tell_of(told: Start | Finish, message: AuditMessage, snapshot: Snapshot, **words: object) -> None:
    vm = told.session.vms.get(snapshot.vm_id)
    told.tell(message, about(vm), snapshot=snapshot.description, vm=vm.name, **words)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnHost:
    """What steps of all operations on snapshots ask for."""

    doing: Doing
    snapshot_id: str

    def snapshot(self) -> Snapshot:
        with self.doing.services.store.read() as session:
            found: Snapshot = session.snapshots.get(self.snapshot_id)
            return found

    def disk(self, disk_id: str) -> Disk:
        with self.doing.services.store.read() as session:
            found: Disk = session.disks.get(disk_id)
            return found

    def then(self, disk_id: str) -> SnapshotDisk:
        return next(each for each in self.snapshot().disks if each.disk_id == disk_id)

    def choose(self, disk_ids: Sequence[str]) -> str:
        """The host that manages the storage of all; empty where there is nothing to do."""
        host_id = ""
        with self.doing.services.store.read() as session:
            for disk in session.disks.by_ids(disk_ids).values():
                domain = session.storage_domains.get(disk.storage_domain_id)
                host_id = manager_of(session, self.doing.services.hosts, domain, "edit")
        return host_id

    def require_space(self, disk: Disk, size_bytes: int) -> None:
        """Whatever the domain's limits say: what is done makes room in the end. Raises NoSpaceToMerge."""
        with self.doing.services.store.read() as session:
            domain = session.storage_domains.get(disk.storage_domain_id)
        if domain.facts.available_bytes + domain.facts.used_bytes and domain.facts.available_bytes < size_bytes:
            raise NoSpaceToMerge(domain=domain.name, disk=disk.name, needed=-(-size_bytes // _MIB))

    def chain(self, disk_id: str, host_id: str) -> HostChain:
        disk = self.disk(disk_id)
        return HostChain(volumes=volumes_on(self.doing, disk, host_id), disk=disk)

    def create_above(self, disk_id: str, host_id: str) -> int:
        """A new volume of a disk that builds on what it was; the bytes that guests see."""
        chain, volume_id = self.chain(disk_id, host_id), job_of(self.doing.job_id, disk_id)
        chain.create(volume_id, parent_id=self.then(disk_id).image_id)
        return chain.facts(volume_id).capacity_bytes

    def take_back(self, disk_id: str, host_id: str, volume_id: str) -> None:
        """A volume that this operation has made, unless it is the disk by now."""
        chain = self.chain(disk_id, host_id)
        if chain.disk.image_id == volume_id:
            return
        with being_made(chain.disk):
            chain.delete(volume_id)

    def delete(self, disk_id: str, host_id: str, volume_id: str) -> None:
        """A volume that no snapshot needs any more. A host that is away is waited for, but not for ever; what cannot
        be deleted goes with the disk, and is told."""
        chain, waited = self.chain(disk_id, host_id), 0.0
        while True:
            try:
                return chain.delete(volume_id)
            except Error as error:
                if not isinstance(error, Unavailable) or waited >= _PATIENCE_SECONDS:
                    return self._leave(chain.disk, volume_id, error)
            self.doing.pause(_PAUSE_SECONDS)
            waited += _PAUSE_SECONDS

    def _leave(self, disk: Disk, volume_id: str, error: Error) -> None:
        log.warning("A volume is left disk=%s volume=%s reason=%s", disk.id, volume_id, error)
        with self.doing.services.store.read() as session:
            told = about_disk(session, disk)
        self.doing.tell(messages.LEFTOVERS, told, disk=disk.name, reason=error)
