# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of a running machine's host at once, and leaves nothing behind: no operation that outlives a kill.

A ticket is a secret, and operations are written down; this is not.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change, changing
from covirt.engine.commands.vms import messages
from covirt.engine.commands.vms.common import about, require_running, subject_of
from covirt.engine.commands.vms.errors import BadSize, NoDisplay
from covirt.engine.hosts.connections import Hosts
from covirt.engine.model.vm import Vm
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store
from covirt.engine.vms.kinds import require_action
from covirt.rpc.jsonrpc import Json

_TICKET_CHARACTERS: Final = 8  # VNC looks at no more
_TICKET_SECONDS: Final = 7200  # oVirt's


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    value: str
    expiry_seconds: int


class Guest:
    """One machine, for one who asks."""

    def __init__(self, store: Store, hosts: Hosts, asked: Asked, vm_id: str) -> None:
        self._store = store
        self._hosts = hosts
        self._asked = asked
        self._vm_id = vm_id

    def set_ticket(self, *, value: str = "", expiry_seconds: int = 0) -> Ticket:
        """Opens its display to whoever knows the ticket. Raises NotForThisKind, NoDisplay, and what hosts raise."""
        ticket = Ticket(
            value=value or secrets.token_urlsafe(_TICKET_CHARACTERS)[:_TICKET_CHARACTERS],
            expiry_seconds=expiry_seconds or _TICKET_SECONDS,
        )
        if len(ticket.value) > _TICKET_CHARACTERS or ticket.expiry_seconds < 1:
            raise BadSize(action="set a ticket of", reason=f"It has at most {_TICKET_CHARACTERS} characters.")
        params: dict[str, Json] = {
            "password": ticket.value,
            "ttl": ticket.expiry_seconds,
            "existingConnAction": "disconnect",
            "params": {},
        }
        self._ask(Right.CONNECT_TO_VM, "ticket", "VM.setTicket", params, messages.TICKET_SET)
        return ticket

    def freeze(self) -> None:
        self._ask(Right.MANIPULATE_VM_SNAPSHOTS, "freezefilesystems", "VM.freeze", {}, messages.FROZEN)

    def thaw(self) -> None:
        self._ask(Right.MANIPULATE_VM_SNAPSHOTS, "thawfilesystems", "VM.thaw", {}, messages.THAWED)

    def _ask(self, right: Right, action: str, verb: str, params: dict[str, Json], done: AuditMessage) -> None:
        with self._store.read() as session:
            vm = self._checked(session, right, action)
        host_id = require_running(vm, "use")
        if action == "ticket" and not vm.facts.graphics:
            raise NoDisplay(action="set a ticket", name=vm.name)
        self._hosts.call(host_id, verb, {"vmID": vm.id, **params}, flow_id=self._asked.correlation_id)
        with changing(self._store, self._asked) as change:
            change.tell(done, about(vm), vm=vm.name)

    def _checked(self, session: Session, right: Right, action: str) -> Vm:
        Change(session, self._asked).require(right, subject_of(self._vm_id))
        vm = session.vms.get(self._vm_id)
        require_action(action, vm.kind, name=vm.name)
        return vm
