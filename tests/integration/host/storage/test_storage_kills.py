# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of domains and pools, cut off after each of their steps: the next life brings them to their end."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.files import write_json
from covirt.common.process import run
from covirt.host.storage.directory import Directory
from covirt.host.storage.disk_images import DiskImages
from covirt.host.storage.operation import Control
from covirt.hostapi.errors import CallRefused
from tests.support.host_storage import BLANK, MIB, Disk, StorageAgent, make_server, refused
from tests.support.roots import new_root
from tests.support.storage_checker import check_domain

pytestmark = pytest.mark.root

_STEPS = ("make", "rename", "replace", "unlink", "rmdir", "create", "truncate", "allocate")
_DIFFERENT = {"_SHA_CKSUM", "POOL_SPM_LVER", "REMOTE_PATH"}


class Killed(BaseException):
    """No handler of errors catches a kill."""


class Two:
    """Two storage servers; the first holds a domain, and what a verb starts from is there."""

    def __init__(self, agent: StorageAgent, verb: str) -> None:
        self.agent = agent
        self.verb = verb
        self.one, self.two = agent.root.path / "one", agent.root.path / "two"
        self.first, self.second, self.pool_id = agent.new_domain(self.one), str(uuid4()), str(uuid4())
        make_server(self.two)
        agent.connect(self.two)
        self.ids = {"storagedomainID": self.second, "storagepoolID": self.pool_id}
        steps = ("StorageDomain.create", "StoragePool.create", "StorageDomain.attach", "StorageDomain.activate")
        for step in steps[: _BEGINS_AT[verb]]:
            self.do(agent, step)
            if step == "StoragePool.create":
                self.do(agent, "StoragePool.connect")
                agent.start_spm(self.pool_id)
        if verb == "spm":
            agent.call("StoragePool.spmStop", storagepoolID=self.pool_id)

    def do(self, agent: StorageAgent, verb: str) -> None:
        master = {"masterSdUUID": self.first, "masterVersion": 1}
        ids: dict[str, dict[str, Any]] = {
            "StorageDomain.create": {
                "domainType": 4, "typeArgs": str(self.two), "name": "two", "domainClass": 1, "version": 5,
                "storagedomainID": self.second,
            },
            "StoragePool.create": {
                "name": "pool", "storagepoolID": self.pool_id, **master,
                "domainList": [self.first, self.second] if self.verb == verb else [self.first],
            },
            "StoragePool.connect": {"storagepoolID": self.pool_id, "hostID": 1, "scsiKey": "", **master},
            "StorageDomain.detach": {**self.ids, "masterSdUUID": BLANK, "masterVersion": 0},
            "StorageDomain.deactivate": {
                "storagepoolID": self.pool_id, "storagedomainID": self.first, "masterSdUUID": self.second,
                "masterVersion": 2,
            },
            "StoragePool.destroy": {"storagepoolID": self.pool_id, "hostID": 1, "scsiKey": ""},
            "StorageDomain.format": {"storagedomainID": self.second},
        }  # fmt: skip
        if verb == "spm":
            agent.storage.pools.start_spm(self.pool_id)
        else:
            agent.call(verb, **ids.get(verb, self.ids))

    def result(self) -> list[dict[str, str]]:
        """What both servers hold, without ids that differ from run to run."""
        names = {self.first: "first", self.second: "second", self.pool_id: "pool"}
        found = []
        for server in (self.one, self.two):
            for domain_id in os.listdir(server):
                values = check_domain(server / domain_id)
                for known, name in names.items():
                    values = {key: text.replace(known, name) for key, text in values.items()}
                found.append({key: text for key, text in values.items() if key not in _DIFFERENT})
        return found


_BEGINS_AT = {
    "StorageDomain.create": 0, "StoragePool.create": 1, "StorageDomain.attach": 2, "StorageDomain.activate": 3,
    "StorageDomain.detach": 3, "StorageDomain.deactivate": 4, "StoragePool.destroy": 3, "StorageDomain.format": 1,
    "spm": 2,
}  # fmt: skip
_NEEDS_SPM = {"StorageDomain.attach", "StorageDomain.activate", "StorageDomain.detach", "StoragePool.destroy"} | {
    "StorageDomain.deactivate"
}


def cut_off(patch: pytest.MonkeyPatch, passing: int) -> Callable[[], bool]:
    """Let so many steps happen and nothing after them; tells whether it came to that."""
    count = itertools.count()
    reached: list[bool] = []

    def stopping(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **keywords: Any) -> Any:
            if reached or next(count) >= passing:
                reached.append(True)
                raise Killed
            return real(*args, **keywords)

        return step

    for name in _STEPS:
        patch.setattr(Directory, name, stopping(getattr(Directory, name)))
    patch.setattr("covirt.host.storage.storage_state.write_json", stopping(write_json))
    return lambda: bool(reached)


