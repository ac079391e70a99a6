# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Two who change the same volume at the same time: neither loses what the other wrote, and nobody uses what goes."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.errors import Conflict
from covirt.common.process import run
from covirt.host.storage import qemu_img
from covirt.host.storage.copy_data import CopyData, CopyEndpoint
from covirt.host.storage.disk_images import DiskImages, ImageInUse
from covirt.host.storage.file_domain import FileDomain
from covirt.host.storage.operation import Control
from covirt.host.storage.storage_errors import NoSuchVolume, VolumeTaken, WrongGeneration
from covirt.host.storage.volume_format import VolumeMetadata
from covirt.host.storage.volume_work import VolumeWork
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.errors import CallRefused
from tests.support.host_storage import BLANK, MIB, Disk, StorageAgent
from tests.support.roots import new_root
from tests.support.storage_checker import volume_metadata

pytestmark = pytest.mark.root


@pytest.fixture(name="agent")
def agent_fixture() -> Iterator[StorageAgent]:
    with new_root() as root:
        agent = StorageAgent(root)
        agent.start()
        yield agent
        agent.stop()


def test_nobody_gets_a_volume_that_is_being_removed(agent: StorageAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks for users and then removes must not be overtaken by a new user in between."""
    disk = Disk(agent)
    tried: list[type[BaseException] | str] = []

    def meanwhile(patch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(FileDomain, name)

        def slow(self: FileDomain, *args: Any, **keywords: Any) -> Any:
            try:
                tried.append(agent.storage.volumes.prepare(disk.ref(volume), user="vm-1"))
            except Conflict as error:
                tried.append(type(error))
            return real(self, *args, **keywords)

        patch.setattr(FileDomain, name, slow)

    volume = disk.create()
    with monkeypatch.context() as patch:
        meanwhile(patch, "children")
        agent.storage.work.run_delete({"ref": asdict(disk.ref(volume)), "force": False}, Control({}))
    tried_first = list(tried)
    volume = disk.create()
    meanwhile(monkeypatch, "remove_image")
    agent.done("Image.delete", **disk.ids(), postZero=False, force=False)
    assert tried_first[-1] is tried[-1] is VolumeTaken
    assert agent.storage.volumes.domain_users(disk.domain_id) <= {"vm-1"}


def test_a_volume_is_not_removed_while_somebody_begins_to_use_it(
    agent: StorageAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(agent)
    volume = disk.create()
    real = FileDomain.facts
    statuses: list[None] = []

    def slow(self: FileDomain, ref: VolumeRef) -> Any:
        facts = real(self, ref)
        if threading.current_thread().name.startswith("storage-call") and not statuses:
            statuses.append(None)
            with pytest.raises(CallRefused):
                agent.call("Volume.delete", **disk.ids(volume), postZero=False, force=False)
            params = {"domain_id": disk.domain_id, "image_id": disk.image_id, "zero": False}
            with pytest.raises(ImageInUse):
                DiskImages(agent.storage.volumes).run_delete(params, Control({}))
        return facts

    monkeypatch.setattr(FileDomain, "facts", slow)
    assert Path(agent.storage.volumes.prepare(disk.ref(volume), user="vm-1")).exists()
    assert statuses


def test_a_volume_that_cannot_be_prepared_is_not_held(agent: StorageAgent) -> None:
    disk = Disk(agent)
    volume = disk.create()
    disk.path(volume).unlink()
    with pytest.raises(NoSuchVolume):
        agent.storage.volumes.prepare(disk.ref(volume), user="vm-1")
    assert agent.storage.volumes.users(disk.ref(volume)) == frozenset()


def copying(disk: Disk, source: str, target: str, *, generation: int | None = None) -> dict[str, Any]:
    ends = ((source, None), (target, generation))
    sides = [asdict(CopyEndpoint(ref=disk.ref(volume), generation=number)) for volume, number in ends]
    return {"job_id": str(uuid4()), "source": sides[0], "target": sides[1], "bitmaps": False}


def test_only_one_of_two_copies_of_a_generation_is_made(agent: StorageAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(agent)
    source, other, target = disk.create(), disk.create(), disk.create()
    disk.path(source).write_bytes(b"1" * MIB)
    disk.path(other).write_bytes(b"2" * MIB)
    copy, real = CopyData(agent.storage.volumes), qemu_img.convert

    def slow(*args: Any, **keywords: Any) -> None:
        real(*args, **keywords)
        with pytest.raises(VolumeTaken):
            copy.run(copying(disk, other, target, generation=0), Control({}))
        with pytest.raises(VolumeTaken):
            agent.storage.volumes.prepare(disk.ref(target), user="vm-1")

    monkeypatch.setattr(qemu_img, "convert", slow)
    copy.run(copying(disk, source, target, generation=0), Control({}))
    with pytest.raises(WrongGeneration):
        copy.run(copying(disk, other, target, generation=0), Control({}))
    assert disk.path(target).read_bytes() == b"1" * MIB
    assert volume_metadata(disk.path(f"{target}.meta"))["GEN"] == "1"
    assert agent.storage.volumes.domain_users(disk.domain_id) == frozenset()


def test_a_volume_is_described_beside_no_other_change(agent: StorageAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads metadata to write it again brings an illegal volume back, or a generation that is past."""
    disk = Disk(agent)
    volume = disk.create()
    began, written = threading.Event(), threading.Event()
    read = FileDomain.volume_metadata

    def slow(self: FileDomain, image_id: str, volume_id: str) -> VolumeMetadata:
        metadata = read(self, image_id, volume_id)
        if describing.is_set() and threading.current_thread().name.startswith("storage-call"):
            began.set()
            written.wait(0.3)  # as long as the other change could take if nothing held it back
        return metadata

    describing = threading.Event()
    describe = {**disk.ids(volume), "description": "another"}
    monkeypatch.setattr(FileDomain, "volume_metadata", slow)
    with agent.storage.volumes.replacing(disk.ref(volume), generation=0):
        agent.call("Volume.setDescription", **{**describe, "description": "during"})
        describing.set()
        thread = threading.Thread(target=lambda: agent.call("Volume.setDescription", **describe))
        thread.start()
        assert began.wait(30)
    describing.clear()
    written.set()
    thread.join(30)
    found = volume_metadata(disk.path(f"{volume}.meta"))
    assert (found["DESCRIPTION"], found["GEN"], found["LEGALITY"]) == ("another", "1", "LEGAL")


@pytest.mark.parametrize("change", ["deactivate", "detach", "format"])
def test_nobody_gets_a_volume_of_a_domain_that_leaves(
    agent: StorageAgent, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    disk = Disk(agent)
    other = agent.new_domain(agent.root.path / "two")
    ids = {"storagedomainID": other, "storagepoolID": disk.pool_id}
    agent.call("StorageDomain.attach", **ids)
    agent.call("StorageDomain.activate", **ids)
    image_id, volume_id = str(uuid4()), str(uuid4())
    volume = {**ids, "imageID": image_id, "volumeID": volume_id, "srcImgUUID": BLANK, "srcVolUUID": BLANK}
    agent.done("Volume.create", **volume, size=str(MIB), volFormat=5, preallocate=2, diskType="DATA", desc="")
    ref = VolumeRef(pool_id=BLANK, domain_id=other, image_id=image_id, volume_id=volume_id)
    verbs: list[tuple[str, dict[str, Any]]] = [
        ("deactivate", {**ids, "masterSdUUID": BLANK, "masterVersion": 0}),
        ("detach", {**ids, "masterSdUUID": BLANK, "masterVersion": 0}),
        ("format", {"storagedomainID": other}),
    ]
    tried: list[None] = []

    def then(real: Any) -> Any:
        def first(*args: Any, **keywords: Any) -> Any:
            if not tried:
                tried.append(None)
                with contextlib.suppress(Conflict):
                    agent.storage.volumes.prepare(ref, user="vm-1")
            return real(*args, **keywords)

        return first

    for verb, params in verbs:
        if verb == change:
            for name in ("write_metadata", "remove"):
                monkeypatch.setattr(FileDomain, name, then(getattr(FileDomain, name)))
        agent.call(f"StorageDomain.{verb}", **params)
        if verb == change:
            break
    assert tried
    assert agent.storage.volumes.users(ref) == frozenset()


def test_what_a_dead_server_held_is_given_back(agent: StorageAgent) -> None:
    """The agent was killed between holding the volume and starting its server."""
    disk = Disk(agent)
    volume = disk.create()
    user = f"nbd-{uuid4()}"
    agent.storage.volumes.prepare(disk.ref(volume), user=user)
    following = StorageAgent(agent.root)
    following.start()
    try:
        assert following.storage.volumes.users(disk.ref(volume)) == frozenset()
    finally:
        following.stop()


def test_a_task_copies_nothing_that_a_guest_writes_to(agent: StorageAgent) -> None:
    disk = Disk(agent)
    volume = disk.create()
    target = {"dstSdUUID": BLANK, "dstImgUUID": str(uuid4()), "dstVolUUID": str(uuid4()), "desc": ""}
    copy = {**disk.ids(volume), **target, "volType": 8, "volFormat": 5, "preallocate": 2}
    agent.storage.volumes.prepare(disk.ref(volume), user="vm-1")
    assert agent.task("Volume.copy", **copy)["code"] == 203
    agent.storage.volumes.release("vm-1")
    agent.done("Volume.copy", **copy)


def test_a_volume_whose_link_cannot_be_made_is_not_held(agent: StorageAgent) -> None:
    """Nobody would give it back who was told that it was not prepared."""
    disk = Disk(agent)
    volume, links = disk.create(), agent.root.path / "run/vdsm/storage"
    run(["mount", "-t", "tmpfs", "-o", "nr_inodes=2", "covirt-test", links], timeout_seconds=10)
    try:
        with pytest.raises(CallRefused, match="this host cannot write"):
            agent.call("Image.prepare", **disk.ids(volume))
    finally:
        run(["umount", links], timeout_seconds=10)
    assert agent.storage.volumes.users(disk.ref(volume)) == frozenset()
    agent.call("Image.prepare", **disk.ids(volume))


@pytest.mark.parametrize("verb", ["Volume.create", "Volume.copy"])
def test_who_removes_an_image_gives_up_what_is_on_its_way_into_it(
    agent: StorageAgent, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """As when an engine undoes a creation whose end it was not told: it must not appear afterwards."""
    disk, going_on = Disk(agent), threading.Event()
    making = disk.new_volume()
    if verb == "Volume.copy":
        target = {"dstSdUUID": BLANK, "dstImgUUID": str(uuid4()), "dstVolUUID": str(uuid4()), "desc": ""}
        making = {**disk.ids(disk.create()), **target, "volType": 8, "volFormat": 5, "preallocate": 2}
    image_id = making.get("dstImgUUID", disk.image_id)
    before = sorted((disk.directory / "images").iterdir())
    real = VolumeWork._build

    def slow(self: VolumeWork, new: Any, stage: str, control: Control, **more: Any) -> None:
        going_on.set()
        while True:
            control.check()
            time.sleep(0.01)

    monkeypatch.setattr(VolumeWork, "_build", slow)
    task_id = agent.call(verb, **making)
    assert going_on.wait(30)
    with pytest.raises(CallRefused, match="there is no image"):
        agent.call("Image.delete", **{**disk.ids(), "imageID": image_id}, postZero=False, force=False)
    monkeypatch.setattr(VolumeWork, "_build", real)
    status = agent.call("Task.getStatus", taskID=task_id)
    assert (status["taskState"], status["taskResult"]) == ("finished", "cleanSuccess")
    assert sorted((disk.directory / "images").iterdir()) == before
