# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The job that copies volumes, with real qemu-img."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.process import run
from covirt.host.storage import qemu_img
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.image_volumes import Allocation, VolumeFacts
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID
from covirt.host.verbs.sdm import NO_POOL
from covirt.host.virt.volumes import VolumeRef
from tests.support.image_agent import ImageAgent, image_agent
from tests.support.plain_volumes import PlainVolumes
from tests.support.roots import new_root

pytestmark = pytest.mark.root

_MIB = 1 << 20


class Agent:
    """SDM.copy_data over one directory of volumes."""

    def __init__(self, agent: ImageAgent, volumes: PlainVolumes) -> None:
        self._agent = agent
        self.volumes = volumes

    def copy(self, source: VolumeFacts, target: VolumeFacts, *, bitmaps: bool = False) -> dict[str, Any]:
        ends = {"source": endpoint(source.ref), "destination": endpoint(target.ref)}
        return self._agent.ended(self._agent.begin("SDM.copy_data", copy_bitmaps=bitmaps, **ends))

    def raw(self, data: bytes = b"", **facts: Any) -> VolumeFacts:
        path = self._new_path()
        path.write_bytes(data)
        os.truncate(path, _MIB)
        os.chown(path, STORAGE_UID, STORAGE_GID)
        return self._add(path, ImageFormat.RAW, **facts)

    def qcow2(self, *, parent: VolumeFacts | None = None) -> VolumeFacts:
        path = self._new_path() if parent is None else parent.path.parent / str(uuid4())
        backing = None if parent is None else parent.path.name
        qemu_img.create_qcow2(
            path, size_bytes=_MIB, backing=backing, backing_format=None if parent is None else parent.format
        )
        return self._add(path, ImageFormat.QCOW2, parent=parent)

    def _new_path(self) -> Path:
        image = self.volumes.directory / str(uuid4())
        image.mkdir()
        os.chown(image, STORAGE_UID, STORAGE_GID)
        return image / str(uuid4())

    def _add(self, path: Path, image_format: ImageFormat, **facts: Any) -> VolumeFacts:
        return self.volumes.add(path, image_format, pool_id=NO_POOL, **facts)


def endpoint(ref: VolumeRef) -> dict[str, Any]:
    return {"endpoint_type": "div", "sd_id": ref.domain_id, "img_id": ref.image_id, "vol_id": ref.volume_id}


def content(volume: VolumeFacts) -> bytes:
    shown = volume.path.with_name("shown")
    run(["qemu-img", "convert", "-f", volume.format, "-O", "raw", volume.path, shown], timeout_seconds=30)
    return shown.read_bytes()


@pytest.fixture(name="agent")
def agent_fixture() -> Iterator[Agent]:
    with new_root() as root:
        images = root.path / "images"
        images.mkdir()
        os.chown(images, STORAGE_UID, STORAGE_GID)
        volumes = PlainVolumes(images)
        with image_agent(root, volumes, ImagesConfig()) as agent:
            yield Agent(agent, volumes)


def test_raw_into_qcow2_and_back(agent: Agent) -> None:
    first, second, third = agent.raw(b"covirt" * 999), agent.qcow2(), agent.raw(b"x" * _MIB)
    assert agent.copy(first, second)["status"] == "done"
    job = agent.copy(second, third)
    assert (job["status"], job["progress"]) == ("done", 100)
    assert third.path.read_bytes() == first.path.read_bytes()
    assert agent.volumes.volume(second.ref).generation == 1
    assert agent.volumes.legal_while_writing == [False, False]
    assert agent.volumes.held == set()


@pytest.mark.parametrize(("allocation", "blocks_bytes"), [(Allocation.PREALLOCATED, _MIB), (Allocation.SPARSE, 4096)])
def test_zeros_take_no_blocks_away(agent: Agent, allocation: Allocation, blocks_bytes: int) -> None:
    source, target = agent.raw(), agent.raw(b"x" * _MIB)
    agent.volumes.known[target.ref] = replace(target, allocation=allocation)
    assert agent.copy(source, target)["status"] == "done"
    assert target.path.read_bytes() == bytes(_MIB)
    assert target.path.stat().st_blocks * 512 == blocks_bytes


def test_a_leaf_is_copied_onto_another_base(agent: Agent) -> None:
    base, other_base = agent.raw(b"a" * _MIB), agent.raw(b"a" * _MIB)
    leaf, target = agent.qcow2(parent=base), agent.qcow2(parent=other_base)
    run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 64k 64k", leaf.path], timeout_seconds=30)
    assert agent.copy(leaf, target)["status"] == "done"
    assert content(target) == content(leaf)
    assert qemu_img.info(target.layer).backing_file == other_base.path.name
    assert target.path.stat().st_size < _MIB