@contextlib.contextmanager
def life(agent: StorageAgent) -> Iterator[StorageAgent]:
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()


@pytest.mark.parametrize("verb", list(_BEGINS_AT))
def test_a_verb_that_was_cut_off_is_brought_to_its_end(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    with new_root() as root, life(StorageAgent(root)) as agent:
        whole = Two(agent, verb)
        whole.do(agent, verb)
        expected = whole.result()
    for passing in itertools.count():
        with new_root() as root:
            with life(StorageAgent(root)) as agent:
                two = Two(agent, verb)
                with monkeypatch.context() as patch:
                    is_cut_off = cut_off(patch, passing)
                    with contextlib.suppress(Killed):
                        two.do(agent, verb)
                    if not is_cut_off():
                        break
            with life(StorageAgent(root)) as following:
                if verb in _NEEDS_SPM:
                    following.start_spm(two.pool_id)
                following.connect(two.two)
                try:
                    two.do(following, verb)
                except CallRefused as error:
                    # It had been done, but for what nobody sees.
                    assert (verb, error.code) == ("StorageDomain.format", 358)  # noqa: PT017
                found = two.result()
        assert found == expected, f"after {passing} steps"
    assert passing > 1


@pytest.mark.parametrize("work", ["extend sparse", "extend preallocated", "Image.delete"])
def test_a_task_that_was_cut_off_is_done_again(monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    """As the next life does it, from the record."""
    with new_root() as root, life(StorageAgent(root)) as agent:
        disk = Disk(agent)
        images = DiskImages(agent.storage.volumes)
        for passing in itertools.count():
            disk.image_id = str(uuid4())
            volume = disk.create(preallocate=1 if work == "extend preallocated" else 2)
            extend = {"ref": asdict(disk.ref(volume)), "capacity_bytes": 2 * MIB}
            delete = {"domain_id": disk.domain_id, "image_id": disk.image_id, "zero": True}

            def do(extend: dict[str, Any] = extend, delete: dict[str, Any] = delete) -> None:
                if work == "Image.delete":
                    images.run_delete(delete, Control({}))
                else:
                    agent.storage.work.run_extend(extend, Control({}))

            with monkeypatch.context() as patch:
                is_cut_off = cut_off(patch, passing)
                with contextlib.suppress(Killed):
                    do()
                if not is_cut_off():
                    break
            do()
            check_domain(disk.directory)
            if work == "Image.delete":
                assert not disk.path(volume).parent.exists()
            else:
                assert agent.call("Volume.getInfo", **disk.ids(volume))["capacity"] == str(2 * MIB)
                assert disk.path(volume).stat().st_size == 2 * MIB
    assert passing > 1


def test_a_full_file_system() -> None:
    with new_root() as root:
        server = root.path / "one"
        make_server(server)
        options = "size=64k,mode=755,uid=36,gid=36"
        run(["mount", "-t", "tmpfs", "-o", options, "covirt-test", server], timeout_seconds=10)
        try:
            with life(StorageAgent(root)) as agent:
                _fill_and_empty(agent, server)
        finally:
            run(["umount", server], timeout_seconds=10)


def _fill_and_empty(agent: StorageAgent, server: Path) -> None:
    agent.connect(server)
    domain_id, image_id, volume_id = str(uuid4()), str(uuid4()), str(uuid4())
    new = {"domainType": 4, "typeArgs": str(server), "name": "one", "domainClass": 1, "version": 5}
    agent.call("StorageDomain.create", storagedomainID=domain_id, **new)
    pool_id = agent.new_pool(domain_id)
    ids = {"storagepoolID": pool_id, "storagedomainID": domain_id, "imageID": image_id}
    volume: dict[str, Any] = {
        "size": "4096", "volFormat": 5, "preallocate": 1, "diskType": "DATA", "desc": "", "srcImgUUID": BLANK,
        "srcVolUUID": BLANK, **ids,
    }  # fmt: skip
    agent.done("Volume.create", **volume, volumeID=volume_id)
    with (server / "fill").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(4096))
    refused(agent, 397, "StorageDomain.setDescription", storagedomainID=domain_id, description="another")
    refused(agent, 397, "Volume.setDescription", **ids, volumeID=volume_id, description="another")
    assert agent.task("Volume.create", **volume, volumeID=str(uuid4()))["code"] == 397
    assert agent.task("Volume.extendSize", **ids, volumeID=volume_id, newSize="65536")["code"] == 397
    check_domain(server / domain_id)
    agent.done("Volume.delete", **ids, volumeID=volume_id, postZero=False, force=False)
    check_domain(server / domain_id)
