# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts, changed in one transaction each. Who calls tells the watches afterwards (Hosts.look)."""

import ipaddress
import re
import uuid
from dataclasses import replace
from typing import Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import About
from covirt.engine.commands.change import Change
from covirt.engine.commands.command import now
from covirt.engine.commands.forget import forget
from covirt.engine.commands.hosts import errors, messages
from covirt.engine.commands.names import check_name
from covirt.engine.commands.transfers.facts import give_up_transfers
from covirt.engine.hosts.guests import guests_of, names, put_down
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.host import Host, HostFacts, HostStatus, SpmStatus
from covirt.engine.store.query import ListQuery

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_LONGEST_ADDRESS: Final = 255
_REMOVABLE: Final = frozenset(
    (
        HostStatus.DOWN,
        HostStatus.INSTALLING,
        HostStatus.INSTALL_FAILED,
        HostStatus.MAINTENANCE,
        HostStatus.NON_OPERATIONAL,
        HostStatus.NON_RESPONSIVE,
        HostStatus.PENDING_APPROVAL,
        HostStatus.UNASSIGNED,
    )
)
_MOVABLE: Final = _REMOVABLE - {HostStatus.UNASSIGNED, HostStatus.NON_OPERATIONAL}
_ACTIVATABLE: Final = frozenset(
    (HostStatus.DOWN, HostStatus.MAINTENANCE, HostStatus.NON_OPERATIONAL, HostStatus.PREPARING_FOR_MAINTENANCE)
)
_APPROVABLE: Final = frozenset((HostStatus.PENDING_APPROVAL, HostStatus.INSTALL_FAILED))


def add_host(change: Change, host: Host, *, activate: bool = True) -> str:
    """The new id. It waits to be enrolled; one that is already is up soon."""
    change.require(Right.CREATE_HOST, Subject(type=ObjectType.CLUSTER, id=host.cluster_id))
    status = HostStatus.INSTALLING if activate else HostStatus.MAINTENANCE
    added = replace(host, id=str(uuid.uuid4()), facts=HostFacts(status=status))
    _check(change, added, "add")
    _check_center(change, added)
    change.session.hosts.add(added)
    change.tell(messages.ADDED, about(added), host=added.name)
    return added.id


def update_host(change: Change, host: Host) -> None:
    change.require(Right.EDIT_HOST_CONFIGURATION, _subject(host.id))
    change.require_unlocked(host.id)
    before = held(change, host.id)
    moved = (host.address, host.port, host.cluster_id) != (before.address, before.port, before.cluster_id)
    if moved:
        _require_status(before, "edit", _MOVABLE)
    if host.cluster_id != before.cluster_id:
        change.require(Right.EDIT_HOST_CONFIGURATION, Subject(type=ObjectType.CLUSTER, id=host.cluster_id))
        _require_no_guests(change, before, "edit")
        _check_center(change, host)
    _check(change, host, "edit")
    change.session.hosts.update(host)
    change.tell(messages.UPDATED, about(host), host=host.name)


def remove_host(change: Change, host_id: str) -> None:
    """The host itself is not told, and goes on with what it does; its certificate is renewed no more."""
    change.require(Right.DELETE_HOST, _subject(host_id))
    change.require_unlocked(host_id)
    host = held(change, host_id)
    if host.facts.status not in _REMOVABLE:
        raise errors.HostIsOperational
    _require_no_guests(change, host, "remove")
    _give_up_storage(change, host)
    give_up_transfers(change, host.id, f"host {host.name} was removed")
    _take_spm(change, host)
    # What may run on a host that is gone, and nowhere else, could never be started again.
    change.session.vms.unpin(host_id)
    change.session.templates.unpin(host_id)
    change.session.hosts.remove(host_id)
    forget(change.session, host_id)
    change.tell(messages.REMOVED, about(host), host=host.name)


def activate_host(change: Change, host_id: str) -> None:
    change.require(Right.MANIPULATE_HOST, _subject(host_id))
    change.require_unlocked(host_id)
    host = held(change, host_id)
    _require_status(host, "activate", _ACTIVATABLE)
    set_status(change, host, HostStatus.UNASSIGNED)
    change.tell(messages.ACTIVATED, about(host), host=host.name)


def approve_host(change: Change, host_id: str) -> None:
    change.require(Right.MANIPULATE_HOST, _subject(host_id))
    change.require_unlocked(host_id)
    host = held(change, host_id)
    _require_status(host, "approve", _APPROVABLE)
    set_status(change, host, HostStatus.UNASSIGNED)
    change.tell(messages.APPROVED, about(host), host=host.name)


