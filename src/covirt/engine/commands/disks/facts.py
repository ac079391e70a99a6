# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What operations on disks need to know."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from covirt.engine.commands.audit import About
from covirt.engine.commands.change import Change
from covirt.engine.commands.command import Doing
from covirt.engine.commands.disks.errors import DiskInUse, DiskRefused, LowSpace, NoManagerOfDomain, StillBeingMade
from covirt.engine.commands.storage.facts import storage_of
from covirt.engine.commands.vms.common import is_running
from covirt.engine.hosts.connections import Hosts
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.disk import Disk, DiskAttachment, DiskContentType, DiskStatus
from covirt.engine.model.storage_domain import StorageDomain, StorageDomainStatus
from covirt.engine.model.vm import SnapshotType, Vm
from covirt.engine.storage.host_volumes import HostVolumes
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session
from covirt.hostapi.errors import Code

_GIB = 1 << 30
_STATES = (DiskContentType.MEMORY_DUMP_VOLUME, DiskContentType.MEMORY_METADATA_VOLUME)


def of_disk(disk_id: str) -> Subject:
    return Subject(type=ObjectType.DISK, id=disk_id)


def about(session: Session, disk: Disk, vm: Vm | None = None) -> About:
    domain = session.storage_domains.find(id=disk.storage_domain_id)
    return About(
        storage_domain_id=disk.storage_domain_id,
        data_center_id=domain.data_center_id if domain else None,
        vm_id=vm.id if vm else None,
    )


def manager_of(session: Session, hosts: Hosts, domain: StorageDomain, action: str) -> str:
    """The id of the host that works on the domain. Raises NoManagerOfDomain."""
    center = session.data_centers.find(id=domain.data_center_id) if domain.data_center_id else None
    manager = center.spm_host_id if center else None
    if manager is None or domain.status is not StorageDomainStatus.ACTIVE or not hosts.is_up(manager):
        raise NoManagerOfDomain(action=action, domain=domain.name, status=domain.status)
    return manager


def choose_manager(doing: Doing, domain_id: str, action: str) -> str:
    """The id of the host that works on the domain now. Raises NoManagerOfDomain."""
    with doing.services.store.read() as session:
        domain = session.storage_domains.get(domain_id)
        return manager_of(session, doing.services.hosts, domain, action)


def volumes_of(doing: Doing, disk: Disk, action: str) -> HostVolumes:
    """By the host that manages them now. Raises NoManagerOfDomain."""
    return volumes_on(doing, disk, choose_manager(doing, disk.storage_domain_id, action))


def volumes_on(doing: Doing, disk: Disk, host_id: str) -> HostVolumes:
    """By this host, whatever its status is: what it has begun it has to undo."""
    with doing.services.store.read() as session:
        domain = session.storage_domains.get(disk.storage_domain_id)
    return HostVolumes(storage=storage_of(doing, host_id), pool_id=domain.data_center_id or "")


@contextmanager
def being_made(disk: Disk) -> Iterator[None]:
    """Around the removal of a volume that nobody else knows: who is busy with it is making it. Raises StillBeingMade,
    which undoing waits out."""
    try:
        yield
    except HostRefused as error:
        if error.code != Code.VOLUME_BUSY:
            raise
        raise StillBeingMade(disk=disk.name, reason=error.text) from error


def require_ok(disk: Disk, action: str) -> None:
    """Raises DiskRefused."""
    require_no_state(disk, action)
    if disk.status is not DiskStatus.OK:
        raise DiskRefused(
            action=action, reason=f"Disk {disk.name} is {disk.status}. Please try again in a few minutes."
        )


def require_at_rest(disk: Disk, action: str) -> None:
    """It may be illegal, but nothing is being done with it, as by a transfer. Raises DiskRefused."""
    if disk.status is DiskStatus.LOCKED:
        raise DiskRefused(action=action, reason=f"Disk {disk.name} is locked. Please try again in a few minutes.")


