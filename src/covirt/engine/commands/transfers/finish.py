# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The end of a transfer: well, with a look at what was uploaded, or because nobody wants it any more."""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Error
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.facts import of_disk, volumes_on
from covirt.engine.commands.forget import forget
from covirt.engine.commands.transfers import messages
from covirt.engine.commands.transfers.errors import WrongPhase
from covirt.engine.commands.transfers.facts import OPEN, end, keep, read_both, writes
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.disk import (
    DiskStatus,
    ImageTransfer,
    TransferDirection,
    TransferPhase,
    TransferTimeoutPolicy,
)
from covirt.hostapi.errors import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class _EndOfTransfer(Command):
    word: ClassVar[str]
    phase: ClassVar[TransferPhase]

    transfer_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        transfer = session.image_transfers.get(self.transfer_id)
        start.require(Right.EDIT_DISK_PROPERTIES, of_disk(transfer.disk_id))
        if transfer.phase not in OPEN:
            raise WrongPhase(action=self.word, phase=transfer.phase)
        disk = session.disks.get(transfer.disk_id)
        start.lock(disk.id, f"disk {disk.name} is being transferred")
        keep(session, transfer.id, phase=self.phase, active=False)
        start.describe(f"Transferring Disk Image {disk.name}: {self.word}", {disk.id})

    def _close(self, doing: Doing) -> JsonValue:
        """The ticket first: nobody reads or writes from then on."""
        transfer, disk, host = read_both(doing, self.transfer_id)
        host.remove_ticket(transfer)
        host.give_back(disk, transfer)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeImageTransfer(_EndOfTransfer):
    """Nothing is lost when a step fails: the transfer is open again, and can be finalized again."""

    action: ClassVar = "FinalizeImageTransfer"
    word: ClassVar = "finalize"
    phase: ClassVar = TransferPhase.FINALIZING_SUCCESS

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Taking the ticket back", self._close)
        return flow.step("Looking at the disk", self._look)

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        found = finish.result if isinstance(finish.result, dict) else {}
        transfer = session.image_transfers.get(self.transfer_id)
        disk = session.disks.get(transfer.disk_id)
        reason = str(found.get("refused", ""))
        actual = int(str(found.get("actual") or disk.actual_size_bytes))
        status = DiskStatus.ILLEGAL if reason else DiskStatus.OK
        session.disks.update(replace(disk, status=status, actual_size_bytes=actual, total_size_bytes=actual))
        if reason:
            end(finish, self.transfer_id, TransferPhase.FINISHED_FAILURE, messages.FAILED, reason)
        else:
            end(finish, self.transfer_id, TransferPhase.FINISHED_SUCCESS, messages.SUCCEEDED)

    def failed(self, finish: Finish, reason: str) -> None:
        """Its host does not answer: whoever wants to ends it again. The ticket may be gone."""
        del reason
        keep(finish.session, self.transfer_id, phase=TransferPhase.PAUSED_SYSTEM)

    def _look(self, doing: Doing) -> JsonValue:
        """The disk's size on storage, or why the host refuses what was uploaded."""
        transfer, disk, host = read_both(doing, self.transfer_id)
        if writes(transfer):
            try:
                host.verify(disk)
            except HostRefused as error:
                if error.code != Code.IMAGE_VERIFICATION:  # it says nothing of the upload
                    raise
                return {"refused": error.text}
        return {"actual": volumes_on(doing, disk, str(transfer.host_id)).sizes(disk).actual}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelImageTransfer(_EndOfTransfer):
    """The disk of an upload goes with it, as with oVirt: half of one is of no use. ``idle``: nobody asked for it, and
    no client has come for too long."""

    action: ClassVar = "CancelImageTransfer"
    word: ClassVar = "cancel"
    phase: ClassVar = TransferPhase.FINALIZING_CLEANUP

    idle: bool = False

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Taking the ticket back", self._close)
        return flow.step("Removing what was uploaded", self._remove)

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        transfer = session.image_transfers.get(self.transfer_id)
        disk = session.disks.get(transfer.disk_id)
        phase = TransferPhase.FINISHED_FAILURE if self.idle else TransferPhase.FINISHED_CLEANUP
        end(finish, self.transfer_id, phase, _cancelled(transfer) if self.idle else messages.CANCELLED)
        if not writes(transfer):
            session.disks.update(replace(disk, status=DiskStatus.OK))
        elif finish.result:
            session.disks.remove(disk.id)
            forget(session, disk.id)
        else:
            session.disks.update(replace(disk, status=DiskStatus.ILLEGAL))

    def failed(self, finish: Finish, reason: str) -> None:
        del reason
        keep(finish.session, self.transfer_id, phase=TransferPhase.PAUSED_SYSTEM)

    def _close(self, doing: Doing) -> JsonValue:
        """A host that was removed has nothing to give back to this engine."""
        with doing.services.store.read() as session:
            is_removed = session.image_transfers.get(self.transfer_id).host_id is None
        return None if is_removed else _EndOfTransfer._close(self, doing)

    def _remove(self, doing: Doing) -> JsonValue:
        """Whether it is gone. A disk that somebody has in a machine stays, and is illegal; so does one whose host was
        removed."""
        with doing.services.store.read() as session:
            if session.image_transfers.get(self.transfer_id).host_id is None:
                return False
        transfer, disk, _ = read_both(doing, self.transfer_id)
        if not writes(transfer) or self._is_attached(doing, transfer):
            return False
        try:
            volumes_on(doing, disk, str(transfer.host_id)).remove(disk)
        except Error:
            return False
        return True

    @staticmethod
    def _is_attached(doing: Doing, transfer: ImageTransfer) -> bool:
        with doing.services.store.read() as session:
            return session.disk_attachments.find(disk_id=transfer.disk_id) is not None


def _cancelled(transfer: ImageTransfer) -> AuditMessage:
    by_default = transfer.timeout_policy is TransferTimeoutPolicy.LEGACY
    is_download = transfer.direction is TransferDirection.DOWNLOAD
    return messages.DOWNLOAD_CANCELLED if by_default and is_download else messages.CANCELLED_BY_POLICY
