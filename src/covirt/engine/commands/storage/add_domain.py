# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a storage domain on a directory of a host, or on an export. It belongs to no data center yet."""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.storage import messages
from covirt.engine.commands.storage.facts import HostNotUp, about, leave_server, storage_of
from covirt.engine.model.storage_domain import (
    DiskProfile,
    StorageConnection,
    StorageDomain,
    StorageDomainFacts,
    StorageDomainStatus,
    StorageType,
)
from covirt.engine.storage.errors import StorageTypeNotServed

_SERVED = (StorageType.LOCALFS, StorageType.NFS)


class ConnectionInUse(Conflict):
    template = "Cannot add Storage. {path} is used by Storage Domain {domain} already."


class BadStoragePath(InvalidRequest):
    template = "Cannot add Storage. '{path}' must be an absolute path without '..' in it."


@dataclass(frozen=True, slots=True, kw_only=True)
class AddStorageDomain(Command):
    """The caller chooses the ids; ``profile_id`` is of the disk profile that every domain begins with."""

    action: ClassVar = "AddStorageDomain"

    domain: StorageDomain
    connection: StorageConnection
    host_id: str
    profile_id: str

    def begin(self, start: Start) -> None:
        start.require(Right.CREATE_STORAGE_DOMAIN)
        session, connection = start.session, self.connection
        host = session.hosts.get(self.host_id)
        self._check(start)
        if not start.services.hosts.is_up(host.id):
            raise HostNotUp(action="add", name=host.name)
        session.storage_connections.add(connection)
        session.storage_domains.add(replace(self.domain, status=StorageDomainStatus.LOCKED))
        session.disk_profiles.add(
            DiskProfile(id=self.profile_id, name=self.domain.name, storage_domain_id=self.domain.id)
        )
        start.lock(self.domain.id, f"Storage Domain {self.domain.name} is being added")
        start.describe(f"Adding Storage Domain {self.domain.name}", {self.domain.id, host.id})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Connecting the host to the storage", self._connect, undo=self._leave)
        flow.step("Creating the Storage Domain", self._create, undo=self._format)
        return flow.step("Looking at its size", self._sizes)

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        session.storage_domains.update(self._now(finish, StorageDomainStatus.UNATTACHED))
        if isinstance(finish.result, list) and len(finish.result) == 2:
            total, free = (int(str(each)) for each in finish.result)
            session.storage_domains.update_facts(
                self.domain.id, StorageDomainFacts(available_bytes=free, used_bytes=max(0, total - free))
            )
        finish.tell(messages.ADDED, about(self.domain), domain=self.domain.name)

    def failed(self, finish: Finish, reason: str) -> None:
        finish.session.storage_domains.remove(self.domain.id)
        finish.session.storage_connections.remove(self.connection.id)
        finish.tell(messages.ADD_FAILED, domain=self.domain.name, reason=reason)

    def _check(self, start: Start) -> None:
        connection = self.connection
        if connection.type not in _SERVED:
            raise StorageTypeNotServed(action="add", type=connection.type)
        if not connection.path.startswith("/") or ".." in connection.path.split("/") or "\0" in connection.path:
            raise BadStoragePath(path=connection.path)
        other = start.session.storage_connections.find(
            path=connection.path, address=connection.address, host_id=connection.host_id
        )
        if other is not None:
            domain = start.session.storage_domains.find(connection_id=other.id)
            raise ConnectionInUse(path=connection.path, domain=domain.name if domain else "another one")

    def _now(self, finish: Finish, status: StorageDomainStatus) -> StorageDomain:
        return replace(finish.session.storage_domains.get(self.domain.id), status=status)

    def _connect(self, doing: Doing) -> JsonValue:
        storage_of(doing, self.host_id).connect_server(self.connection)
        return None

    def _leave(self, doing: Doing) -> JsonValue:
        leave_server(doing, self.host_id, self.connection)
        return None

    def _create(self, doing: Doing) -> JsonValue:
        storage_of(doing, self.host_id).create_domain(self.domain.id, self.domain.name, self.connection)
        return None

    def _format(self, doing: Doing) -> JsonValue:
        storage_of(doing, self.host_id).format_domain(self.domain.id)
        return None

    def _sizes(self, doing: Doing) -> JsonValue:
        return list(storage_of(doing, self.host_id).domain_sizes(self.domain.id))
