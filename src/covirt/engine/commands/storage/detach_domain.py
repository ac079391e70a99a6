# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Takes a storage domain out of its data center. With the last one, the master, the pool is dissolved."""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Conflict
from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.storage import messages
from covirt.engine.commands.storage.activate_domain import attached_domain, choose_host
from covirt.engine.commands.storage.facts import (
    StorageInUse,
    WrongStatus,
    about,
    connection_of,
    domains_of,
    of_domain,
    storage_of,
    working_host,
)
from covirt.engine.model.data_center import DataCenterStatus
from covirt.engine.model.storage_domain import StorageDomainStatus


class MasterStays(Conflict):
    template = "Cannot detach Storage. {name} is the master Storage Domain; detach the others first: {others}."


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachStorageDomain(Command):
    action: ClassVar = "DetachStorageDomainFromPool"

    domain_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        domain, center = attached_domain(session, self.domain_id, "detach")
        start.require(Right.MANIPULATE_STORAGE_DOMAIN, of_domain(domain.id))
        start.lock(domain.id, f"Storage Domain {domain.name} is being detached")
        start.lock(center.id, f"storage of Data Center {center.name} is being changed")
        if domain.status is not StorageDomainStatus.MAINTENANCE:
            raise WrongStatus(action="detach", status=domain.status)
        others = [each.name for each in domains_of(session, center.id) if each.id != domain.id]
        if domain.master and others:
            raise MasterStays(name=domain.name, others=", ".join(others))
        disks = session.disks.where_in("storage_domain_id", [domain.id])
        attached = session.disk_attachments.where_in("disk_id", [disk.id for disk in disks])
        vms = session.vms.by_ids({each.vm_id for each in attached if each.vm_id})
        if vms:
            names = ", ".join(sorted(vm.name for vm in vms.values())[:10])
            raise StorageInUse(action="detach", what=f"disks of these VMs: {names}")
        working_host(session, start.services.hosts, center, connection_of(session, domain), "detach")
        session.storage_domains.update(replace(domain, status=StorageDomainStatus.DETACHING))
        start.describe(f"Detaching Storage Domain {domain.name}", {domain.id, center.id})

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", choose_host, self.domain_id, "detach")
        flow.step("Detaching the Storage Domain", self._detach, host_id)
        return None

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        domain, center = attached_domain(session, self.domain_id, "detach")
        session.storage_domains.update(
            replace(domain, status=StorageDomainStatus.UNATTACHED, data_center_id=None, master=False)
        )
        if domain.master:
            session.data_centers.update(replace(center, status=DataCenterStatus.UNINITIALIZED, spm_host_id=None))
        finish.tell(messages.DETACHED, about(domain), domain=domain.name, data_center=center.name)

    def failed(self, finish: Finish, reason: str) -> None:
        domain, center = attached_domain(finish.session, self.domain_id, "detach")
        finish.session.storage_domains.update(replace(domain, status=StorageDomainStatus.MAINTENANCE))
        finish.tell(messages.DETACH_FAILED, about(domain), domain=domain.name, data_center=center.name, reason=reason)

    def _detach(self, doing: Doing, host_id: str) -> JsonValue:
        with doing.services.store.read() as session:
            domain, center = attached_domain(session, self.domain_id, "detach")
            connection = connection_of(session, domain)
        storage = storage_of(doing, host_id)
        if domain.master:
            storage.connect_server(connection)
            if not storage.is_free(domain.id):
                storage.connect_pool(center.id, domain.id, {domain.id: "attached"})
                storage.become_manager(center.id)
                storage.destroy_pool(center.id)
        else:
            storage.detach_domain(center.id, domain.id)
        return None
