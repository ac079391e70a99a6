# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Headers of images in real storage domains, before a guest gets them."""

import contextlib
from collections.abc import Iterator

import pytest

from covirt.common.process import run
from covirt.host.storage.image_volumes import VolumeIsIllegal
from covirt.host.storage.qemu_img import ForeignReference, LargerThanItsVolume
from tests.support.host_storage import Disk, StorageAgent
from tests.support.roots import new_root

pytestmark = pytest.mark.root


@pytest.fixture(name="agent")
def agent_fixture() -> Iterator[StorageAgent]:
    with new_root() as root:
        agent = StorageAgent(root)
        agent.start()
        yield agent
        agent.stop()


def test_no_guest_gets_a_volume_whose_header_names_another_file(agent: StorageAgent) -> None:
    """libvirt reads the chain from headers, and nobody need have asked for a verification of the upload."""
    disk = Disk(agent)
    leaf = disk.create(volFormat=4)
    volumes, ref, path = agent.storage.volumes, disk.ref(leaf), disk.path(leaf)
    run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "/etc/shadow", "-F", "raw", path], timeout_seconds=30)
    with pytest.raises(ForeignReference, match="/etc/shadow"):
        volumes.prepare(ref, user="vm-1")
    assert volumes.users(ref) == frozenset()
    # It is to be uploaded again, which takes its path.
    assert agent.call("Image.prepare", **disk.ids(leaf))["path"]
    agent.call("Image.teardown", **disk.ids(leaf))
    run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", path], timeout_seconds=30)
    agent.call("Volume.setLegality", **disk.ids(leaf), legality="ILLEGAL")
    with pytest.raises(VolumeIsIllegal):
        volumes.prepare(ref, user="vm-1")
    agent.call("Volume.setLegality", **disk.ids(leaf), legality="LEGAL")
    volumes.prepare(ref, user="vm-1")
    volumes.release("vm-1")


def test_no_guest_gets_a_disk_that_is_larger_than_its_volume(agent: StorageAgent) -> None:
    disk = Disk(agent)
    leaf = disk.create(volFormat=4)
    volumes, ref, path = agent.storage.volumes, disk.ref(leaf), disk.path(leaf)
    run(["qemu-img", "resize", "-q", "-f", "qcow2", path, "1T"], timeout_seconds=30)
    with pytest.raises(LargerThanItsVolume, match=f"a disk of {1 << 40} bytes"):
        volumes.prepare(ref, user="vm-1")
    assert volumes.users(ref) == frozenset()


def test_a_disk_that_its_guest_extends_may_be_used_at_any_moment(agent: StorageAgent) -> None:
    """Killed between its two halves, the volume must not be smaller than the image."""
    disk = Disk(agent)
    leaf = disk.create(volFormat=4)
    volumes, ref, path = agent.storage.volumes, disk.ref(leaf), disk.path(leaf)
    before = volumes.volume(ref).capacity_bytes

    def capacity_after(resized_to: int, error: type[Exception] | None) -> int:
        with contextlib.suppress(RuntimeError), volumes.growing(ref, size_bytes=4 * before):
            assert volumes.volume(ref).capacity_bytes == 4 * before
            run(["qemu-img", "resize", "-q", "-f", "qcow2", path, str(resized_to)], timeout_seconds=30)
            if error is not None:
                raise error
        volumes.prepare(ref, user="vm-1")
        volumes.release("vm-1")
        return volumes.volume(ref).capacity_bytes

    assert capacity_after(before, RuntimeError) == before
    assert capacity_after(2 * before, RuntimeError) == 2 * before
    assert capacity_after(4 * before, None) == 4 * before
