# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs about disk images and what is in volumes, with real qemu-img."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from covirt.common.process import run
from covirt.host.storage import qemu_img
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.image_volumes import VolumeFacts
from covirt.host.storage.qemu_img import ImageFormat
from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID
from covirt.host.verbs.sdm import NO_POOL
from covirt.hostapi.errors import CallRefused
from tests.support.image_agent import ImageAgent, image_agent, volume_ids
from tests.support.plain_volumes import PlainVolumes
from tests.support.roots import new_root
from tests.support.waiting import wait_until

pytestmark = pytest.mark.root

_MIB = 1 << 20


class Agent:
    """Verbs about images, over one directory of volumes."""

    def __init__(self, agent: ImageAgent, volumes: PlainVolumes) -> None:
        self._agent = agent
        self.volumes = volumes

    def call(self, method: str, volume: VolumeFacts, **params: Any) -> Any:
        return self._agent.call(method, **{**volume_ids(volume.ref), **params})

    def code(self, method: str, volume: VolumeFacts, **params: Any) -> int:
        with pytest.raises(CallRefused) as caught:
            self.call(method, volume, **params)
        return caught.value.code

    def delete(self, volume: VolumeFacts, **params: Any) -> dict[str, Any]:
        task_id = self.call("Image.delete", volume, force=False, **params)
        wait_until(lambda: self.call("Task.getStatus", volume, taskID=task_id)["taskState"] == "finished")
        return cast(dict[str, Any], self.call("Task.getStatus", volume, taskID=task_id))

    def raw(self, data: bytes = b"") -> VolumeFacts:
        path = self._path()
        path.write_bytes(data)
        os.truncate(path, _MIB)
        os.chown(path, STORAGE_UID, STORAGE_GID)
        return self.volumes.add(path, ImageFormat.RAW)

    def qcow2(self, backing: str | None = None, *, size_bytes: int = _MIB) -> VolumeFacts:
        path = self._path()
        backing_format = None if backing is None else ImageFormat.RAW
        qemu_img.create_qcow2(path, size_bytes=size_bytes, backing=backing, backing_format=backing_format)
        facts = replace(self.volumes.add(path, ImageFormat.QCOW2), capacity_bytes=_MIB)
        self.volumes.known[facts.ref] = facts
        return facts

    def _path(self) -> Path:
        image = self.volumes.directory / str(uuid4())
        image.mkdir()
        os.chown(image, STORAGE_UID, STORAGE_GID)
        return image / str(uuid4())


@pytest.fixture(name="agent")
def agent_fixture() -> Iterator[Agent]:
    with new_root() as root:
        directory = root.path / "images"
        directory.mkdir()
        volumes = PlainVolumes(directory)
        with image_agent(root, volumes, ImagesConfig()) as agent:
            yield Agent(agent, volumes)


def test_prepare_and_teardown(agent: Agent) -> None:
    volume = agent.raw()
    assert agent.call("Image.getVolumes", volume) == [volume.ref.volume_id]
    assert agent.call("Image.prepare", volume) == {"path": str(volume.path)}
    assert agent.volumes.users(volume.ref) == {"engine"}
    assert agent.call("Image.teardown", volume, volumeID=None) is True
    assert agent.volumes.users(volume.ref) == frozenset()
    agent.volumes.known[volume.ref] = replace(volume, is_legal=False)
    assert agent.code("Image.prepare", volume) == 227
    assert agent.call("Image.prepare", volume, allowIllegal=True) == {"path": str(volume.path)}


@pytest.mark.parametrize("post_zero", [False, True, "false", "true"])
def test_delete(agent: Agent, post_zero: bool | str) -> None:
    volume = agent.raw(b"secret" * 100)
    kept = volume.path.with_name("kept")
    os.link(volume.path, kept)
    with kept.open("rb") as stream:
        agent.volumes.prepare(volume.ref, user="some vm")
        agent.code("Image.delete", volume, postZero=post_zero)
        agent.volumes.teardown(volume.ref, user="some vm")
        assert agent.delete(volume, postZero=post_zero)["taskResult"] == "success"
        assert (b"secret" in stream.read()) == (str(post_zero).lower() == "false")
    assert agent.code("Image.getVolumes", volume) == 268
    assert agent.code("Image.delete", volume, postZero=post_zero) == 268


def test_what_is_in_a_volume(agent: Agent) -> None:
    volume = agent.qcow2()
    assert agent.call("Volume.getQemuImageInfo", volume) == {
        "format": "qcow2", "virtualsize": _MIB, "clustersize": 65536, "compat": "1.1",
    }  # fmt: skip
    assert agent.call("Volume.measure", volume, dstVolFormat="RAW") == {"required": _MIB, "fully-allocated": _MIB}
    assert agent.call("Volume.measure", agent.raw(), dstVolFormat=4)["required"] < _MIB
    assert agent.code("Volume.measure", volume, dstVolFormat="VMDK") == 91


