# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a host does before it is up, and before it rests: it connects to the storage of its data center, as it was
before, and gives it back."""

import time
from dataclasses import dataclass, replace

from covirt.engine.hosts.connections import Hosts
from covirt.engine.model.data_center import DataCenter, DataCenterStatus
from covirt.engine.model.storage_domain import StorageConnection, StorageDomain, StorageDomainStatus
from covirt.engine.storage.host_storage import HostStorage, words_of
from covirt.engine.store.query import ListQuery
from covirt.engine.store.store import Store

_WANTED = (StorageDomainStatus.ACTIVE, StorageDomainStatus.INACTIVE, StorageDomainStatus.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Storage:
    """Of the data center: its domains, and how those are reached that the host must have."""

    center: DataCenter
    domains: tuple[StorageDomain, ...]
    master: StorageDomain | None
    wanted: tuple[tuple[StorageDomain, StorageConnection], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePreparation:
    """Given to Hosts.add_preparation."""

    store: Store
    hosts: Hosts

    def __call__(self, host_id: str) -> None:
        """Raises when the host cannot have the storage; then it cannot be up."""
        storage = _storage_of(self.store, host_id)
        if storage.master is None or storage.master.status not in _WANTED:
            return
        host = HostStorage(hosts=self.hosts, host_id=host_id, pause=time.sleep)
        for _, connection in storage.wanted:
            host.connect_server(connection)
        host.connect_pool(storage.center.id, storage.master.id, words_of(storage.domains))
        if storage.center.spm_host_id in (None, host_id):
            host.become_manager(storage.center.id)
            for domain, _ in storage.wanted:
                host.activate_domain(storage.center.id, domain.id)
            self._manages(storage, host_id)

    def _manages(self, storage: _Storage, host_id: str) -> None:
        with self.store.write() as session:
            center = session.data_centers.get(storage.center.id)
            session.data_centers.update(replace(center, status=DataCenterStatus.UP, spm_host_id=host_id))
            for domain, _ in storage.wanted:
                now = session.storage_domains.get(domain.id)
                if now.status in _WANTED and not session.commands.is_locked(domain.id):
                    session.storage_domains.update(replace(now, status=StorageDomainStatus.ACTIVE))


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRelease:
    """Given to Hosts.add_release."""

    store: Store
    hosts: Hosts

    def __call__(self, host_id: str) -> None:
        """Another host may become the pool's manager. Raises when the host cannot let go."""
        storage = _storage_of(self.store, host_id)
        if storage.master is not None and storage.master.status in _WANTED:
            host = HostStorage(hosts=self.hosts, host_id=host_id, pause=time.sleep)
            host.leave_pool(storage.center.id)
            for _, connection in storage.wanted:
                host.disconnect_server(connection)
        with self.store.write() as session:
            center = session.data_centers.get(storage.center.id)
            if center.spm_host_id == host_id:
                status = center.status if storage.master is None else DataCenterStatus.NOT_OPERATIONAL
                session.data_centers.update(replace(center, spm_host_id=None, status=status))


def _storage_of(store: Store, host_id: str) -> _Storage:
    with store.read() as session:
        cluster = session.clusters.get(session.hosts.get(host_id).cluster_id)
        center = session.data_centers.get(cluster.data_center_id)
        domains = tuple(session.storage_domains.list(ListQuery(where={"data_center_id": center.id})))
        connections = session.storage_connections.by_ids({each.connection_id for each in domains})
    reached = ((each, connections[each.connection_id]) for each in domains if each.status in _WANTED)
    return _Storage(
        center=center,
        domains=domains,
        master=next((each for each in domains if each.master), None),
        wanted=tuple(pair for pair in reached if pair[1].host_id in (None, host_id)),
    )
