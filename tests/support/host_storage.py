# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An agent's storage behind its verbs, without the wire, with local directories as storage servers."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import pytest

from covirt.common.root import Root
from covirt.host.events import Events
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.images import Images
from covirt.host.storage.monitor import HealthListener
from covirt.host.storage.storage import Storage
from covirt.host.storage.storage_config import StorageConfig
from covirt.host.verbs.dispatch import CallContext, Dispatcher, VerbClass
from covirt.host.verbs.faults import described
from covirt.host.verbs.images import image_verb_classes
from covirt.host.verbs.merge import MergeVerbs
from covirt.host.verbs.storage_domain import StorageDomainVerbs
from covirt.host.verbs.storage_pool import StoragePoolVerbs
from covirt.host.verbs.volume import VolumeVerbs
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.errors import CallRefused
from tests.support.waiting import wait_until

NFS: Final = 1
LOCALFS: Final = 4
MIB: Final = 1 << 20
BLANK: Final = "00000000-0000-0000-0000-000000000000"
_CONFIG: Final = StorageConfig(monitor_period_seconds=1, monitor_timeout_seconds=2, call_timeout_seconds=5)


class StorageAgent:
    """One life of an agent; another one on the same root is its successor."""

    def __init__(self, root: Root, *, listener: HealthListener | None = None, **config: int) -> None:
        self.root = root
        self.images = Images.new(root=root, config=ImagesConfig(), events=Events(), describe=described, tls=None)
        self.storage = Storage(root=root, config=replace(_CONFIG, **cast(Any, config)), describe=described)
        if listener is not None:
            self.storage.add_health_listener(listener)
        self.storage.add_work(self.images.tasks, self.images.jobs)
        verbs: list[VerbClass] = [
            StoragePoolVerbs(storage=self.storage, tasks=self.images.tasks),
            StorageDomainVerbs(self.storage),
            VolumeVerbs(storage=self.storage, tasks=self.images.tasks),
            MergeVerbs(storage=self.storage, tasks=self.images.tasks, jobs=self.images.jobs),
            *image_verb_classes(
                self.images,
                root=root,
                config=ImagesConfig(),
                volumes=self.storage.volumes,
                require_managed=self.storage.pools.require_managed_domain,
            ),
        ]
        self._dispatcher = Dispatcher(verbs)
        self._dispatcher.set_ready()

    def start(self) -> None:
        self.storage.start()
        self.images.start()

    def stop(self) -> None:
        self.images.stop()
        self.storage.stop()

    def call(self, method: str, **params: Any) -> Any:
        return self._dispatcher.call(method, params, CallContext(client="test"))

    def task(self, method: str, **params: Any) -> Mapping[str, Any]:
        """Call a verb that begins a task, and wait for its end; gives its status."""
        task_id = self.call(method, **params)
        wait_until(lambda: self.call("Task.getStatus", taskID=task_id)["taskState"] == "finished")
        return cast(Mapping[str, Any], self.call("Task.getStatus", taskID=task_id))

    def done(self, method: str, **params: Any) -> None:
        status = self.task(method, **params)
        assert status["taskResult"] == "success", status

    def connect(self, path: Path | str, *, domain_type: int = LOCALFS, verb: str = "connect") -> int:
        servers = [{"id": BLANK, "connection": str(path)}]
        params = {"storagepoolID": BLANK, "domainType": domain_type, "connectionParams": servers}
        return cast(int, self.call(f"StoragePool.{verb}StorageServer", **params)[0]["status"])

    def new_domain(self, path: Path, **changes: Any) -> str:
        """A storage domain in a directory that is made for it; gives its id."""
        make_server(path)
        assert self.connect(path) == 0
        domain_id = str(uuid4())
        params = {"domainType": LOCALFS, "typeArgs": str(path), "name": "disks", "domainClass": 1, "version": 5}
        self.call("StorageDomain.create", storagedomainID=domain_id, **{**params, **changes})
        return domain_id

    def new_pool(self, domain_id: str, *others: str, told: bool = False) -> str:
        """A pool with these domains, connected and managed; gives its id."""
        pool_id = str(uuid4())
        master = {"masterSdUUID": domain_id, "masterVersion": 1}
        self.call("StoragePool.create", storagepoolID=pool_id, name="pool", domainList=[domain_id, *others], **master)
        statuses = {"domainDict": {domain_id: "active"} | dict.fromkeys(others, "attached")} if told else {}
        self.call("StoragePool.connect", storagepoolID=pool_id, hostID=1, scsiKey="", **master, **statuses)
        self.start_spm(pool_id)
        return pool_id

    def start_spm(self, pool_id: str) -> None:
        self.done("StoragePool.spmStart", storagepoolID=pool_id, prevID=-1, prevLver="-1", enableScsiFencing="false")


class Disk:
    """An image in a new pool's only domain."""

    def __init__(self, agent: StorageAgent, *, told: bool = False) -> None:
        self.agent = agent
        self.server = agent.root.path / "server_one"
        self.domain_id = agent.new_domain(self.server)
        self.pool_id = agent.new_pool(self.domain_id, told=told)
        self.image_id = str(uuid4())
        self.directory = self.server / self.domain_id

    def ids(self, volume_id: str | None = None) -> dict[str, str]:
        ids = {"storagepoolID": self.pool_id, "storagedomainID": self.domain_id, "imageID": self.image_id}
        return ids if volume_id is None else {**ids, "volumeID": volume_id}

    def create(self, **changes: Any) -> str:
        params = self.new_volume(**changes)
        self.agent.done("Volume.create", **params)
        return str(params["volumeID"])

    def new_volume(self, **changes: Any) -> dict[str, Any]:
        """What Volume.create is told."""
        return {
            "size": str(MIB), "volFormat": 5, "preallocate": 2, "diskType": "DATA", "desc": '{"DiskAlias":"one"}',
            "srcImgUUID": BLANK, "srcVolUUID": BLANK, **self.ids(str(uuid4())), **changes,
        }  # fmt: skip

    def ref(self, volume_id: str) -> VolumeRef:
        return VolumeRef(pool_id=self.pool_id, domain_id=self.domain_id, image_id=self.image_id, volume_id=volume_id)

    def path(self, volume_id: str) -> Path:
        return self.directory / "images" / self.image_id / volume_id


def refused(agent: StorageAgent, code: int, method: str, **params: Any) -> str:
    """The message."""
    with pytest.raises(CallRefused) as caught:
        agent.call(method, **params)
    assert caught.value.code == code, caught.value
    return caught.value.message


def make_server(path: Path) -> None:
    """A directory that storage may be in."""
    path.mkdir(mode=0o755)
    os.chown(path, 36, 36)