def test_good_uploads_pass(agent: Agent) -> None:
    for volume in (agent.raw(b"some data"), agent.qcow2()):
        assert agent.call("Volume.verify_untrusted", volume) is True


@pytest.mark.parametrize(("words", "passes"), [("-F raw", True), ("-F qcow2", False), ("", False)])
def test_what_lies_below_is_what_the_domain_says(agent: Agent, words: str, passes: bool) -> None:
    """A raw volume's guest could write a header into it that names any file; read as qcow2, that file is shown."""
    below, volume = agent.raw(), agent.qcow2()
    os.link(below.path, volume.path.with_name(below.path.name))
    volume = replace(volume, parent=below)
    agent.volumes.known[volume.ref] = volume
    make, name = ["qemu-img", "create", "-q", "-f", "qcow2"], below.path.name
    if words:
        run([*make, "-u", "-b", name, *words.split(), str(volume.path), "1M"], timeout_seconds=30)
    else:
        run([*make, "-o", "compat=1.1", str(volume.path), "1M"], timeout_seconds=30)
        with volume.path.open("r+b") as stream:  # as qemu-img once made them: a name and no format
            stream.seek(8)
            stream.write((512).to_bytes(8, "big") + len(name).to_bytes(4, "big"))
            stream.seek(512)
            stream.write(name.encode())
    if passes:
        assert agent.call("Volume.verify_untrusted", volume) is True
    else:
        assert agent.code("Volume.verify_untrusted", volume) == 484


def test_hostile_uploads_are_refused(agent: Agent) -> None:
    disguised = agent.raw()
    disguised.path.write_bytes(agent.qcow2().path.read_bytes())
    elsewhere = agent.qcow2()
    data = elsewhere.path.with_name("data")
    data.touch()
    os.chown(data, STORAGE_UID, STORAGE_GID)
    options = f"data_file={data},data_file_raw=on"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, elsewhere.path, "1M"], timeout_seconds=30)
    uploads = {
        "raw that is qcow2": disguised,
        "a file of the host": agent.qcow2("/etc/shadow"),
        "another disk": agent.qcow2(f"../{disguised.ref.image_id}/{disguised.ref.volume_id}"),
        "data elsewhere": elsewhere,
        "too big": agent.qcow2(size_bytes=2 * _MIB),
    }
    broken = agent.qcow2()
    broken.path.write_bytes(b"QFI\xfb\x00\x00\x00\x03" + b"\xff" * 600)
    uploads["broken"] = broken
    for name, volume in uploads.items():
        assert agent.code("Volume.verify_untrusted", volume) == 484, name
        assert not agent.volumes.volume(volume.ref).is_legal, name
        assert agent.code("Image.prepare", volume) == 227, name
    with pytest.raises(CallRefused) as refused:
        agent.call("Volume.verify_untrusted", broken)
    assert str(broken.path.parent) not in refused.value.message
    assert "Could not open" in refused.value.message


def test_qemu_never_sees_a_header_that_names_a_data_file(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones open it, whatever it is, to tell of the image."""
    volume = agent.qcow2()
    options = f"data_file={volume.path}.data"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, volume.path, "1M"], timeout_seconds=30)
    disguised = agent.raw(volume.path.read_bytes())
    monkeypatch.setenv("PATH", "/nowhere")
    for upload in (volume, disguised):
        assert agent.code("Volume.verify_untrusted", upload) == 484


def test_what_a_guest_writes_is_no_upload(agent: Agent) -> None:
    """A raw disk whose guest keeps a qcow2 image in it would be refused, and illegal at the guest's next start."""
    volume = agent.raw(agent.qcow2().path.read_bytes())
    for user, code in (("some vm", 203), ("ticket-1", 484), ("nbd-1", 484)):
        agent.volumes.prepare(volume.ref, user=user)
        assert agent.code("Volume.verify_untrusted", volume) == code
        assert agent.volumes.volume(volume.ref).is_legal == (user == "some vm")
        agent.volumes.teardown(volume.ref, user=user)


def test_no_disk_larger_than_its_volume_is_used(agent: Agent) -> None:
    """Nobody need have asked for a verification."""
    volume = agent.qcow2(size_bytes=2 * _MIB)
    volume = replace(volume, ref=replace(volume.ref, pool_id=NO_POOL))
    agent.volumes.known[volume.ref] = volume
    config = {"sd_id": volume.ref.domain_id, "img_id": volume.ref.image_id, "vol_id": volume.ref.volume_id}
    server = {"server_id": str(uuid4()), "config": {**config, "readonly": True}}
    assert agent.code("NBD.start_server", volume, **server) == 484
    assert agent.code("Volume.measure", volume, dstVolFormat="RAW") == 484
    assert agent.volumes.users(volume.ref) == frozenset()