def holds_state(disk: Disk) -> bool:
    return disk.content_type in _STATES


def require_no_state(disk: Disk, action: str) -> None:
    """QEMU believes what it reads there: nobody else writes to it, and no machine has it as a disk. Raises
    DiskRefused."""
    if holds_state(disk):
        raise DiskRefused(action=action, reason=f"Disk {disk.name} holds the state of a suspended virtual machine.")


def require_room(domain: StorageDomain, size_bytes: int, action: str) -> None:
    """As far as the domain's free space is known. Raises LowSpace."""
    free = domain.facts.available_bytes
    known = domain.facts.available_bytes + domain.facts.used_bytes > 0
    if known and free - size_bytes < domain.critical_space_gib * _GIB:
        raise LowSpace(action=action, domain=domain.name, free=free // _GIB)


def attachments_of(session: Session, disk_id: str) -> Sequence[DiskAttachment]:
    found: Sequence[DiskAttachment] = session.disk_attachments.list(ListQuery(where={"disk_id": disk_id}))
    return found


def require_no_template(session: Session, disk: Disk, action: str) -> None:
    """What machines are made of does not change. Raises DiskRefused."""
    ids = [each.template_id for each in attachments_of(session, disk.id) if each.template_id]
    if ids:
        names = ", ".join(sorted(each.name for each in session.templates.by_ids(ids).values()))
        raise DiskRefused(
            action=action, reason=f"Disk {disk.name} belongs to the template(s) {names}; copy it instead."
        )


def users_of(session: Session, disk_id: str) -> Sequence[Vm]:
    """The machines that it is attached to."""
    vms = session.vms.by_ids({each.vm_id for each in attachments_of(session, disk_id) if each.vm_id})
    return sorted(vms.values(), key=lambda vm: vm.name)


def lock_users(change: Change, disk_id: str) -> None:
    """None of its machines is in the middle of anything. Raises ObjectLocked."""
    for vm in users_of(change.session, disk_id):
        change.require_unlocked(vm.id)


def require_no_snapshots(session: Session, disk: Disk, action: str) -> None:
    """Raises DiskRefused while snapshots of its machines hold volumes of it."""
    users = {"vm_id": tuple(vm.id for vm in users_of(session, disk.id)), "type": SnapshotType.REGULAR}
    holders = [
        snapshot.description
        for snapshot in (session.snapshots.list(ListQuery(where=users)) if users["vm_id"] else ())
        if any(each.disk_id == disk.id for each in snapshot.disks)
    ]
    if holders:
        reason = f"These snapshots hold what Disk {disk.name} was; remove them first: {', '.join(sorted(holders))}."
        raise DiskRefused(action=action, reason=reason)


def require_unplugged(session: Session, disk: Disk, action: str) -> None:
    """Raises DiskInUse while a machine that runs has it."""
    plugged = {each.vm_id for each in attachments_of(session, disk.id) if each.active}
    running = [vm.name for vm in users_of(session, disk.id) if vm.id in plugged and is_running(vm)]
    if running:
        raise DiskInUse(action=action, disk=disk.name, users=", ".join(running))


def require_in_no_drive(change: Change, disk: Disk, action: str) -> None:
    """Raises DiskInUse while a machine that runs has it as a disc, ObjectLocked while one that would is in the middle
    of something."""
    cdroms = change.session.cdroms
    seen = {drive.vm_id for drive in cdroms.list(ListQuery(where={"current_file_id": disk.id}))}
    wanted = {drive.vm_id for drive in cdroms.list(ListQuery(where={"file_id": disk.id}))}
    vms = change.session.vms.by_ids({vm_id for vm_id in seen | wanted if vm_id})
    for vm_id in vms:
        change.require_unlocked(vm_id)
    running = sorted(vm.name for vm in vms.values() if vm.id in seen and is_running(vm))
    if running:
        raise DiskInUse(action=action, disk=disk.name, users=", ".join(running))
