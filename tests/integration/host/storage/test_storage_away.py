# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage that hangs keeps no verb longer than it may wait, and storage in use is not taken away by a verb."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from covirt.host.storage import qemu_img
from covirt.host.storage.container_images import ContainerImages
from covirt.host.storage.disk_images import DiskImages
from tests.support.host_storage import Disk, StorageAgent, refused
from tests.support.roots import new_root

pytestmark = pytest.mark.root

_SILENT = 379
_IN_USE = 382


@pytest.fixture(name="agent")
def agent_fixture() -> Iterator[StorageAgent]:
    with new_root() as root:
        agent = StorageAgent(root, call_timeout_seconds=1)
        agent.start()
        yield agent
        agent.stop()


@pytest.fixture
def hanging() -> Iterator[Callable[..., None]]:
    """A look into storage that comes back at the test's end."""
    back = threading.Event()
    inside: list[threading.Thread] = []

    def hang(*_: object) -> None:
        inside.append(threading.current_thread())
        back.wait(60)
        raise OSError(5, "gone")

    yield hang
    back.set()
    for thread in inside:
        thread.join(60)


def test_no_verb_waits_for_a_header_longer_than_it_may(
    agent: StorageAgent, hanging: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(agent)
    leaf = disk.create(volFormat=4)
    ids = disk.ids(leaf)
    config = {"sd_id": disk.domain_id, "img_id": disk.image_id, "vol_id": leaf, "readonly": True}
    monkeypatch.setattr(qemu_img, "read_header", hanging)
    refused(agent, _SILENT, "Volume.getQemuImageInfo", **ids)
    refused(agent, _SILENT, "Volume.measure", **ids, dstVolFormat=5)
    refused(agent, _SILENT, "NBD.start_server", server_id=str(uuid4()), config=config)
    assert agent.storage.volumes.domain_users(disk.domain_id) == frozenset()


def test_what_hangs_is_no_bad_upload(
    agent: StorageAgent, hanging: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(agent)
    leaf = disk.create()
    monkeypatch.setattr(DiskImages, "_judge", staticmethod(hanging))
    refused(agent, _SILENT, "Volume.verify_untrusted", **disk.ids(leaf))
    assert agent.call("Volume.getInfo", **disk.ids(leaf))["legality"] == "LEGAL"


def test_no_verb_waits_for_container_images_longer_than_it_may(
    agent: StorageAgent, hanging: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(agent)
    ids = disk.ids(disk.create())
    for name in ("check_free", "list", "get"):
        monkeypatch.setattr(ContainerImages, name, hanging)
    source = {"kind": "registry", "url": "docker://localhost/none"}
    refused(agent, _SILENT, "ContainerImage.import", **ids, jobID=str(uuid4()), source=source)
    refused(agent, _SILENT, "ContainerImage.list", storagepoolID=disk.pool_id, storagedomainID=disk.domain_id)
    refused(agent, _SILENT, "ContainerImage.inspect", **ids)
    refused(agent, _SILENT, "ContainerImage.remove", **ids, jobID=str(uuid4()))


def test_the_server_of_a_domain_in_use_stays(agent: StorageAgent) -> None:
    """A link to a local directory could go at any time, and every guest on it would lose its disks."""
    disk = Disk(agent)
    leaf = disk.create()
    agent.storage.volumes.prepare(disk.ref(leaf), user="vm-1")
    assert agent.connect(disk.server, verb="disconnect") == _IN_USE
    assert Path(agent.call("Image.prepare", **disk.ids(leaf))["path"]).exists()
    agent.call("Image.teardown", **disk.ids(leaf))
    agent.storage.volumes.release("vm-1")
    assert agent.connect(disk.server, verb="disconnect") == 0
