# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The owner of storage files (36:36) puts links where root works: nothing is written outside of the domain."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from covirt.common.errors import Unavailable
from covirt.host.storage.container_images import IMPORT, Archive, ContainerImages, import_params
from covirt.host.storage.container_import import ArchiveKind, ContainerImageProgram, ImportSource
from covirt.host.storage.disk_images import DiskImages
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.operation import Control, Record
from tests.support.host_storage import Disk, StorageAgent, make_server
from tests.support.roots import new_root

pytestmark = pytest.mark.root


@pytest.fixture(name="disk")
def disk_fixture() -> Iterator[Disk]:
    with new_root() as root:
        agent = StorageAgent(root)
        agent.start()
        yield Disk(agent)
        agent.stop()


class SwappingProgram(ContainerImageProgram):
    """Writes where it is told, after somebody has put a link in the place of the directory."""

    def __init__(self, disk: Disk, outside: Path) -> None:
        super().__init__(root=disk.agent.root, config=ImagesConfig())
        self._images = disk.directory / "images"
        self._outside = outside
        self.stage = ""

    def import_to(self, output: Path, *_: Any, **_more: Any) -> Mapping[str, Any]:
        [self.stage] = os.listdir(self._images)
        (self._images / self.stage).rename(self._images / "away")
        (self._images / self.stage).symlink_to(self._outside)
        output.write_bytes(b"image")
        return {}


def outside_of(disk: Disk) -> Path:
    outside = disk.agent.root.path / "outside"
    make_server(outside)
    os.chown(outside, 0, 0)
    return outside


def test_an_import_writes_nothing_outside(disk: Disk) -> None:
    outside = outside_of(disk)
    program = SwappingProgram(disk, outside)
    images = ContainerImages(volumes=disk.agent.storage.volumes, program=program)
    target, source = disk.ref(str(uuid4())), ImportSource(text="docker://localhost/gone")
    params = import_params(job_id=str(uuid4()), target=target, source=source, description="")
    with pytest.raises((Unavailable, OSError)):
        images.run_import(params, Control({}))
    assert os.listdir(outside) == []
    assert outside.stat().st_uid == 0
    assert not fnmatch(program.stage, "*-*-*-*-*"), "Vdsm takes it for an image"


class ReadingProgram(ContainerImageProgram):
    """Reads its archive, after somebody has put a link in its place."""

    def __init__(self, disk: Disk, volume: Path, secret: Path) -> None:
        super().__init__(root=disk.agent.root, config=ImagesConfig())
        self._volume = volume
        self._secret = secret
        self.read: list[bytes] = []

    def import_to(self, output: Path, source: ImportSource, **_more: Any) -> Mapping[str, Any]:
        self._link()
        self.read.append(Path(source.text.removeprefix("oci-archive:")).read_bytes())
        output.write_bytes(b"image")
        return {}

    def inspect(self, path: Path) -> Mapping[str, Any] | None:
        self._link()
        self.read.append(path.read_bytes())
        return {}

    def _link(self) -> None:
        self._volume.unlink()
        self._volume.symlink_to(self._secret)


def test_nothing_outside_is_read_as_an_archive_or_an_image(disk: Disk) -> None:
    secret = outside_of(disk) / "secret"
    secret.write_bytes(b"secret")
    for disk_type in ("DATA", "ISOF"):
        volume_id = disk.create(diskType=disk_type, imageID=disk.image_id)
        volume = disk.path(volume_id)
        volume.write_bytes(b"what was uploaded")
        program = ReadingProgram(disk, volume, secret)
        images = ContainerImages(volumes=disk.agent.storage.volumes, program=program)
        archive = Archive(ref=disk.ref(volume_id), kind=ArchiveKind.OCI)

        def use(images: ContainerImages = images, archive: Archive = archive, disk_type: str = disk_type) -> None:
            if disk_type == "ISOF":
                images.get(archive.ref)
            else:
                target = replace(archive.ref, image_id=str(uuid4()), volume_id=str(uuid4()))
                params = import_params(job_id=str(uuid4()), target=target, source=archive, description="")
                images.run_import(params, Control({}))

        use()
        assert program.read == [b"what was uploaded"]
        with pytest.raises(Unavailable, match="no plain file"):
            use()
        assert len(program.read) == 1


def test_zeroing_writes_nothing_outside(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    outside, volume = outside_of(disk), disk.create()
    (outside / volume).write_bytes(b"secret")
    real = DiskImages.check_removable

    def then_linked(self: DiskImages, domain_id: str, image_id: str) -> None:
        real(self, domain_id, image_id)
        disk.path(volume).unlink()
        disk.path(volume).symlink_to(outside / volume)

    monkeypatch.setattr(DiskImages, "check_removable", then_linked)
    images = DiskImages(disk.agent.storage.volumes)
    with pytest.raises((Unavailable, OSError)):
        images.run_delete({"domain_id": disk.domain_id, "image_id": disk.image_id, "zero": True}, Control({}))
    assert (outside / volume).read_bytes() == b"secret"


def test_a_link_is_no_volume(disk: Disk) -> None:
    outside, volume = outside_of(disk), disk.create()
    (outside / "secret").write_bytes(b"secret")
    disk.path(volume).unlink()
    disk.path(volume).symlink_to(outside / "secret")
    with pytest.raises(Unavailable, match="no plain file"):
        disk.agent.storage.volumes.prepare(disk.ref(volume), user="vm-1")


def test_what_an_earlier_life_left_is_removed(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record may be gone with the disk of the host; what works now keeps its place."""
    agent, images = disk.agent, disk.directory / "images"
    left = images / "_covirt_import_0123"
    left.mkdir()
    (left / "half").write_bytes(b"half")
    job_id = str(uuid4())
    source = ImportSource(text="docker://localhost/gone")
    params = import_params(job_id=job_id, target=disk.ref(str(uuid4())), source=source, description="")
    (images / params["stage"]).mkdir()
    agent.call("StoragePool.spmStop", storagepoolID=disk.pool_id)
    monkeypatch.setattr(agent.images.jobs, "list", lambda: [Record(id=job_id, kind=IMPORT, params=params)])
    agent.start_spm(disk.pool_id)
    assert os.listdir(images) == [params["stage"]]
    monkeypatch.undo()
    agent.call("StoragePool.spmStop", storagepoolID=disk.pool_id)
    agent.start_spm(disk.pool_id)
    assert os.listdir(images) == []
