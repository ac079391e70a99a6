# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether somebody may have a stream of a machine, and the host's own ticket for it; and what events tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from covirt.engine.commands.asked import Asked
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change, changing
from covirt.engine.commands.vms.common import about, is_running, require_running, subject_of
from covirt.engine.commands.vms.errors import NoDisplay
from covirt.engine.console import messages
from covirt.engine.console.errors import NoLogLeft, NoStreamsOnHost
from covirt.engine.console.request import StreamRequest
from covirt.engine.console.tickets import Granted, StreamTickets
from covirt.engine.hosts.connections import Hosts
from covirt.engine.hosts.errors import BadAnswer, HostRefused
from covirt.engine.model.vm import Vm
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store
from covirt.engine.vms.kinds import Stream, require_stream
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

_HOST_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Where the stream is to be had, with a secret that opens it."""

    host: str
    address: str
    port: int
    ticket: str = field(repr=False)


class Consoles:
    """Threads may share it. Both calls raise MissingPermit, NotForThisKind, VmIsNotRunning and NoDisplay."""

    def __init__(self, store: Store, hosts: Hosts, tickets: StreamTickets) -> None:
        self._store = store
        self._hosts = hosts
        self._tickets = tickets

    @property
    def valid_seconds(self) -> int:
        """How long a ticket can be used."""
        return int(self._tickets.valid_seconds)

    def issue(self, asked: Asked, session_id: str | None, vm_id: str, request: StreamRequest) -> str:
        """A ticket for the engine's own WebSocket. Raises TooManyStreamTickets, too."""
        with self._store.read() as session:
            _checked(session, asked, vm_id, request)
        granted = Granted(asked=asked, session_id=session_id, vm_id=vm_id, request=request)
        return self._tickets.issue(granted)

    def open(self, granted: Granted) -> Opening:
        """What has changed since the ticket was issued counts. Raises what hosts raise, too."""
        with self._store.read() as session:
            vm, host_id = _checked(session, granted.asked, granted.vm_id, granted.request)
            host = session.hosts.find(id=host_id)
        if host is None:
            raise NoLogLeft(name=vm.name)
        answer = self._ask(host_id, host.name, vm, granted)
        ticket = answer.get("ticket") if isinstance(answer, Mapping) else None
        if not isinstance(ticket, str) or not ticket.isascii() or not ticket.isprintable():
            raise BadAnswer(host=host.name, verb=granted.request.facts.verb, reason="there is no ticket")
        return Opening(host=host.name, address=host.address, port=host.port, ticket=ticket)

    def _ask(self, host_id: str, host_name: str, vm: Vm, granted: Granted) -> Json:
        facts = granted.request.facts
        params: dict[str, Json] = {"vmID": vm.id, **granted.request.params}
        flow_id = granted.asked.correlation_id
        try:
            return self._hosts.call(host_id, facts.verb, params, flow_id=flow_id, timeout_seconds=_HOST_SECONDS)
        except HostRefused as error:
            if error.code == Code.NO_SUCH_VM and vm.facts.log_host_id == host_id:
                raise NoLogLeft(name=vm.name) from error
            if error.code == Code.NO_SUCH_METHOD:
                raise NoStreamsOnHost(host=host_name, what=facts.name) from error
            raise

    # Events.

    def opened(self, granted: Granted, address: str) -> None:
        self._tell(messages.OPENED, granted, address)

    def not_opened(self, granted: Granted, address: str, reason: str) -> None:
        self._tell(messages.NOT_OPENED, granted, address, reason=reason)

    def ended(self, granted: Granted, address: str, *, seconds: float, reason: str) -> None:
        self._tell(messages.ENDED, granted, address, seconds=round(seconds), reason=reason)

    def _tell(self, message: AuditMessage, granted: Granted, address: str, **values: object) -> None:
        """The address is where the stream goes, which need not be where the ticket was asked for."""
        asked = replace(granted.asked, address=address)
        with changing(self._store, asked) as change:
            vm = change.session.vms.find(id=granted.vm_id)
            if vm is not None:
                told = granted.request.told
                change.tell(message, about(vm), what=told, vm=vm.name, address=address, **values)


def _checked(session: Session, asked: Asked, vm_id: str, request: StreamRequest) -> tuple[Vm, str]:
    """The machine, and its host's id."""
    Change(session, asked).require(request.facts.right, subject_of(vm_id))
    vm = session.vms.get(vm_id)
    require_stream(request.stream, vm.kind, name=vm.name)
    if request.stream is Stream.LOG and not is_running(vm):
        return vm, _place_of_log(vm)
    host_id = require_running(vm, "open a stream of")
    if request.stream is Stream.VNC and not any(each.protocol == "vnc" for each in vm.facts.graphics):
        raise NoDisplay(action="open the display", name=vm.name)
    return vm, host_id


def _place_of_log(vm: Vm) -> str:
    """Of one that has ended. Raises NoLogLeft."""
    if vm.facts.log_host_id is None:
        raise NoLogLeft(name=vm.name)
    return vm.facts.log_host_id