def confirm_rebooted(change: Change, host_id: str) -> None:
    """Somebody vouches that nothing runs on a host that does not respond: its guests may be started elsewhere."""
    change.require(Right.MANIPULATE_HOST, _subject(host_id))
    change.require_unlocked(host_id)
    host = held(change, host_id)
    _require_status(host, "fence", frozenset((HostStatus.NON_RESPONSIVE,)))
    change.tell(messages.FENCED, about(host), host=host.name)
    put_down(change.session, host, change.asked, now=now())
    give_up_transfers(change, host.id, f"host {host.name} was rebooted")
    _take_spm(change, host)


def held(change: Change, host_id: str) -> Host:
    """For a change of its facts. Raises NoSuchObject."""
    change.session.hosts.hold_facts([host_id])
    return change.session.hosts.get(host_id)


def set_status(change: Change, host: Host, status: HostStatus) -> None:
    change.session.hosts.update_facts(host.id, replace(host.facts, status=status, status_detail=""))


def about(host: Host) -> About:
    return About(host_id=host.id, cluster_id=host.cluster_id)


def _subject(host_id: str) -> Subject:
    return Subject(type=ObjectType.HOST, id=host_id)


def _check(change: Change, host: Host, action: str) -> None:
    check_name("Host", host.name)
    if not _is_address(host.address):
        raise errors.BadAddress(action=action, address=host.address[:_LONGEST_ADDRESS])
    if not 0 < host.port < 1 << 16 or not 0 < host.ssh_port < 1 << 16:
        raise errors.BadPort
    for column, error in (("name", errors.HostNameInUse), ("address", errors.HostAddressInUse)):
        other = change.session.hosts.find(**{column: getattr(host, column)})
        if other is not None and other.id != host.id:
            raise error(action=action)


def check_new(change: Change, host: Host) -> None:
    """Whether such a host could be added now; its address may still be unknown (empty)."""
    _check(change, host if host.address else replace(host, address="0.0.0.0"), "add")  # noqa: S104 - nobody's


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if len(text) > _LONGEST_ADDRESS or not text or text.replace(".", "").isdecimal():
            return False
        return all(_LABEL.fullmatch(label) for label in text.removesuffix(".").split("."))
    return True


def _check_center(change: Change, host: Host) -> None:
    """Raises LocalStorageHasAHost, when it is another one."""
    session = change.session
    center = session.data_centers.get(session.clusters.get(host.cluster_id).data_center_id)
    if not center.local:
        return
    for cluster in session.clusters.list(ListQuery(where={"data_center_id": center.id})):
        if set(session.hosts.keys_where(cluster_id=cluster.id)) - {host.id}:
            raise errors.LocalStorageHasAHost


def _require_status(host: Host, action: str, allowed: frozenset[HostStatus]) -> None:
    if host.facts.status not in allowed:
        raise errors.WrongHostStatus(
            action=action, host=host.name, status=host.facts.status, allowed=", ".join(sorted(allowed))
        )


def _require_no_guests(change: Change, host: Host, action: str) -> None:
    found = guests_of(change.session, host.id)
    if found:
        raise errors.HostRunsVms(action=action, host=host.name, vms=names(found))


def _give_up_storage(change: Change, host: Host) -> None:
    """Its directories, which nobody else reaches, are no connections any more. Raises HostHasStorage while storage
    domains lie there."""
    own = change.session.storage_connections.list(ListQuery(where={"host_id": host.id}))
    there = ListQuery(where={"connection_id": tuple(each.id for each in own)})
    domains = [domain.name for domain in change.session.storage_domains.list(there)] if own else []
    if domains:
        raise errors.HostHasStorage(host=host.name, domains=", ".join(domains))
    for each in own:
        change.session.storage_connections.remove(each.id)


def _take_spm(change: Change, host: Host) -> None:
    """Another host may become the storage pool's manager."""
    for center in change.session.data_centers.list(ListQuery(where={"spm_host_id": host.id})):
        change.session.data_centers.update(replace(center, spm_host_id=None))
    fresh = change.session.hosts.get(host.id)
    if fresh.facts.spm_status is not SpmStatus.NONE:
        change.session.hosts.update_facts(host.id, replace(fresh.facts, spm_status=SpmStatus.NONE))
