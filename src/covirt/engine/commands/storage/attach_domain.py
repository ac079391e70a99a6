# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Attaches a storage domain to a data center and activates it; the first one makes the data center's pool."""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Conflict
from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.storage import messages
from covirt.engine.commands.storage.facts import (
    WrongStatus,
    about,
    connection_of,
    domains_of,
    hosts_of,
    leave_server,
    of_data_center,
    storage_of,
    working_host,
)
from covirt.engine.model.data_center import DataCenter, DataCenterStatus
from covirt.engine.model.storage_domain import StorageConnection, StorageDomain, StorageDomainStatus, StorageType
from covirt.engine.storage.host_storage import words_of
from covirt.engine.store.session import Session


class WrongStorageType(Conflict):
    """Fields: type, data_center, other."""

    template = (
        "Cannot attach Storage. {type} cannot be attached to Data Center {data_center}, whose storage is {other}."
    )


class SeveralHosts(Conflict):
    template = "Cannot attach Storage. Local storage has one host, and Data Center {data_center} has {count}."


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachStorageDomain(Command):
    action: ClassVar = "AttachStorageDomainToPool"

    domain_id: str
    data_center_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        domain, center = session.storage_domains.get(self.domain_id), session.data_centers.get(self.data_center_id)
        start.require(Right.MANIPULATE_STORAGE_DOMAIN, of_data_center(center.id))
        start.lock(domain.id, f"Storage Domain {domain.name} is being attached")
        start.lock(center.id, f"storage of Data Center {center.name} is being changed")
        if domain.status is not StorageDomainStatus.UNATTACHED:
            raise WrongStatus(action="attach", status=domain.status)
        self._check_type(session, domain, center)
        working_host(session, start.services.hosts, center, connection_of(session, domain), "attach")
        locked = replace(domain, data_center_id=center.id, status=StorageDomainStatus.LOCKED)
        session.storage_domains.update(replace(locked, master=not domains_of(session, center.id)))
        start.describe(f"Attaching Storage Domain {domain.name} to Data Center {center.name}", {domain.id, center.id})

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", self._choose)
        flow.step("Connecting the host to the storage", self._connect, host_id, undo=self._leave)
        flow.step("Attaching the Storage Domain", self._attach, host_id, undo=self._detach)
        flow.step("Activating the Storage Domain", self._activate, host_id)
        return host_id

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        domain, center = self._both(session)
        session.storage_domains.update(replace(domain, status=StorageDomainStatus.ACTIVE))
        session.data_centers.update(
            replace(center, status=DataCenterStatus.UP, spm_host_id=str(finish.result) if finish.result else None)
        )
        finish.tell(messages.ATTACHED, about(domain), domain=domain.name, data_center=center.name)

    def failed(self, finish: Finish, reason: str) -> None:
        domain, center = self._both(finish.session)
        finish.session.storage_domains.update(
            replace(domain, status=StorageDomainStatus.UNATTACHED, data_center_id=None, master=False)
        )
        finish.tell(
            messages.ATTACH_FAILED,
            about(domain, center.id),
            domain=domain.name,
            data_center=center.name,
            reason=reason,
        )

    def _check_type(self, session: Session, domain: StorageDomain, center: DataCenter) -> None:
        local = connection_of(session, domain).type is StorageType.LOCALFS
        if local != center.local:
            raise WrongStorageType(
                type="Local storage" if local else "Shared storage",
                data_center=center.name,
                other="local" if center.local else "shared",
            )
        count = len(hosts_of(session, center.id))
        if local and count > 1:
            raise SeveralHosts(data_center=center.name, count=count)

    def _both(self, session: Session) -> tuple[StorageDomain, DataCenter]:
        return session.storage_domains.get(self.domain_id), session.data_centers.get(self.data_center_id)

    def _choose(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            domain, center = self._both(session)
            connection = connection_of(session, domain)
            return working_host(session, doing.services.hosts, center, connection, "attach").id

    def _connect(self, doing: Doing, host_id: str) -> JsonValue:
        storage_of(doing, host_id).connect_server(self._connection(doing))
        return None

    def _leave(self, doing: Doing, host_id: str) -> JsonValue:
        leave_server(doing, host_id, self._connection(doing))
        return None

    def _connection(self, doing: Doing) -> StorageConnection:
        with doing.services.store.read() as session:
            return connection_of(session, session.storage_domains.get(self.domain_id))

    def _attach(self, doing: Doing, host_id: str) -> JsonValue:
        with doing.services.store.read() as session:
            domain, center = self._both(session)
            statuses = words_of(domains_of(session, center.id))
        storage = storage_of(doing, host_id)
        if domain.master:
            storage.create_pool(center.id, center.name, domain.id)
            storage.connect_pool(center.id, domain.id, statuses)
            storage.become_manager(center.id)
        else:
            storage.attach_domain(center.id, domain.id)
        return None

    def _detach(self, doing: Doing, host_id: str) -> JsonValue:
        with doing.services.store.read() as session:
            domain, center = self._both(session)
        storage = storage_of(doing, host_id)
        if domain.master:
            storage.destroy_pool(center.id)
        else:
            storage.detach_domain(center.id, domain.id)
        return None

    def _activate(self, doing: Doing, host_id: str) -> JsonValue:
        storage_of(doing, host_id).activate_domain(self.data_center_id, self.domain_id)
        return None
