# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A client gets a disk to read or to write: its volume is prepared on a host, whose daemon is told a ticket."""

import uuid
from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.facts import (
    about,
    lock_users,
    manager_of,
    of_disk,
    require_in_no_drive,
    require_no_state,
    require_no_template,
    require_unplugged,
)
from covirt.engine.commands.transfers import messages
from covirt.engine.commands.transfers.errors import BadTransfer, TransferRefused
from covirt.engine.commands.transfers.facts import end, keep, now, read_both, writes
from covirt.engine.model.disk import Disk, DiskFormat, DiskStatus, ImageTransfer, TransferPhase
from covirt.engine.model.hardware import VmKind
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferDiskImage(Command):
    """``transfer``: as it shall be; its ticket is chosen by begin(), and in no parameters."""

    action: ClassVar = "TransferDiskImage"

    transfer: ImageTransfer

    def begin(self, start: Start) -> None:
        session, asked = start.session, self.transfer
        disk = session.disks.get(asked.disk_id)
        start.require(Right.EDIT_DISK_PROPERTIES, of_disk(disk.id))
        start.lock(disk.id, f"disk {disk.name} is being transferred")
        lock_users(start, disk.id)
        if writes(asked):
            require_no_template(session, disk, "upload to")
            require_in_no_drive(start, disk, "upload to")
        _check(session, disk, asked)
        domain = session.storage_domains.get(disk.storage_domain_id)
        manager = manager_of(session, start.services.hosts, domain, "transfer")
        if asked.host_id not in (None, manager):
            name = session.hosts.get(manager).name
            raise TransferRefused(reason=f"Host {name} manages Storage Domain {domain.name}; leave out the host.")
        kind = VmKind.VIRTUAL_MACHINE if writes(asked) else disk.kind  # what comes from outside no container mounts
        session.disks.update(replace(disk, status=DiskStatus.LOCKED, kind=kind))
        begun = replace(
            asked,
            host_id=manager,
            phase=TransferPhase.INITIALIZING,
            ticket_id=str(uuid.uuid4()),
            illegal_before=disk.status is DiskStatus.ILLEGAL,
        )
        session.image_transfers.add(begun)
        start.describe(f"Transferring Disk Image {disk.name}", {disk.id})
        words = {"direction": asked.direction.capitalize(), "disk": disk.name}
        start.tell(messages.BEGUN, about(session, disk), **words)

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Preparing the volume on its host", self._prepare, undo=self._give_back)
        return flow.step("Giving the ticket to its daemon", self._add_ticket, undo=self._remove_ticket)

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        transfer = session.image_transfers.get(self.transfer.id)
        host = session.hosts.get(transfer.host_id)
        address = f"[{host.address}]" if ":" in host.address else host.address
        path = f"images/{transfer.ticket_id}"
        keep(
            session,
            transfer.id,
            phase=TransferPhase.TRANSFERRING,
            transfer_url=f"https://{address}:{finish.result}/{path}",
            last_activity=now(),
        )

    def failed(self, finish: Finish, reason: str) -> None:
        session = finish.session
        disk = session.disks.find(id=self.transfer.disk_id)
        if disk is not None:  # as it was: nobody was told the ticket
            before = session.image_transfers.get(self.transfer.id).illegal_before
            session.disks.update(replace(disk, status=DiskStatus.ILLEGAL if before else DiskStatus.OK))
        end(finish, self.transfer.id, TransferPhase.FINISHED_FAILURE, messages.FAILED, reason)

    def _prepare(self, doing: Doing) -> JsonValue:
        transfer, disk, host = read_both(doing, self.transfer.id)
        url = host.prepare(disk, transfer)
        size = host.size(disk, transfer)
        with doing.services.store.write() as session:
            keep(session, transfer.id, source_url=url, size_bytes=size)
        return None

    def _give_back(self, doing: Doing) -> JsonValue:
        transfer, disk, host = read_both(doing, self.transfer.id)
        host.give_back(disk, transfer)
        return None

    def _add_ticket(self, doing: Doing) -> JsonValue:
        """The port that clients send disks to."""
        transfer, _, host = read_both(doing, self.transfer.id)
        host.add_ticket(transfer)
        return host.port()

    def _remove_ticket(self, doing: Doing) -> JsonValue:
        transfer, _, host = read_both(doing, self.transfer.id)
        host.remove_ticket(transfer)
        return None


def _check(session: Session, disk: Disk, transfer: ImageTransfer) -> None:
    """Raises BadTransfer, TransferRefused, DiskRefused, DiskInUse."""
    require_no_state(disk, "transfer")
    usable = (DiskStatus.OK, DiskStatus.ILLEGAL) if writes(transfer) else (DiskStatus.OK,)
    if disk.status not in usable:
        raise TransferRefused(reason=f"Disk {disk.name} is {disk.status}. Please try again in a few minutes.")
    if transfer.format is DiskFormat.COW and disk.format is DiskFormat.RAW:
        raise BadTransfer(reason=f"Disk {disk.name} is raw; transfer it with the format raw.")
    if writes(transfer):
        if session.container_images.find(disk.id) is not None:
            raise TransferRefused(reason=f"{disk.name} is a container image, which is imported and never written to.")
        if disk.kind is VmKind.CONTAINER:
            reason = f"{disk.name} belongs to containers, whose hosts mount what they have made themselves only."
            raise TransferRefused(reason=f"{reason} Make a new disk for what comes from outside.")
    require_unplugged(session, disk, "transfer")
