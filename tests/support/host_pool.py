# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine does before a host has storage: connect, create a domain and a pool, become SPM; in Vdsm's verbs."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID
from tests.support.covirt_host import HostClient
from tests.support.waiting import wait_until

BLANK = "00000000-0000-0000-0000-000000000000"
_LOCALFS = 4
_COW, _RAW = 4, 5
_SPARSE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOnHost:
    """A pool with one local data domain, active on the host."""

    pool_id: str
    domain_id: str
    export: Path

    @property
    def images(self) -> Path:
        return self.export / self.domain_id / "images"

    def new_ids(self) -> dict[str, str]:
        """Of a volume that does not exist yet, in an image of its own."""
        return {
            "storagepoolID": self.pool_id,
            "storagedomainID": self.domain_id,
            "imageID": str(uuid4()),
            "volumeID": str(uuid4()),
        }


def new_pool(client: HostClient, export: Path) -> PoolOnHost:
    """``export`` is an empty directory below directories that all may pass."""
    os.chown(export, STORAGE_UID, STORAGE_GID)
    export.chmod(0o755)
    pool = PoolOnHost(pool_id=str(uuid4()), domain_id=str(uuid4()), export=export)
    one, domain = {"storagepoolID": pool.pool_id}, {"storagedomainID": pool.domain_id}
    connect_server(client, pool)
    client.call(
        "StorageDomain.create",
        {**domain, "domainType": _LOCALFS, "typeArgs": str(export), "name": "data", "domainClass": 1, "version": "5"},
    )
    master = {"masterSdUUID": pool.domain_id, "masterVersion": 1}
    leases = {"lockRenewalIntervalSec": 5, "leaseTimeSec": 60, "ioOpTimeoutSec": 10, "leaseRetries": 3}
    client.call("StoragePool.create", {**one, **master, **leases, "name": "pool", "domainList": [pool.domain_id]})
    connect_pool(client, pool)
    client.call("StorageDomain.activate", {**one, **domain})
    return pool


def connect_server(client: HostClient, pool: PoolOnHost) -> None:
    server = {"id": str(uuid4()), "connection": str(pool.export), "user": "", "password": ""}
    params = {"storagepoolID": BLANK, "domainType": _LOCALFS, "connectionParams": [server]}
    [answer] = client.call("StoragePool.connectStorageServer", params)
    assert answer["status"] == 0


def connect_pool(client: HostClient, pool: PoolOnHost) -> None:
    """As SPM."""
    one = {"storagepoolID": pool.pool_id}
    master = {"masterSdUUID": pool.domain_id, "masterVersion": 1}
    domains = {"domainDict": {pool.domain_id: "active"}}
    client.call("StoragePool.connect", {**one, **master, **domains, "hostID": 1, "scsiKey": pool.pool_id})
    spm = {"prevID": -1, "prevLver": "-1", "enableScsiFencing": "false", "maxHostID": 250, "domVersion": "5"}
    finished(client, client.call("StoragePool.spmStart", {**one, **spm}))


def finished(client: HostClient, task_id: str) -> None:
    """Wait for a task to succeed, and clear it."""

    def status() -> dict[str, Any]:
        answer: dict[str, Any] = client.call("Task.getStatus", {"taskID": task_id})
        return answer

    wait_until(lambda: status()["taskState"] == "finished", what="the task's end")
    assert status()["taskResult"] == "success", status()
    client.call("Task.clear", {"taskID": task_id})


def create_volume(client: HostClient, pool: PoolOnHost, *, size_bytes: int, cow: bool = False) -> dict[str, str]:
    """Gives the volume's ids, under their names on the wire."""
    ids = pool.new_ids()
    volume = {
        "size": str(size_bytes), "volFormat": _COW if cow else _RAW, "preallocate": _SPARSE, "diskType": "DATA",
        "desc": "", "srcImgUUID": BLANK, "srcVolUUID": BLANK,
    }  # fmt: skip
    finished(client, client.call("Volume.create", {**ids, **volume}))
    return ids


def sdm_ids(ids: dict[str, str]) -> dict[str, str]:
    """The same volume as verbs of class SDM and NBD name it."""
    return {"sd_id": ids["storagedomainID"], "img_id": ids["imageID"], "vol_id": ids["volumeID"]}
