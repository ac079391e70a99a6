# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs by which a host connects, makes and leaves storage. Each may be called again: after a kill of the engine
nobody knows whether the host has had the last one."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from covirt.common.errors import Error
from covirt.engine.hosts.connections import Hosts
from covirt.engine.hosts.errors import HostRefused, HostUncertain, HostUnreachable
from covirt.engine.model.storage_domain import StorageConnection, StorageDomain, StorageDomainStatus, StorageType
from covirt.engine.storage.errors import (
    HostNotPrepared,
    HostTaskFailed,
    HostTaskSlow,
    ServerInUse,
    ServerNotConnected,
    StorageTypeNotServed,
)
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

BLANK_ID: Final = "00000000-0000-0000-0000-000000000000"
log = logging.getLogger(__name__)

_DOMAIN_TYPES: Final = {StorageType.NFS: 1, StorageType.LOCALFS: 4}
_DATA: Final = 1
_MASTER_VERSION: Final = 1
_HOST_ID: Final = 1  # of the only host that manages local storage
_LEASES: Final = {"lockRenewalIntervalSec": 5, "leaseTimeSec": 60, "ioOpTimeoutSec": 10, "leaseRetries": 3}
_USED: Final = (
    StorageDomainStatus.ACTIVE,
    StorageDomainStatus.ACTIVATING,
    StorageDomainStatus.INACTIVE,
    StorageDomainStatus.UNKNOWN,
)
_TASK_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.1
_LONGEST_LOOK_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 120.0  # with a host that does not answer, while its task may go on
_NOT_PREPARED: Final = (Code.NOT_SPM, Code.STORAGE_DOMAIN_NOT_ACTIVE)

Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOnHost:
    id: str
    disk_id: str
    actual_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStorage:
    """Of one host. ``pause`` waits between looks at a task, and may raise to end the waiting."""

    hosts: Hosts
    host_id: str
    pause: Pause
    flow_id: str = ""

    # servers

    def connect_server(self, connection: StorageConnection) -> None:
        """Raises ServerNotConnected, StorageTypeNotServed, and what Hosts.call raises."""
        answers = self.call("StoragePool.connectStorageServer", _server(connection))
        code = next((code for each in _tables(answers) if (code := _whole(each.get("status")))), 0)
        if code:
            raise ServerNotConnected(path=remote_path(connection), code=code)

    def disconnect_server(self, connection: StorageConnection) -> None:
        """Also from one that is not connected. Raises ServerInUse, StorageTypeNotServed, and what Hosts.call
        raises."""
        answers = self.call("StoragePool.disconnectStorageServer", _server(connection))
        if any(_whole(each.get("status")) == Code.STORAGE_DOMAIN_ACTIVE for each in _tables(answers)):
            raise ServerInUse(path=remote_path(connection))

    # domains

    def create_domain(self, domain_id: str, name: str, connection: StorageConnection) -> None:
        """One that is there already was made by an earlier call: nobody else has its id."""
        params: dict[str, Json] = {
            "storagedomainID": domain_id,
            "domainType": _DOMAIN_TYPES[connection.type],
            "typeArgs": remote_path(connection),
            "name": name,
            "domainClass": _DATA,
            "version": 5,
        }
        self.unless(Code.STORAGE_DOMAIN_EXISTS, "StorageDomain.create", params)

    def format_domain(self, domain_id: str) -> None:
        """What it holds is lost. One that is not there has been formatted."""
        self.unless(
            Code.NO_SUCH_STORAGE_DOMAIN, "StorageDomain.format", {"storagedomainID": domain_id, "autoDetach": False}
        )

    def domain_sizes(self, domain_id: str) -> tuple[int, int]:
        """Total and free bytes."""
        answer = self.call("StorageDomain.getStats", {"storagedomainID": domain_id})
        stats = answer if isinstance(answer, Mapping) else {}
        inner = stats.get("stats", stats)
        table = inner if isinstance(inner, Mapping) else {}
        return _whole(table.get("disktotal")), _whole(table.get("diskfree"))

    def volumes(self, domain_id: str) -> list["VolumeOnHost"]:
        """All that the domain has whole."""
        answer = self.call("StorageDomain.dump", {"sd_id": domain_id, "full": True})
        found = answer.get("volumes") if isinstance(answer, Mapping) else None
        listed = found.items() if isinstance(found, Mapping) else ()
        return [
            VolumeOnHost(id=name, disk_id=str(facts.get("image")), actual_bytes=_whole(facts.get("truesize")))
            for name, facts in listed
            if isinstance(facts, Mapping) and facts.get("status") == "OK"
        ]

    def is_free(self, domain_id: str) -> bool:
        """Whether it is attached to no pool."""
        return not self._pools(domain_id)

    def attach_domain(self, pool_id: str, domain_id: str) -> None:
        self.unless(Code.STORAGE_DOMAIN_ATTACHED, "StorageDomain.attach", _ids(pool_id, domain_id))

    def activate_domain(self, pool_id: str, domain_id: str) -> None:
        self.call("StorageDomain.activate", _ids(pool_id, domain_id))

    def deactivate_domain(self, pool_id: str, domain_id: str) -> None:
        params = {**_ids(pool_id, domain_id), "masterSdUUID": BLANK_ID, "masterVersion": 0}
        self.unless(Code.STORAGE_DOMAIN_NOT_ACTIVE, "StorageDomain.deactivate", params)

    def detach_domain(self, pool_id: str, domain_id: str) -> None:
        params = {**_ids(pool_id, domain_id), "masterSdUUID": BLANK_ID, "masterVersion": 0, "force": False}
        self.unless(Code.STORAGE_DOMAIN_NOT_IN_POOL, "StorageDomain.detach", params)

    # the pool

    def create_pool(self, pool_id: str, name: str, master_id: str) -> None:
        params: dict[str, Json] = {
            "storagepoolID": pool_id,
            "name": name,
            "masterSdUUID": master_id,
            "masterVersion": _MASTER_VERSION,
            "domainList": [master_id],
            **_LEASES,
        }
        try:
            self.call("StoragePool.create", params)
        except HostRefused as error:
            if error.code not in (Code.POOL_EXISTS, Code.STORAGE_DOMAIN_ATTACHED):
                raise
            if pool_id not in self._pools(master_id):
                raise

    def connect_pool(self, pool_id: str, master_id: str, statuses: Mapping[str, str]) -> None:
        """``statuses``: of the pool's domains, in Vdsm's words."""
        params: dict[str, Json] = {
            "storagepoolID": pool_id,
            "hostID": _HOST_ID,
            "scsiKey": pool_id,
            "masterSdUUID": master_id,
            "masterVersion": _MASTER_VERSION,
            "domainDict": dict(statuses),
        }
        self.call("StoragePool.connect", params)

    def become_manager(self, pool_id: str) -> None:
        """SPM, in Vdsm's words; returns when it is."""
        params: dict[str, Json] = {"storagepoolID": pool_id, "prevID": -1, "prevLver": -1}
        try:
            self.finish_task("StoragePool.spmStart", params)
        except HostRefused as error:
            if error.code != Code.IS_SPM:
                raise

    def leave_pool(self, pool_id: str) -> None:
        """No longer its manager, and not connected to it; one that cannot leave manages it on."""
        gone = (Code.NO_SUCH_POOL, Code.NOT_SPM)
        self.unless(gone, "StoragePool.spmStop", {"storagepoolID": pool_id})
        params: dict[str, Json] = {"storagepoolID": pool_id, "hostID": _HOST_ID, "scsiKey": pool_id}
        try:
            self.unless(gone, "StoragePool.disconnect", params)
        except HostRefused as refused:
            try:
                self.become_manager(pool_id)
            except Error as error:
                log.warning("A host that stays manages its pool no more host=%s reason=%s", self.host_id, error)
            raise refused

    def destroy_pool(self, pool_id: str) -> None:
        """Its domains stay, and belong to nobody."""
        params: dict[str, Json] = {"storagepoolID": pool_id, "hostID": _HOST_ID, "scsiKey": pool_id}
        self.unless(Code.NO_SUCH_POOL, "StoragePool.destroy", params)

    # tasks

    def finish_task(
        self, verb: str, params: Mapping[str, Json], *, seconds: float = _TASK_SECONDS
    ) -> Mapping[str, Json]:
        """Begin a task, wait for its end, and clear it. Raises HostTaskFailed, HostTaskSlow."""
        return self.wait_task(verb, self.begin_task(verb, params), seconds=seconds)

    def begin_task(self, verb: str, params: Mapping[str, Json]) -> str:
        """Its id. A host whose agent is new manages nothing until the engine has prepared it, which is waited for.
        Raises HostNotPrepared."""
        waited, pause_seconds = 0.0, _LOOK_SECONDS
        while True:
            try:
                return str(self.call(verb, params))
            except HostRefused as error:
                if error.code not in _NOT_PREPARED:
                    raise
                if waited > _PATIENCE_SECONDS:
                    raise HostNotPrepared(verb=verb, reason=error.text.rstrip(".")) from error
            self.pause(pause_seconds)
            waited += pause_seconds
            pause_seconds = _longer(pause_seconds)

    def wait_task(self, verb: str, task_id: str, *, seconds: float = _TASK_SECONDS) -> Mapping[str, Json]:
        """Wait for its end, and clear it. Raises HostTaskFailed, HostTaskSlow; HostRefused (NO_SUCH_TASK) for one
        that was cleared."""
        waited, silent_seconds, pause_seconds = 0.0, 0.0, _LOOK_SECONDS
        while True:
            try:
                status = self._task(task_id)
            except (HostUncertain, HostUnreachable):
                silent_seconds += pause_seconds
                if silent_seconds > _PATIENCE_SECONDS:
                    raise
            else:
                silent_seconds = 0.0
                if status.get("taskState") == "finished":
                    break
            if waited > seconds:
                raise HostTaskSlow(verb=verb, seconds=seconds)
            self.pause(pause_seconds)
            waited += pause_seconds
            pause_seconds = _longer(pause_seconds)
        self.unless(Code.NO_SUCH_TASK, "Task.clear", {"taskID": task_id})
        if status.get("taskResult") != "success":
            raise HostTaskFailed(verb=verb, reason=str(status.get("message", "it gives no reason")))
        return status

    def _task(self, task_id: str) -> Mapping[str, Json]:
        answer = self.call("Task.getStatus", {"taskID": task_id})
        table = answer if isinstance(answer, Mapping) else {}
        inner = table.get("taskStatus", table)
        return inner if isinstance(inner, Mapping) else {}

    def _pools(self, domain_id: str) -> Collection[object]:
        """That the domain is attached to: one at most."""
        answer = self.call("StorageDomain.getInfo", {"storagedomainID": domain_id})
        info = answer if isinstance(answer, Mapping) else {}
        pools = info.get("pool", [])
        return pools if isinstance(pools, list) else ()

    def unless(self, known: Code | Collection[Code], verb: str, params: Mapping[str, Json]) -> None:
        """What is so already need not be done."""
        codes = (known,) if isinstance(known, Code) else known
        try:
            self.call(verb, params)
        except HostRefused as error:
            if error.code not in codes:
                raise

    def call(self, verb: str, params: Mapping[str, Json]) -> Json:
        return self.hosts.call(self.host_id, verb, params, flow_id=self.flow_id)


