# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Removes a storage domain that is attached to no data center."""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Conflict
from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.forget import forget
from covirt.engine.commands.storage import messages
from covirt.engine.commands.storage.facts import HostNotUp, about, connection_of, of_domain, storage_of
from covirt.engine.model.storage_domain import StorageConnection, StorageDomainStatus


class StillAttached(Conflict):
    template = "Cannot remove Storage. {name} is attached to a Data Center; detach it first."


class StorageNotEmpty(Conflict):
    template = "Cannot remove Storage. It still holds the disks: {names}. Remove them first."


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveStorageDomain(Command):
    """Of one that is attached to no data center. ``format``: what it holds on its storage is removed, too;
    ``destroy``: the host is not asked at all, since the storage is gone for good."""

    action: ClassVar = "RemoveStorageDomain"

    domain_id: str
    host_id: str | None
    format: bool = False
    destroy: bool = False

    def begin(self, start: Start) -> None:
        domain = start.session.storage_domains.get(self.domain_id)
        start.require(Right.DELETE_STORAGE_DOMAIN, of_domain(domain.id))
        start.lock(domain.id, f"Storage Domain {domain.name} is being removed")
        if domain.data_center_id is not None:
            raise StillAttached(name=domain.name)
        disks = start.session.disks.where_in("storage_domain_id", [domain.id])
        if disks and not self.destroy:
            raise StorageNotEmpty(names=", ".join(sorted(disk.name for disk in disks)[:10]))
        if not self.destroy:
            host = start.session.hosts.get(self.host_id)
            if not start.services.hosts.is_up(host.id):
                raise HostNotUp(action="remove", name=host.name)
        start.session.storage_domains.update(replace(domain, status=StorageDomainStatus.LOCKED))
        start.describe(f"Removing Storage Domain {domain.name}", {domain.id})

    def run(self, flow: Flow) -> JsonValue:
        if not self.destroy and self.format:
            flow.step("Formatting the Storage Domain", self._format)
        if not self.destroy:
            flow.step("Disconnecting the host from the storage", self._disconnect)
        return None

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        domain = session.storage_domains.get(self.domain_id)
        for disk in session.disks.where_in("storage_domain_id", [domain.id]):
            session.disks.remove(disk.id)
            forget(session, disk.id)
        session.storage_domains.remove(domain.id)
        forget(session, domain.id)
        if domain.connection_id and session.storage_domains.find(connection_id=domain.connection_id) is None:
            session.storage_connections.remove(domain.connection_id)
        finish.tell(messages.REMOVED, about(domain), domain=domain.name)

    def failed(self, finish: Finish, reason: str) -> None:
        domain = finish.session.storage_domains.get(self.domain_id)
        finish.session.storage_domains.update(replace(domain, status=StorageDomainStatus.UNATTACHED))
        finish.tell(messages.REMOVE_FAILED, about(domain), domain=domain.name, reason=reason)

    def _format(self, doing: Doing) -> JsonValue:
        storage = storage_of(doing, str(self.host_id))
        storage.connect_server(self._connection(doing))
        storage.format_domain(self.domain_id)
        return None

    def _disconnect(self, doing: Doing) -> JsonValue:
        storage_of(doing, str(self.host_id)).disconnect_server(self._connection(doing))
        return None

    def _connection(self, doing: Doing) -> StorageConnection:
        with doing.services.store.read() as session:
            return connection_of(session, session.storage_domains.get(self.domain_id))
