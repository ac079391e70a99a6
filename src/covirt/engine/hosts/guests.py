# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What hosts tell of guests, against what is written down of them.

Where both agree on who runs where, the report is written. Where they do not, nothing is believed at once, because a
report may be older than what a command has done meanwhile: the host is asked again about that guest alone, and the
second answer counts (settle). A guest that a command works on is left to the command.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from covirt.engine.commands.asked import Asked
from covirt.engine.commands.audit import About, AuditMessage, tell
from covirt.engine.hosts import messages
from covirt.engine.hosts.vm_report import VmReport, ended_facts, off_facts, running_facts
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.host import Host
from covirt.engine.model.vm import Vm, VmFacts, VmStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session
from covirt.hostapi.vm import ENDED_EXTENSION

_UNKNOWN_END: Final = "the host knows it no more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """Guests whose host is to be asked again: at once, or (of those that a command works on) after a while."""

    now: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()


class Settled(StrEnum):
    """What is to be done about a guest on its host."""

    NOTHING = "nothing"
    FORGET = "forget"  # it has ended there, and its end is written down
    LATER = "later"
    TWICE = "twice"  # it runs there, and elsewhere by the engine's knowledge; see tell_twice


@dataclass
class _Sorted:
    facts: dict[str, VmFacts] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)


def write_reports(
    session: Session, host: Host, reported: Sequence[VmReport], *, complete: bool, now: datetime
) -> Doubts:
    """``complete``: the reports are of all guests that the host has."""
    by_id = {report.vm_id: report for report in reported}
    ids = set(by_id)
    if complete:
        ids.update(session.vms.keys_where(host_id=host.id))
    session.vms.hold_facts(ids)
    known = session.vms.by_ids(ids)
    found = _sorted_out(session, host, known, by_id, complete=complete, now=now)
    session.vms.update_many_facts(found.facts)
    locked = {vm_id for vm_id in found.doubtful if session.commands.is_locked(vm_id)}
    return Doubts(now=frozenset(found.doubtful - locked), later=frozenset(locked))


def settle(session: Session, host: Host, vm_id: str, report: VmReport | None, *, now: datetime) -> Settled:
    """Of one guest that the host was asked about just now; None: it does not know it."""
    session.vms.hold_facts([vm_id])
    vm = session.vms.find(id=vm_id)
    if vm is None:
        return Settled.NOTHING
    if session.commands.is_locked(vm_id):
        return Settled.LATER
    here = vm.facts.host_id == host.id
    if report is None:
        if here:
            _end(session, host, vm, now=now)
        return Settled.NOTHING
    if report.is_down:
        if vm.facts.log_host_id == host.id:
            return Settled.NOTHING
        if here and leaves_log(vm, host):
            _end(session, host, replace(vm, facts=_with_end(vm.facts, report, now=now)), now=now, stays=True)
            return Settled.NOTHING
        if here:  # its end is kept before the host forgets it: the engine may be killed in between
            session.vms.update_facts(vm_id, _with_end(vm.facts, report, now=now))
        return Settled.FORGET
    if vm.facts.host_id not in (None, host.id):
        return Settled.TWICE
    facts = running_facts(vm.facts, report, host_id=host.id, address=host.address, now=now)
    _tell_change(session, host, vm, facts)
    session.vms.update_facts(vm_id, facts)
    return Settled.NOTHING


def forgotten(session: Session, host: Host, vm_id: str, *, now: datetime) -> None:
    """The host has forgotten a guest whose end was settled."""
    session.vms.hold_facts([vm_id])
    vm = session.vms.find(id=vm_id)
    if vm is not None and vm.facts.host_id == host.id and vm.facts.exit_code is not None:
        _end(session, host, vm, now=now)


def tell_twice(session: Session, host: Host, vm_id: str) -> None:
    """An event, for people: only they can know which of both is the right one."""
    vm = session.vms.find(id=vm_id)
    if vm is not None:
        other = session.hosts.find(id=vm.facts.host_id)
        _tell(session, messages.VM_TWICE, host, vm, other=other.name if other else "another host")


def lose_sight(session: Session, host: Host) -> None:
    """The host does not respond: nobody knows how its guests are."""
    for vm in _held_guests(session, host):
        if vm.facts.status is not VmStatus.UNKNOWN:
            session.vms.update_facts(vm.id, replace(vm.facts, status=VmStatus.UNKNOWN))
            _tell(session, messages.VM_UNKNOWN, host, vm)


def put_down(session: Session, host: Host, asked: Asked, *, now: datetime) -> list[Vm]:
    """Somebody vouches that nothing runs on the host. Those that were down so."""
    guests = _held_guests(session, host)
    for vm in guests:
        session.vms.update_facts(vm.id, off_facts(vm.facts, now=now))
        tell(session, messages.VM_DOWN_BY_FENCE, asked, _about(host, vm), vm=vm.name, host=host.name)
    return guests


def leaves_log(vm: Vm, host: Host | None) -> bool:
    """Whether it is left on its host when it has ended, for its log, which costs the host nothing else."""
    return vm.kind is VmKind.CONTAINER and host is not None and ENDED_EXTENSION in host.facts.extensions


def guests_of(session: Session, host_id: str) -> Sequence[Vm]:
    """Those that run there by the engine's knowledge, by name."""
    return session.vms.list(ListQuery(where={"host_id": host_id}))


