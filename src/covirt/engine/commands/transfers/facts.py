# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What operations on transfers need to know."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.command import Doing, Finish
from covirt.engine.commands.disks.facts import about
from covirt.engine.commands.transfers import messages
from covirt.engine.commands.transfers.errors import TransferRefused
from covirt.engine.model.disk import Disk, DiskStatus, ImageTransfer, TransferDirection, TransferPhase
from covirt.engine.storage.host_transfers import HostTransfers
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

# A client may be at it, or may go on.
OPEN: Final = (TransferPhase.TRANSFERRING, TransferPhase.PAUSED_SYSTEM, TransferPhase.PAUSED_USER)
ENDED: Final = (
    TransferPhase.FINISHED_SUCCESS,
    TransferPhase.FINISHED_FAILURE,
    TransferPhase.FINISHED_CLEANUP,
    TransferPhase.CANCELLED_SYSTEM,
    TransferPhase.CANCELLED_USER,
)

# Its host is asked for something, or may be.
GOING: Final = tuple(phase for phase in TransferPhase if phase not in ENDED)


def writes(transfer: ImageTransfer) -> bool:
    return transfer.direction is TransferDirection.UPLOAD


def read_both(doing: Doing, transfer_id: str) -> tuple[ImageTransfer, Disk, HostTransfers]:
    """With what their host can be asked for. Raises NoSuchObject, TransferRefused for one without a host."""
    with doing.services.store.read() as session:
        transfer = session.image_transfers.get(transfer_id)
        disk = session.disks.get(transfer.disk_id)
        domain = session.storage_domains.get(disk.storage_domain_id)
    if transfer.host_id is None:
        raise TransferRefused(reason="Its host was removed.")
    asked = HostTransfers(
        hosts=doing.services.hosts,
        host_id=transfer.host_id,
        pool_id=domain.data_center_id or "",
        flow_id=doing.asked.correlation_id,
    )
    return transfer, disk, asked


def keep(session: Session, transfer_id: str, **changes: object) -> ImageTransfer:
    """Written down as changed."""
    transfer: ImageTransfer = replace(session.image_transfers.get(transfer_id), **changes)  # type: ignore[arg-type]  # fields by name
    session.image_transfers.update(transfer)
    return transfer


def end(finish: Finish, transfer_id: str, phase: TransferPhase, message: AuditMessage, reason: str = "") -> None:
    """Its URLs are told no more, and it is kept for who asks what came of it."""
    tell(finish, _closed(finish.session, transfer_id, phase), message, reason)


def _closed(session: Session, transfer_id: str, phase: TransferPhase) -> ImageTransfer:
    return keep(session, transfer_id, phase=phase, active=False, transfer_url="", source_url="", ended_at=now())


def give_up_transfers(change: Change, host_id: str, reason: str) -> None:
    """Of a host whose daemon has its tickets no more, or is the engine's no longer. What was being written to is
    illegal: nobody has looked at it."""
    session = change.session
    for transfer in session.image_transfers.list(ListQuery(where={"host_id": (host_id,), "phase": OPEN})):
        disk = session.disks.get(transfer.disk_id)
        status = DiskStatus.ILLEGAL if writes(transfer) else DiskStatus.OK
        session.disks.update(replace(disk, status=status))
        tell(change, _closed(session, transfer.id, TransferPhase.FINISHED_FAILURE), messages.FAILED, reason)


def tell(change: Change, transfer: ImageTransfer, message: AuditMessage, reason: str = "") -> None:
    disk = change.session.disks.find(id=transfer.disk_id)
    if disk is not None:
        words = {
            "direction": transfer.direction.capitalize(),
            "disk": disk.name,
            "reason": reason.rstrip("."),
            "seconds": transfer.inactivity_timeout_seconds,
        }
        change.tell(message, about(change.session, disk), **words)


def now() -> datetime:
    return datetime.now(UTC)
