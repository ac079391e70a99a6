# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes taken out of their chains, with real qemu-img: what a guest sees stays what it was."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.process import run
from covirt.host.storage import merge as merge_module
from covirt.host.storage import qemu_img
from covirt.host.storage.file_domain import FileDomain
from covirt.host.storage.volume_format import Legality
from tests.support.host_storage import MIB, Disk, StorageAgent, refused
from tests.support.roots import new_root
from tests.support.storage_checker import check_domain
from tests.support.waiting import wait_until

pytestmark = pytest.mark.root

_COW, _RAW = 4, 5


class Chain:
    """A disk's volumes, lowest first; each has 64 KiB of its own number at its own place, and all of them at one."""

    def __init__(self, agent: StorageAgent, *, base_format: int = _RAW, preallocate: int = 2) -> None:
        self.agent = agent
        self.disk = Disk(agent)
        self.volumes = [self.disk.create(volFormat=base_format, preallocate=preallocate)]
        self.base_format = "raw" if base_format == _RAW else "qcow2"
        self.write(0)

    def grow(self, size_bytes: int = MIB) -> None:
        parent = {"srcImgUUID": self.disk.image_id, "srcVolUUID": self.volumes[-1]}
        self.volumes.append(self.disk.create(volFormat=_COW, size=str(size_bytes), **parent))
        self.write(len(self.volumes) - 1)

    def write(self, number: int) -> None:
        file_format = "qcow2" if number else self.base_format
        commands = [f"write -P {number + 1} {number * 64}k 64k", f"write -P {number + 1} 512k 64k"]
        argv = ["qemu-io", "-f", file_format, *(part for each in commands for part in ("-c", each))]
        run([*argv, self.disk.path(self.volumes[number])], timeout_seconds=30)

    def shown(self, volume_id: str) -> bytes:
        facts = self.agent.storage.volumes.volume(self.disk.ref(volume_id))
        target = self.agent.root.path / "shown"
        run(["qemu-img", "convert", "-O", "raw", facts.layer.filename, target], timeout_seconds=30)
        return target.read_bytes()

    def subchain(self, top: str, base: str, **more: Any) -> dict[str, Any]:
        ids = {"sd_id": self.disk.domain_id, "img_id": self.disk.image_id}
        return {**ids, "top_id": top, "base_id": base, **more}

    def prepare(self, top: str, base: str) -> None:
        chain = self.subchain(top, base)
        self.agent.done("StoragePool.prepareMerge", storagepoolID=self.disk.pool_id, subchainInfo=chain)

    def merge(self, top: str, base: str, **more: Any) -> dict[str, Any]:
        job_id = str(uuid4())
        self.agent.call("SDM.merge", job_id=job_id, subchain_info=self.subchain(top, base, **more))
        return ended(self.agent, job_id)

    def finalize(self, top: str, base: str) -> None:
        chain = self.subchain(top, base)
        self.agent.done("StoragePool.finalizeMerge", storagepoolID=self.disk.pool_id, subchainInfo=chain)

    def remove(self, top: str, base: str) -> None:
        """As an engine does it."""
        self.prepare(top, base)
        job = self.merge(top, base)
        assert job["status"] == "done", job
        self.finalize(top, base)
        self.agent.done("Volume.delete", **self.disk.ids(top), postZero=False, force=False)

    def info(self, volume_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.agent.call("Volume.getInfo", **self.disk.ids(volume_id))
        return found


def ended(agent: StorageAgent, job_id: str) -> dict[str, Any]:
    def job() -> dict[str, Any]:
        found: dict[str, Any] = agent.call("Host.getJobs", job_ids=[job_id])[job_id]
        return found

    wait_until(lambda: job()["status"] in ("done", "failed", "aborted"))
    return job()


@pytest.fixture(name="agent")
def agent_fixture() -> Iterator[StorageAgent]:
    with new_root() as root:
        agent = StorageAgent(root)
        agent.start()
        try:
            yield agent
        finally:
            agent.stop()


@pytest.mark.parametrize(("base_format", "preallocate"), [(_RAW, 2), (_RAW, 1), (_COW, 2)])
def test_the_uppermost_goes(agent: StorageAgent, base_format: int, preallocate: int) -> None:
    chain = Chain(agent, base_format=base_format, preallocate=preallocate)
    chain.grow()
    base, top = chain.volumes
    before = chain.shown(top)
    chain.remove(top, base)
    assert chain.shown(base) == before
    info = chain.info(base)
    assert (info["voltype"], info["legality"], info["generation"]) == ("LEAF", "LEGAL", 1)
    assert not chain.disk.path(top).exists()
    check_domain(chain.disk.directory)


def test_one_in_the_middle_goes(agent: StorageAgent) -> None:
    chain = Chain(agent)
    chain.grow()
    chain.grow()
    base, middle, top = chain.volumes
    before = chain.shown(top)
    chain.remove(middle, base)
    assert chain.shown(top) == before
    assert (chain.info(top)["parent"], chain.info(base)["voltype"]) == (base, "INTERNAL")
    header = qemu_img.info(agent.storage.volumes.volume(chain.disk.ref(top)).layer)
    assert (header.backing_file, header.backing_format) == (base, "raw")
    check_domain(chain.disk.directory)
    chain.remove(top, base)
    assert chain.shown(base) == before


@pytest.mark.parametrize("base_format", [_RAW, _COW])
def test_the_lower_one_becomes_as_large(agent: StorageAgent, base_format: int) -> None:
    chain = Chain(agent, base_format=base_format)
    chain.grow(3 * MIB)
    base, top = chain.volumes
    before = chain.shown(top)
    chain.remove(top, base)
    assert chain.info(base)["capacity"] == str(3 * MIB)
    assert chain.shown(base) == before


def test_what_does_not_lie_on_top_of_each_other_is_refused(agent: StorageAgent) -> None:
    chain = Chain(agent)
    chain.grow()
    chain.grow()
    base, middle, top = chain.volumes
    for upper, lower in ((top, base), (base, middle), (base, base)):
        params = {"storagepoolID": chain.disk.pool_id, "subchainInfo": chain.subchain(upper, lower)}
        refused(agent, 921, "StoragePool.prepareMerge", **params)
        job = chain.merge(upper, lower)
        assert job["error"]["code"] == 921
    assert (
        agent.task(
            "StoragePool.finalizeMerge",
            storagepoolID=chain.disk.pool_id,
            subchainInfo=chain.subchain(top, base),
        )["code"]
        == 921
    )
    assert chain.info(top)["legality"] == "LEGAL"


def test_an_image_in_use_is_not_merged(agent: StorageAgent) -> None:
    chain = Chain(agent)
    chain.grow()
    base, top = chain.volumes
    ref = chain.disk.ref(top)
    agent.storage.volumes.prepare(ref, user="vm-web")
    job = chain.merge(top, base)
    assert job["error"]["code"] == 203
    assert "vm-web" in job["error"]["message"]
    agent.storage.volumes.teardown(ref, user="vm-web")
    assert chain.merge(top, base)["status"] == "done"


def test_what_is_out_of_its_chain_is_not_merged_again(agent: StorageAgent) -> None:
    """A guest may have written to the lower one since, and would lose that."""
    chain = Chain(agent)
    chain.grow()
    base, top = chain.volumes
    chain.merge(top, base)
    chain.finalize(top, base)
    assert chain.merge(top, base)["error"]["code"] == 227
    chain.finalize(top, base)
    agent.done("Volume.delete", **chain.disk.ids(top), postZero=False, force=False)


def test_another_generation_is_refused(agent: StorageAgent) -> None:
    chain = Chain(agent)
    chain.grow()
    base, top = chain.volumes
    assert chain.merge(top, base, base_generation=0)["status"] == "done"
    assert chain.merge(top, base, base_generation=0)["error"]["code"] == 911


class Killed(BaseException):
    """No handler of errors catches a kill."""


def killed_at(patch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    def step(*args: Any, **keywords: Any) -> Any:
        if after:
            real(*args, **keywords)
        raise Killed

    patch.setattr(owner, name, step)


@pytest.mark.parametrize(("owner", "name"), [(qemu_img, "rebase"), (FileDomain, "change_volume")])
@pytest.mark.parametrize("after", [False, True])
def test_a_change_of_the_chain_that_was_cut_short_is_finished(
    agent: StorageAgent, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, after: bool
) -> None:
    chain = Chain(agent)
    chain.grow()
    chain.grow()
    base, middle, top = chain.volumes
    before = chain.shown(top)
    chain.merge(middle, base)
    work = merge_module.Subchain(top=chain.disk.ref(middle), base_id=base).as_params()
    with monkeypatch.context() as patch:
        killed_at(patch, owner, name, after=after)
        with pytest.raises(Killed):
            agent.storage.merging.run_finalize(work, None)  # type: ignore[arg-type]
    agent.storage.merging.run_finalize(work, None)  # type: ignore[arg-type]
    assert chain.info(middle)["legality"] == Legality.ILLEGAL
    assert chain.shown(top) == before
    agent.done("Volume.delete", **chain.disk.ids(middle), postZero=False, force=False)
    assert chain.shown(top) == before
    check_domain(chain.disk.directory)
