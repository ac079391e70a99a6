# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is written down of a host: its answers, its silence, and the events of what changes by them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from covirt.engine.commands.asked import Asked
from covirt.engine.commands.audit import About, AuditMessage, tell
from covirt.engine.hosts import messages
from covirt.engine.hosts.guests import Doubts, guests_of, lose_sight, write_reports
from covirt.engine.hosts.host_report import nics_of, with_capabilities, with_statistics
from covirt.engine.hosts.states import RESTING, after_answer, after_silence
from covirt.engine.hosts.vm_report import VmReport
from covirt.engine.hosts.words import Document
from covirt.engine.model.cluster import Architecture, Cluster
from covirt.engine.model.host import Host, HostFacts, HostStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Of one poll. ``capabilities`` None: they were not asked for this time."""

    capabilities: Document | None
    hardware: Document
    statistics: Document
    guests: Sequence[VmReport]

    def facts(self, before: HostFacts) -> HostFacts:
        known = before
        if self.capabilities is not None:
            known = with_capabilities(before, self.capabilities, self.hardware)
        return with_statistics(known, self.statistics)


def held_host(session: Session, host_id: str) -> Host | None:
    """For a change of its facts; None when it was removed."""
    session.hosts.hold_facts([host_id])
    return session.hosts.find(id=host_id)


def write_answers(session: Session, host: Host, answers: Answers, *, obstacle: str, now: datetime) -> Doubts:
    """``host`` is held; ``obstacle``: why it cannot work. Which of its guests are to be asked after again."""
    if host.facts.status in RESTING:
        return Doubts()
    cluster = session.clusters.get(host.cluster_id)
    facts = answers.facts(host.facts)
    status = after_answer(host.facts.status, obstacle)
    facts = replace(
        facts,
        status=status,
        status_detail=obstacle if status is HostStatus.NON_OPERATIONAL else "",
        max_scheduling_memory_bytes=_schedulable(session, host, facts, cluster),
        seen_at=now,
    )
    _tell_answer(session, host, facts)
    session.hosts.update_facts(host.id, facts)
    if status is HostStatus.UP and cluster.cpu_architecture is Architecture.UNDEFINED:
        # The first host decides it, as in oVirt.
        session.clusters.update(replace(cluster, cpu_architecture=facts.architecture))
    if answers.capabilities is not None:
        _write_nics(session, host, cluster, answers)
    return write_reports(session, replace(host, facts=facts), answers.guests, complete=True, now=now)


def write_silence(
    session: Session, host: Host, *, reason: str, silent_seconds: float, grace_seconds: float
) -> HostStatus:
    """``host`` is held. What its status is now."""
    before = host.facts.status
    status = after_silence(before, silent_seconds=silent_seconds, grace_seconds=grace_seconds)
    if status in RESTING:
        return status
    if status is before and host.facts.status_detail == reason:
        return status
    session.hosts.update_facts(host.id, replace(host.facts, status=status, status_detail=reason))
    if status is not before and status is HostStatus.CONNECTING:
        _tell(session, messages.HOST_CONNECTING, host, reason=reason, seconds=f"{grace_seconds:g}")
    if status is not before and status is HostStatus.NON_RESPONSIVE:
        _tell(session, messages.HOST_NON_RESPONSIVE, host, reason=reason)
        lose_sight(session, host)
    return status


def _tell_answer(session: Session, host: Host, facts: HostFacts) -> None:
    before, after = host.facts, facts
    if after.status is HostStatus.NON_OPERATIONAL:
        if before.status is not after.status or before.status_detail != after.status_detail:
            _tell(session, messages.HOST_NON_OPERATIONAL, host, reason=after.status_detail)
    elif after.status is HostStatus.UP and before.status is not HostStatus.UP:
        _tell(session, messages.HOST_STATUS, host, status="Up")


def _schedulable(session: Session, host: Host, facts: HostFacts, cluster: Cluster) -> int:
    """How much memory is left for guests that are still to come."""
    allowed = facts.memory_bytes * cluster.memory_over_commit_percent // 100 - facts.memory_reserved_bytes
    taken = sum(vm.hardware.memory_bytes + facts.guest_overhead_bytes for vm in guests_of(session, host.id))
    return max(0, allowed - taken)


def _write_nics(session: Session, host: Host, cluster: Cluster, answers: Answers) -> None:
    networks = session.networks.list(ListQuery(where={"data_center_id": cluster.data_center_id}))
    by_name = {network.vdsm_name: network.id for network in networks}
    wanted = {nic.id: nic for nic in nics_of(host.id, answers.capabilities or {}, answers.statistics, by_name)}
    present = {nic.id: nic for nic in session.host_nics.list(ListQuery(where={"host_id": host.id}))}
    for gone in present.keys() - wanted.keys():
        session.host_nics.remove(gone)
    for nic in wanted.values():
        if nic.id not in present:
            session.host_nics.add(nic)
        elif present[nic.id] != nic:
            session.host_nics.update(nic)


def _tell(session: Session, message: AuditMessage, host: Host, **values: object) -> None:
    about = About(host_id=host.id, cluster_id=host.cluster_id)
    tell(session, message, Asked.system(), about, host=host.name, **values)