def _longer(pause_seconds: float) -> float:
    return min(_LONGEST_LOOK_SECONDS, pause_seconds * 1.5)


def words_of(domains: Iterable[StorageDomain]) -> dict[str, str]:
    """What a host is told of a pool's domains: Vdsm's words for what the engine thinks of them."""
    return {domain.id: "active" if domain.status in _USED else "attached" for domain in domains}


def remote_path(connection: StorageConnection) -> str:
    """As hosts are told it: a directory, or HOST:/EXPORT."""
    return f"{connection.address}:{connection.path}" if connection.address else connection.path


def _server(connection: StorageConnection) -> Mapping[str, Json]:
    if connection.type not in _DOMAIN_TYPES:
        raise StorageTypeNotServed(action="connect", type=connection.type)
    server: dict[str, Json] = {"id": connection.id, "connection": remote_path(connection), "user": "", "password": ""}
    for name, value in (
        ("protocol_version", connection.nfs_version or None),
        ("timeout", connection.nfs_timeo),
        ("retrans", connection.nfs_retrans),
    ):
        if value is not None:
            server[name] = value
    return {
        "storagepoolID": BLANK_ID,
        "domainType": _DOMAIN_TYPES[connection.type],
        "connectionParams": [server],
    }


def _ids(pool_id: str, domain_id: str) -> dict[str, Json]:
    return {"storagepoolID": pool_id, "storagedomainID": domain_id}


def _tables(answer: Json) -> list[Mapping[str, Json]]:
    return [each for each in answer if isinstance(each, Mapping)] if isinstance(answer, list) else []


def _whole(value: Json) -> int:
    try:
        return max(0, int(str(value)))
    except ValueError:
        return 0
