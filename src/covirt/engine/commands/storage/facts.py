# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What commands about storage need to know before they begin."""

import logging
from collections.abc import Sequence

from covirt.common.errors import Conflict, Error
from covirt.engine.commands.audit import About
from covirt.engine.commands.command import Doing
from covirt.engine.hosts.connections import Hosts
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.data_center import DataCenter
from covirt.engine.model.host import Host
from covirt.engine.model.storage_domain import StorageConnection, StorageDomain
from covirt.engine.model.vm import VmStatus
from covirt.engine.storage.errors import NoHostForStorage
from covirt.engine.storage.host_jobs import HostJobs
from covirt.engine.storage.host_storage import HostStorage
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

log = logging.getLogger(__name__)


class WrongStatus(Conflict):
    """Fields: action, status."""

    template = "Cannot {action} Storage. The relevant Storage Domain's status is {status}."


class HostNotUp(Conflict):
    """Fields: action, name."""

    template = "Cannot {action} Storage. Host {name} is not up; activate it first."


class StorageInUse(Conflict):
    """Fields: action, what."""

    template = "Cannot {action} Storage. It is in use by {what}."


def of_domain(domain_id: str) -> Subject:
    return Subject(type=ObjectType.STORAGE_DOMAIN, id=domain_id)


def of_data_center(data_center_id: str) -> Subject:
    return Subject(type=ObjectType.DATA_CENTER, id=data_center_id)


def about(domain: StorageDomain, data_center_id: str | None = None) -> About:
    return About(storage_domain_id=domain.id, data_center_id=data_center_id or domain.data_center_id)


def connection_of(session: Session, domain: StorageDomain) -> StorageConnection:
    connection: StorageConnection = session.storage_connections.get(domain.connection_id)
    return connection


def hosts_of(session: Session, data_center_id: str) -> Sequence[Host]:
    clusters = session.clusters.where_in("data_center_id", [data_center_id])
    return sorted(
        session.hosts.where_in("cluster_id", [cluster.id for cluster in clusters]), key=lambda host: host.name
    )


def working_host(
    session: Session, hosts: Hosts, data_center: DataCenter, connection: StorageConnection, action: str
) -> Host:
    """The one that manages the data center's storage, or may: a directory's own host, and otherwise the one that does
    already, or the first that is up. Raises NoHostForStorage."""
    ready = [
        host
        for host in hosts_of(session, data_center.id)
        if hosts.is_up(host.id) and connection.host_id in (None, host.id)
    ]
    if not ready:
        raise NoHostForStorage(action=action, data_center=data_center.name)
    return next((host for host in ready if host.id == data_center.spm_host_id), ready[0])


def domains_of(session: Session, data_center_id: str) -> Sequence[StorageDomain]:
    return session.storage_domains.list(ListQuery(where={"data_center_id": data_center_id}))


def storage_of(doing: Doing, host_id: str) -> HostStorage:
    return HostStorage(
        hosts=doing.services.hosts, host_id=host_id, pause=doing.pause, flow_id=doing.asked.correlation_id
    )


def leave_server(doing: Doing, host_id: str, connection: StorageConnection) -> None:
    """Undoing a connection. A host that cannot leave, or does not answer, stays connected, which harms nobody: an
    operation that has failed need not wait for it."""
    try:
        storage_of(doing, host_id).disconnect_server(connection)
    except Error as error:
        log.warning("A host stays connected to storage host=%s reason=%s", host_id, error)


def check_unused(session: Session, domain: StorageDomain, action: str) -> None:
    """Raises StorageInUse while machines that run have disks on it."""
    disks = session.disks.list(ListQuery(where={"storage_domain_id": domain.id}))
    attachments = session.disk_attachments.where_in("disk_id", [disk.id for disk in disks])
    vms = session.vms.by_ids({each.vm_id for each in attachments if each.vm_id})
    running = sorted(vm.name for vm in vms.values() if vm.facts.status is not VmStatus.DOWN)
    if running:
        raise StorageInUse(action=action, what=f"these VMs, which run: {', '.join(running)}")


def jobs_of(doing: Doing, host_id: str) -> HostJobs:
    return HostJobs(
        hosts=doing.services.hosts,
        host_id=host_id,
        pause=doing.pause,
        progress=doing.progress,
        flow_id=doing.asked.correlation_id,
    )
