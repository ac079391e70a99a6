# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Takes an attached storage domain into use, and out of it for maintenance.

The master goes to maintenance last and comes back first: with it the data center as a whole does.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Conflict
from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.storage import messages
from covirt.engine.commands.storage.facts import (
    StorageInUse,
    WrongStatus,
    about,
    check_unused,
    connection_of,
    domains_of,
    of_domain,
    storage_of,
    working_host,
)
from covirt.engine.model.data_center import DataCenter, DataCenterStatus
from covirt.engine.model.disk import DiskStatus
from covirt.engine.model.storage_domain import StorageDomain, StorageDomainStatus
from covirt.engine.storage.host_storage import words_of
from covirt.engine.store.session import Session

_OUT_OF_USE = (StorageDomainStatus.MAINTENANCE, StorageDomainStatus.INACTIVE, StorageDomainStatus.UNKNOWN)
_IN_USE = (StorageDomainStatus.ACTIVE, StorageDomainStatus.INACTIVE, StorageDomainStatus.UNKNOWN)


class NotAttached(Conflict):
    template = "Cannot {action} Storage. {name} is attached to no Data Center; attach it first."


class MasterFirst(Conflict):
    template = "Cannot activate Storage. Activate the master Storage Domain {master} first."


class MasterLast(Conflict):
    template = (
        "Cannot deactivate Storage. {name} is the master Storage Domain; deactivate the others first: {others}."
    )


def attached_domain(session: Session, domain_id: str, action: str) -> tuple[StorageDomain, DataCenter]:
    """Raises NotAttached."""
    domain = session.storage_domains.get(domain_id)
    if domain.data_center_id is None:
        raise NotAttached(action=action, name=domain.name)
    return domain, session.data_centers.get(domain.data_center_id)


def choose_host(doing: Doing, domain_id: str, action: str) -> JsonValue:
    """The id of one that can work with the domain."""
    with doing.services.store.read() as session:
        domain, center = attached_domain(session, domain_id, action)
        return working_host(session, doing.services.hosts, center, connection_of(session, domain), action).id


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateStorageDomain(Command):
    action: ClassVar = "ActivateStorageDomain"

    domain_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        domain, center = attached_domain(session, self.domain_id, "activate")
        start.require(Right.MANIPULATE_STORAGE_DOMAIN, of_domain(domain.id))
        start.lock(domain.id, f"Storage Domain {domain.name} is being activated")
        start.lock(center.id, f"storage of Data Center {center.name} is being changed")
        if domain.status not in _OUT_OF_USE:
            raise WrongStatus(action="activate", status=domain.status)
        master = next((each for each in domains_of(session, center.id) if each.master), domain)
        if master.id != domain.id and master.status is not StorageDomainStatus.ACTIVE:
            raise MasterFirst(master=master.name)
        working_host(session, start.services.hosts, center, connection_of(session, domain), "activate")
        session.storage_domains.update(replace(domain, status=StorageDomainStatus.ACTIVATING))
        start.describe(f"Activating Storage Domain {domain.name}", {domain.id, center.id})

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", choose_host, self.domain_id, "activate")
        flow.step("Activating the Storage Domain", self._activate, host_id)
        return host_id

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        domain, center = attached_domain(session, self.domain_id, "activate")
        session.storage_domains.update(replace(domain, status=StorageDomainStatus.ACTIVE))
        session.data_centers.update(
            replace(center, status=DataCenterStatus.UP, spm_host_id=str(finish.result) if finish.result else None)
        )
        finish.tell(messages.ACTIVATED, about(domain), domain=domain.name, data_center=center.name)

    def failed(self, finish: Finish, reason: str) -> None:
        domain, center = attached_domain(finish.session, self.domain_id, "activate")
        finish.session.storage_domains.update(replace(domain, status=StorageDomainStatus.INACTIVE))
        finish.tell(
            messages.ACTIVATE_FAILED, about(domain), domain=domain.name, data_center=center.name, reason=reason
        )

    def _activate(self, doing: Doing, host_id: str) -> JsonValue:
        with doing.services.store.read() as session:
            domain, center = attached_domain(session, self.domain_id, "activate")
            connection, domains = connection_of(session, domain), domains_of(session, center.id)
        storage = storage_of(doing, host_id)
        storage.connect_server(connection)
        if domain.master:
            storage.connect_pool(center.id, domain.id, words_of(domains))
            storage.become_manager(center.id)
        storage.activate_domain(center.id, domain.id)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeactivateStorageDomain(Command):
    action: ClassVar = "DeactivateStorageDomainWithOvfUpdate"

    domain_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        domain, center = attached_domain(session, self.domain_id, "deactivate")
        start.require(Right.MANIPULATE_STORAGE_DOMAIN, of_domain(domain.id))
        start.lock(domain.id, f"Storage Domain {domain.name} is being deactivated")
        start.lock(center.id, f"storage of Data Center {center.name} is being changed")
        if domain.status not in _IN_USE:
            raise WrongStatus(action="deactivate", status=domain.status)
        others = [
            each.name for each in domains_of(session, center.id) if each.id != domain.id and each.status in _IN_USE
        ]
        if domain.master and others:
            raise MasterLast(name=domain.name, others=", ".join(others))
        check_unused(session, domain, "deactivate")
        for disk in session.disks.where_in("storage_domain_id", [domain.id]):
            if session.commands.is_locked(disk.id):
                raise StorageInUse(action="deactivate", what=f"an operation on disk {disk.name}")
            if disk.status is DiskStatus.LOCKED:  # between operations that is who transfers it
                what = f"the transfer of disk {disk.name}; finalize or cancel that first"
                raise StorageInUse(action="deactivate", what=what)
        working_host(session, start.services.hosts, center, connection_of(session, domain), "deactivate")
        session.storage_domains.update(replace(domain, status=StorageDomainStatus.PREPARING_FOR_MAINTENANCE))
        start.describe(f"Deactivating Storage Domain {domain.name}", {domain.id, center.id})

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", choose_host, self.domain_id, "deactivate")
        flow.step("Deactivating the Storage Domain", self._deactivate, host_id)
        return None

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        domain, center = attached_domain(session, self.domain_id, "deactivate")
        session.storage_domains.update(replace(domain, status=StorageDomainStatus.MAINTENANCE))
        if domain.master:
            session.data_centers.update(replace(center, status=DataCenterStatus.MAINTENANCE, spm_host_id=None))
        finish.tell(messages.DEACTIVATED, about(domain), domain=domain.name, data_center=center.name)

    def failed(self, finish: Finish, reason: str) -> None:
        domain, center = attached_domain(finish.session, self.domain_id, "deactivate")
        finish.session.storage_domains.update(replace(domain, status=StorageDomainStatus.ACTIVE))
        finish.tell(
            messages.DEACTIVATE_FAILED, about(domain), domain=domain.name, data_center=center.name, reason=reason
        )

    def _deactivate(self, doing: Doing, host_id: str) -> JsonValue:
        with doing.services.store.read() as session:
            domain, center = attached_domain(session, self.domain_id, "deactivate")
        storage = storage_of(doing, host_id)
        if domain.master:
            storage.leave_pool(center.id)
        else:
            storage.deactivate_domain(center.id, domain.id)
        return None