def test_a_copy_that_fails_leaves_the_target_illegal(agent: Agent) -> None:
    source, target = agent.qcow2(), agent.raw()
    source.path.write_bytes(b"no qcow2")
    job = agent.copy(source, target)
    assert job["status"] == "failed"
    assert "qcow2" in job["error"]["message"]
    assert not agent.volumes.volume(target.ref).is_legal
    assert agent.volumes.held == set()


def test_templates_are_not_overwritten(agent: Agent) -> None:
    template = agent.raw(b"template", is_shared=True)
    job = agent.copy(agent.raw(), template)
    assert job["error"]["code"] == 219
    assert template.path.read_bytes().startswith(b"template")


def test_a_disk_in_use_is_not_overwritten(agent: Agent) -> None:
    target = agent.raw(b"guest")
    agent.volumes.prepare(target.ref, user="some vm")
    assert "some vm" in agent.copy(agent.raw(), target)["error"]["message"]
    agent.volumes.teardown(target.ref, user="some vm")
    agent.volumes.prepare(target.ref, user="engine")
    assert agent.copy(agent.raw(), target)["status"] == "done"
    assert target.path.read_bytes().count(0) == _MIB


def test_what_a_guest_writes_to_is_not_copied(agent: Agent) -> None:
    """A container takes no lock, and its file system would be copied at many moments."""
    source, image = agent.raw(b"guest"), agent.raw(b"image", disk_type="ISOF")
    template = agent.raw(b"template", is_shared=True)
    for volume, users in ((source, "some vm"), (image, "some vm"), (template, "some vm"), (agent.raw(), "job-1")):
        agent.volumes.prepare(volume.ref, user=users)
        job = agent.copy(volume, agent.raw())
        if volume is source:
            assert (job["error"]["code"], "used by some vm" in job["error"]["message"]) == (203, True)
        else:
            assert job["status"] == "done"
    agent.volumes.teardown(source.ref, user="some vm")
    assert agent.copy(source, agent.raw())["status"] == "done"


def test_bitmaps_need_qcow2(agent: Agent) -> None:
    assert agent.copy(agent.raw(), agent.qcow2(), bitmaps=True)["error"]["code"] == 2009
    source, target = agent.qcow2(), agent.qcow2()
    run(["qemu-img", "bitmap", "--add", source.path, "since-monday"], timeout_seconds=30)
    assert agent.copy(source, target, bitmaps=True)["status"] == "done"
    assert qemu_img.info(target.layer).bitmaps == ("since-monday",)


def rewritten(volume: VolumeFacts, *words: str) -> VolumeFacts:
    """The volume as a stranger uploads it, who wrote its header."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", *words, str(volume.path), "1M"], timeout_seconds=30)
    os.chown(volume.path, STORAGE_UID, STORAGE_GID)
    return volume


def hostile(agent: Agent, secret: Path) -> dict[str, VolumeFacts]:
    """Every way of a header to name another file; who wrote the header need not have asked for a verification."""
    base, relative = agent.raw(), f"../{secret.parent.name}/{secret.name}"
    data = ("-o", f"data_file={secret},data_file_raw=on")
    names = {
        "a file of the host": rewritten(agent.qcow2(), "-u", "-b", str(secret), "-F", "raw"),
        "another disk": rewritten(agent.qcow2(), "-u", "-b", relative, "-F", "raw"),
        "instead of its base": rewritten(agent.qcow2(parent=base), "-u", "-b", str(secret), "-F", "raw"),
        "its base as another format": rewritten(agent.qcow2(parent=base), "-u", "-b", base.path.name, "-F", "qcow2"),
        "a server": rewritten(agent.qcow2(), "-u", "-b", "nbd://localhost/", "-F", "raw"),
        "a description": rewritten(agent.qcow2(), "-u", "-b", f'json:{{"file.filename":"{secret}"}}', "-F", "raw"),
        "its data": rewritten(agent.qcow2(), *data),
    }
    secret.write_bytes(b"secret" * 1000)
    os.truncate(secret, _MIB)
    below = rewritten(agent.qcow2(), "-u", "-b", str(secret), "-F", "raw")
    return {**names, "a file, one layer below": agent.qcow2(parent=below)}


def test_no_header_makes_a_copy_read_another_file(agent: Agent) -> None:
    secret = agent.volumes.directory / "secret"
    secret.touch()
    os.chown(secret, STORAGE_UID, STORAGE_GID)
    for name, volume in hostile(agent, secret).items():
        target = agent.raw()
        job = agent.copy(volume, target)
        assert b"secret" not in target.path.read_bytes(), name
        assert (job["status"], job["error"]["code"]) == ("failed", 484), name


def test_no_header_makes_a_copy_write_another_file(agent: Agent) -> None:
    secret = agent.volumes.directory / "secret"
    secret.touch()
    os.chown(secret, STORAGE_UID, STORAGE_GID)
    for name, volume in hostile(agent, secret).items():
        assert agent.copy(agent.raw(b"overwritten" * 999), volume)["error"]["code"] == 484, name
        assert b"overwritten" not in secret.read_bytes(), name