def _held_guests(session: Session, host: Host) -> list[Vm]:
    ids = session.vms.keys_where(host_id=host.id)
    session.vms.hold_facts(ids)
    return [vm for vm in session.vms.by_ids(ids).values() if vm.facts.host_id == host.id]


def _sorted_out(
    session: Session,
    host: Host,
    known: Mapping[str, Vm],
    by_id: Mapping[str, VmReport],
    *,
    complete: bool,
    now: datetime,
) -> _Sorted:
    found = _Sorted()
    for vm in known.values():
        report = by_id.get(vm.id)
        here = vm.facts.host_id == host.id
        if report is None:
            if complete and here:
                found.doubtful.add(vm.id)
        elif report.is_down and vm.facts.log_host_id == host.id:
            continue
        elif report.is_down or not here:
            found.doubtful.add(vm.id)
        else:
            facts = running_facts(vm.facts, report, host_id=host.id, address=host.address, now=now)
            _tell_change(session, host, vm, facts)
            found.facts[vm.id] = facts
    return found


def _with_end(facts: VmFacts, report: VmReport, *, now: datetime) -> VmFacts:
    ended = ended_facts(facts, report, now=now)
    return replace(facts, exit_code=ended.exit_code, exit_reason=ended.exit_reason, exit_message=ended.exit_message)


def _end(session: Session, host: Host, vm: Vm, *, now: datetime, stays: bool = False) -> None:
    """``stays``: on its host, for its log."""
    last = vm.facts
    if last.exit_code is None:
        last = replace(last, exit_code=1, exit_message=_UNKNOWN_END)
    facts = replace(
        off_facts(last, now=now),
        exit_code=last.exit_code,
        exit_reason=last.exit_reason,
        exit_message=last.exit_message,
        log_host_id=host.id if stays else None,
    )
    session.vms.update_facts(vm.id, facts)
    message = messages.VM_DOWN if facts.exit_code == 0 else messages.VM_DOWN_ERROR
    _tell(session, message, host, vm, exit=facts.exit_message)


def _tell_change(session: Session, host: Host, vm: Vm, facts: VmFacts) -> None:
    before, after = vm.facts.status, facts.status
    if before is after:
        return
    if before is VmStatus.UNKNOWN:
        _tell(session, messages.VM_RESTORED, host, vm, status=_called(after))
    elif after is VmStatus.PAUSED and before is not VmStatus.WAIT_FOR_LAUNCH:
        _tell(session, messages.VM_PAUSED_BY.get(facts.pause_code, messages.VM_PAUSED), host, vm)
    elif before is VmStatus.PAUSED and after is VmStatus.UP and vm.facts.pause_code:
        _tell(session, messages.VM_RECOVERED, host, vm)
    elif after is VmStatus.NOT_RESPONDING:
        _tell(session, messages.VM_NOT_RESPONDING, host, vm)


def _tell(session: Session, message: AuditMessage, host: Host, vm: Vm, **values: object) -> None:
    tell(session, message, Asked.system(), _about(host, vm), vm=vm.name, host=host.name, **values)


def _about(host: Host, vm: Vm) -> About:
    return About(vm_id=vm.id, host_id=host.id, cluster_id=vm.cluster_id)


def _called(status: VmStatus) -> str:
    """As oVirt writes it in sentences: PoweringUp."""
    return "".join(word.capitalize() for word in str(status).split("_"))


def names(vms: Iterable[Vm]) -> str:
    """For a sentence."""
    return ", ".join(sorted(vm.name for vm in vms))
