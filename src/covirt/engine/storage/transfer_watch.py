# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Looks now and then at transfers: how far they are, whether their tickets are there, and whether anybody uses them.

A ticket ends by itself some minutes after the engine has last made it last longer, so that none outlives an engine
that is gone.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from covirt.common.errors import Error, Unavailable
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.command import Command
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.transfers.facts import ENDED, keep, now
from covirt.engine.commands.transfers.finish import CancelImageTransfer
from covirt.engine.commands.transfers.pause import PauseCause, PauseImageTransfer
from covirt.engine.hosts.connections import Hosts
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.disk import ImageTransfer, TransferDirection, TransferPhase, TransferTimeoutPolicy
from covirt.engine.storage.host_transfers import HostTransfers, TicketFacts
from covirt.engine.store.query import ListQuery
from covirt.engine.store.store import Store
from covirt.hostapi.errors import Code

log = logging.getLogger(__name__)

# Clients look what came of a transfer after it has ended.
_KEPT: Final = timedelta(minutes=15)
# Of a host whose daemon has no such ticket, or does not run. One that is silent may have it still.
_LOST: Final = frozenset((Code.IMAGE_DAEMON_REFUSED, Code.NO_IMAGE_DAEMON))


class TransferWatch:
    """Called by one thread now and then."""

    def __init__(self, store: Store, hosts: Hosts, commands: Commands) -> None:
        self._store = store
        self._hosts = hosts
        self._commands = commands

    def look(self) -> None:
        with self._store.read() as session:
            going = session.image_transfers.list(ListQuery(where={"phase": (TransferPhase.TRANSFERRING,)}))
            ended = session.image_transfers.list(ListQuery(where={"phase": ENDED}))
        for transfer in going:
            self._look_at(transfer)
        old = [each.id for each in ended if each.ended_at is None or each.ended_at < now() - _KEPT]
        if old:
            with self._store.write() as session:
                for transfer_id in old:
                    session.image_transfers.remove(transfer_id)

    def _look_at(self, transfer: ImageTransfer) -> None:
        if transfer.host_id is None or not self._hosts.is_up(transfer.host_id):
            return  # nobody knows; its ticket may be as good as ever
        host = HostTransfers(hosts=self._hosts, host_id=transfer.host_id, pool_id="")
        try:
            facts = host.ticket(transfer)
            if not _is_idle(transfer, facts):
                host.extend_ticket(transfer)
        except HostRefused as error:
            if error.code in _LOST:
                self._run(PauseImageTransfer(transfer_id=transfer.id, cause=PauseCause.LOST))
            else:
                log.warning("A transfer cannot be looked at transfer=%s reason=%s", transfer.id, error)
        except Unavailable as error:
            log.debug("A transfer is not looked at transfer=%s reason=%s", transfer.id, error)
        else:
            self._write(transfer, facts)
            if _is_idle(transfer, facts):
                self._run(_after_idleness(transfer))

    def _write(self, transfer: ImageTransfer, facts: TicketFacts) -> None:
        changes: dict[str, object] = {"active": facts.active}
        if facts.transferred_bytes:
            changes["transferred_bytes"] = facts.transferred_bytes
        if facts.active:
            changes["last_activity"] = now()
        with self._store.write() as session:
            present = session.image_transfers.find(id=transfer.id)
            if present is not None and present.phase is TransferPhase.TRANSFERRING:
                keep(session, transfer.id, **changes)

    def _run(self, command: Command) -> None:
        try:
            self._commands.run(Asked.system(), command, wait_seconds=0)
        except Error as error:  # a user was quicker
            log.info("A transfer is left as it is reason=%s", error)


def _is_idle(transfer: ImageTransfer, facts: TicketFacts) -> bool:
    """By the daemon's clock and by the engine's: one that was extended just now is not idle."""
    limit = transfer.inactivity_timeout_seconds
    last: datetime = transfer.last_activity or now()
    return not facts.active and facts.idle_seconds > limit and now() - last > timedelta(seconds=limit)


def _after_idleness(transfer: ImageTransfer) -> Command:
    """As oVirt: its own way is to pause what may go on, and to end what can be begun anew."""
    pauses = transfer.timeout_policy is TransferTimeoutPolicy.PAUSE or (
        transfer.timeout_policy is TransferTimeoutPolicy.LEGACY and transfer.direction is TransferDirection.UPLOAD
    )
    if pauses:
        return PauseImageTransfer(transfer_id=transfer.id, cause=PauseCause.IDLE)
    return CancelImageTransfer(transfer_id=transfer.id, idle=True)
