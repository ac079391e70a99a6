# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs about storage servers and the storage pool, answered."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from covirt.common.errors import Error
from covirt.host.storage.connections import Connection
from covirt.host.storage.domain_format import BLANK_ID, DomainClass, DomainStatus, domains_text
from covirt.host.storage.pool import lease_values
from covirt.host.storage.pools import SPM_START, NewPool
from covirt.host.storage.storage import Storage
from covirt.host.storage.storage_errors import BadStorageValue
from covirt.host.storage.tasks import Tasks
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.verbs.faults import described
from covirt.hostapi.json import JsonValue
from covirt.hostapi.storage import (
    ConnectionParams,
    ConnectPoolParams,
    CreatePoolParams,
    DescribePoolParams,
    LeavePoolParams,
    PoolParams,
    RepoStatsParams,
    ServersParams,
    SpmStartParams,
    StorageDomainsParams,
)
from covirt.hostapi.verb import Params

_FAILED_TO_CONNECT: Final = 451


class StoragePoolVerbs:
    def __init__(self, *, storage: Storage, tasks: Tasks) -> None:
        self._storage = storage
        self._pools = storage.pools
        self._tasks = tasks

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "StoragePool.connectStorageServer": self.connect_servers,
            "StoragePool.disconnectStorageServer": self.disconnect_servers,
            "StoragePool.create": self.create,
            "StoragePool.connect": self.connect,
            "StoragePool.disconnect": self.disconnect,
            "StoragePool.destroy": self.destroy,
            "StoragePool.spmStart": self.start_spm,
            "StoragePool.spmStop": self.stop_spm,
            "StoragePool.getSpmStatus": self.get_spm_status,
            "StoragePool.getInfo": self.get_info,
            "StoragePool.setDescription": self.set_description,
            "Host.getConnectedStoragePools": self.get_connected,
            "Host.getStorageDomains": self.get_storage_domains,
            "Host.getStorageRepoStats": self.get_repo_stats,
        }

    def connect_servers(self, params: ServersParams, _context: CallContext) -> JsonValue:
        return _each(params, self._storage.connect_server)

    def disconnect_servers(self, params: ServersParams, _context: CallContext) -> JsonValue:
        return _each(params, self._storage.disconnect_server)

    def create(self, params: CreatePoolParams, _context: CallContext) -> JsonValue:
        leases = lease_values(
            renewal_seconds=params.renewal_seconds,
            lease_seconds=params.lease_seconds,
            io_seconds=params.io_seconds,
            retries=params.lease_retries,
        )
        new = NewPool(
            id=params.pool_id,
            name=params.name,
            master_id=params.master_id,
            master_version=params.master_version,
            domain_ids=params.domain_ids,
            leases=leases,
        )
        self._pools.create(new)
        return None

    def connect(self, params: ConnectPoolParams, _context: CallContext) -> JsonValue:
        told = params.domains
        self._pools.connect(
            pool_id=params.pool_id,
            host_id=params.host_id,
            master_id=params.master_id,
            master_version=params.master_version,
            told_domains={key: _status(status) for key, status in told.items()} if told else None,
        )
        return None

    def disconnect(self, params: LeavePoolParams, _context: CallContext) -> JsonValue:
        self._pools.disconnect(params.pool_id)
        return None

    def destroy(self, params: LeavePoolParams, _context: CallContext) -> JsonValue:
        self._pools.destroy(params.pool_id)
        return None

    def start_spm(self, params: SpmStartParams, _context: CallContext) -> JsonValue:
        pool = self._pools.get(params.pool_id)
        return self._tasks.submit(SPM_START, {"pool_id": pool.id})

    def stop_spm(self, params: PoolParams, _context: CallContext) -> JsonValue:
        self._pools.stop_spm(params.pool_id)
        return None

    def get_spm_status(self, params: PoolParams, _context: CallContext) -> JsonValue:
        spm = self._pools.spm(params.pool_id)
        return {"spmStatus": spm.status, "spmLver": spm.lver, "spmId": spm.host_id}

    def get_info(self, params: PoolParams, _context: CallContext) -> JsonValue:
        pool, master = self._pools.get(params.pool_id), self._pools.master(params.pool_id)
        spm = self._pools.spm(params.pool_id)
        info: dict[str, JsonValue] = {
            "domains": domains_text(self._pools.domains(params.pool_id)),
            "isoprefix": "",
            "lver": spm.lver,
            "master_uuid": pool.master_id,
            "master_ver": pool.master_version,
            "name": master.pool_name if pool.told_domains is None else "No Description",
            "pool_status": "connected",
            "spm_id": spm.host_id,
            "type": master.storage_type.name,
            "version": str(master.version),
        }
        return {"info": info, "dominfo": self._storage.pool_domain_statistics(params.pool_id)}

    def set_description(self, params: DescribePoolParams, _context: CallContext) -> JsonValue:
        self._pools.rename(params.pool_id, params.description)
        return None

    def get_connected(self, _params: Params, _context: CallContext) -> JsonValue:
        return self._pools.connected()

    def get_storage_domains(self, params: StorageDomainsParams, _context: CallContext) -> JsonValue:
        in_pool = params.pool_id != BLANK_ID
        found = list(self._pools.domains(params.pool_id)) if in_pool else self._storage.domains.list()
        return [domain_id for domain_id in found if self._fits(domain_id, params)]

    def get_repo_stats(self, params: RepoStatsParams, _context: CallContext) -> JsonValue:
        found = self._storage.repository_statistics()
        return {key: value for key, value in found.items() if not params.domains or key in params.domains}

    def _fits(self, domain_id: str, params: StorageDomainsParams) -> bool:
        if not (params.domain_class or params.storage_type or params.remote_path):
            return True
        try:
            metadata = self._storage.domains.metadata(domain_id)
        except Error:
            return False
        return (
            params.domain_class in (None, 0) or metadata.domain_class is DomainClass.of(params.domain_class or 0)
        ) and (
            params.storage_type in (None, 0, metadata.storage_type)
            and params.remote_path in (None, "", metadata.remote_path)
        )


def _status(text: str) -> DomainStatus:
    try:
        return DomainStatus(text.capitalize())
    except ValueError:
        raise BadStorageValue(name="domainDict", value=text, reason="active and attached are statuses") from None


def _each(params: ServersParams, act: Callable[[int, Connection], object]) -> JsonValue:
    """Each server has an answer of its own."""
    statuses = [_status_of(partial(act, params.domain_type, _connection(one))) for one in params.connections]
    return [{"id": one.id, "status": status} for one, status in zip(params.connections, statuses, strict=True)]


def _status_of(act: Callable[[], object]) -> int:
    try:
        act()
    except Error as error:
        return described(error)[0]
    except OSError:
        return _FAILED_TO_CONNECT
    return 0


def _connection(params: ConnectionParams) -> Connection:
    return Connection(
        id=params.id,
        path=params.connection,
        nfs_version=None if params.nfs_version is None else str(params.nfs_version),
        nfs_timeo=params.nfs_timeo,
        nfs_retrans=params.nfs_retrans,
    )
