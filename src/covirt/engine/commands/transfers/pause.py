# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A transfer rests, and goes on: without a ticket nobody reads or writes, and the volume stays prepared."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.facts import of_disk
from covirt.engine.commands.transfers import messages
from covirt.engine.commands.transfers.errors import WrongPhase
from covirt.engine.commands.transfers.facts import keep, now, read_both, tell
from covirt.engine.model.disk import ImageTransfer, TransferPhase, TransferTimeoutPolicy

_PAUSED: Final = (TransferPhase.PAUSED_SYSTEM, TransferPhase.PAUSED_USER)


class PauseCause(StrEnum):
    USER = "user"
    IDLE = "idle"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseImageTransfer(Command):
    """Because a user wants it, because no client has come for too long, or because the host has lost the ticket."""

    action: ClassVar = "PauseImageTransfer"

    transfer_id: str
    cause: PauseCause = PauseCause.USER

    def begin(self, start: Start) -> None:
        transfer = start.session.image_transfers.get(self.transfer_id)
        start.require(Right.EDIT_DISK_PROPERTIES, of_disk(transfer.disk_id))
        if transfer.phase is not TransferPhase.TRANSFERRING:
            raise WrongPhase(action="pause", phase=transfer.phase)
        start.lock(transfer.disk_id, "the disk is being transferred")
        start.describe("Pausing an image transfer", {transfer.disk_id})

    def run(self, flow: Flow) -> JsonValue:
        return flow.step("Taking the ticket back", self._remove)

    def succeeded(self, finish: Finish) -> None:
        phase = TransferPhase.PAUSED_USER if self.cause is PauseCause.USER else TransferPhase.PAUSED_SYSTEM
        transfer = keep(finish.session, self.transfer_id, phase=phase, active=False)
        tell(finish, transfer, self._message(transfer))

    def _message(self, transfer: ImageTransfer) -> AuditMessage:
        if self.cause is PauseCause.IDLE:
            by_default = transfer.timeout_policy is TransferTimeoutPolicy.LEGACY
            return messages.UPLOAD_PAUSED if by_default else messages.PAUSED_BY_POLICY
        return messages.LOST if self.cause is PauseCause.LOST else messages.PAUSED

    def _remove(self, doing: Doing) -> JsonValue:
        transfer, _, host = read_both(doing, self.transfer_id)
        host.remove_ticket(transfer)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeImageTransfer(Command):
    """With the same ticket."""

    action: ClassVar = "ResumeImageTransfer"

    transfer_id: str

    def begin(self, start: Start) -> None:
        transfer = start.session.image_transfers.get(self.transfer_id)
        start.require(Right.EDIT_DISK_PROPERTIES, of_disk(transfer.disk_id))
        if transfer.phase not in _PAUSED:
            raise WrongPhase(action="resume", phase=transfer.phase)
        start.lock(transfer.disk_id, "the disk is being transferred")
        start.describe("Resuming an image transfer", {transfer.disk_id})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Preparing the volume on its host", self._prepare)
        return flow.step("Giving the ticket to its daemon", self._add)

    def succeeded(self, finish: Finish) -> None:
        transfer = keep(finish.session, self.transfer_id, phase=TransferPhase.TRANSFERRING, last_activity=now())
        tell(finish, transfer, messages.RESUMED)

    def _prepare(self, doing: Doing) -> JsonValue:
        """The host may have been booted meanwhile."""
        transfer, disk, host = read_both(doing, self.transfer_id)
        host.remove_ticket(transfer)
        url = host.prepare(disk, transfer)
        with doing.services.store.write() as session:
            keep(session, transfer.id, source_url=url)
        return None

    def _add(self, doing: Doing) -> JsonValue:
        transfer, _, host = read_both(doing, self.transfer_id)
        host.add_ticket(transfer)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendImageTransfer(Command):
    """As if the client had just done something."""

    action: ClassVar = "ExtendImageTransferTicket"

    transfer_id: str

    def begin(self, start: Start) -> None:
        transfer = start.session.image_transfers.get(self.transfer_id)
        start.require(Right.EDIT_DISK_PROPERTIES, of_disk(transfer.disk_id))
        if transfer.phase is not TransferPhase.TRANSFERRING:
            raise WrongPhase(action="extend", phase=transfer.phase)
        start.describe("Extending an image transfer", {transfer.disk_id})

    def run(self, flow: Flow) -> JsonValue:
        return flow.step("Extending the ticket", self._extend)

    def succeeded(self, finish: Finish) -> None:
        keep(finish.session, self.transfer_id, last_activity=now())

    def _extend(self, doing: Doing) -> JsonValue:
        transfer, _, host = read_both(doing, self.transfer_id)
        host.extend_ticket(transfer)
        return None
