# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images as libvirt's storage pool ``images``, seen by stock virsh and libvirt-python."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.oci.image.store import ImageStore
from tests.support.images import one_image
from tests.support.oci_layout import busybox_image
from tests.support.virtocid import IMAGE, Virtocid

pytestmark = [pytest.mark.root, pytest.mark.runc]

_SPACE = f"{{{COVIRT_NAMESPACE}}}"


@pytest.fixture
def connection(virtocid: Virtocid) -> Iterator[libvirt.virConnect]:
    with virtocid.connect() as opened:
        yield opened


@pytest.fixture
def second(virtocid: Virtocid, open_dir: Path) -> Iterator[str]:
    """Another image, called "second"."""
    store = ImageStore(virtocid.root)
    source = one_image(
        open_dir / "second",
        busybox_image(Env=["PATH=/bin", "TOKEN=hidden"], Labels={"bell": "a\u0007b"}, User="nobody"),
    )
    store.import_(source, name="second")
    yield "second"
    if any(image.name == "second" for image in store.list()):
        store.remove("second")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_virsh_lists_the_pool_and_its_images(virtocid: Virtocid, second: str) -> None:
    pools = virtocid.virsh("pool-list", "--all").stdout.decode().split()
    assert pools == ["images", "active", "yes"]
    names = [line.split()[0] for line in virtocid.virsh("vol-list", "images").stdout.decode().splitlines() if line]
    assert names == [IMAGE, second]
    info = virtocid.virsh("pool-info", "images").stdout.decode()
    assert "running" in info
    assert "Persistent:     yes" in info
    assert f"<path>{virtocid.root.images_dir}</path>" in virtocid.virsh("pool-dumpxml", "images").stdout.decode()


@pytest.mark.parametrize("option", ["--inactive", "--transient", "--no-autostart", "--type=logical"])
def test_a_filter_that_the_pool_does_not_pass(virtocid: Virtocid, option: str) -> None:
    assert virtocid.virsh("pool-list", option).stdout.split() == []


@pytest.mark.parametrize("option", ["--all", "--persistent", "--autostart", "--type=dir"])
def test_a_filter_that_the_pool_passes(virtocid: Virtocid, option: str) -> None:
    assert virtocid.virsh("pool-list", option, "--name").stdout.split() == [b"images"]


def test_the_pool_is_the_same_after_a_restart(virtocid: Virtocid) -> None:
    before = virtocid.virsh("pool-uuid", "images").stdout
    virtocid.restart()
    assert virtocid.virsh("pool-uuid", "images").stdout == before
    assert virtocid.virsh("pool-name", before.decode().strip()).stdout.strip() == b"images"


def test_a_volume_is_found_by_name_path_and_key(connection: libvirt.virConnect, virtocid: Virtocid) -> None:
    pool = connection.storagePoolLookupByName("images")
    volume = pool.storageVolLookupByName(IMAGE)
    assert volume.path() == str(virtocid.image)
    assert connection.storageVolLookupByPath(volume.path()).name() == IMAGE
    assert connection.storageVolLookupByKey(volume.key()).name() == IMAGE
    assert volume.storagePoolLookupByVolume().UUID() == pool.UUID()
    kind, capacity, allocation = volume.info()
    facts = os.stat(virtocid.image)
    assert (kind, capacity, allocation) == (libvirt.VIR_STORAGE_VOL_FILE, facts.st_size, facts.st_blocks * 512)
    assert pool.numOfVolumes() == len(pool.listVolumes()) == len(pool.listAllVolumes())
    pool.refresh()


def test_a_volume_tells_what_the_image_is(connection: libvirt.virConnect, virtocid: Virtocid, second: str) -> None:
    pool = connection.storagePoolLookupByName("images")
    root = etree.fromstring(pool.storageVolLookupByName(second).XMLDesc())
    about = root.find(f"{_SPACE}image")
    assert about is not None
    image = ImageStore(virtocid.root).find(second)
    assert about.get("digest") == image.digest
    assert about.findtext(f"{_SPACE}user") == "nobody"
    values = {child.get("name"): child.text for child in about.findall(f"{_SPACE}environment")}
    assert values["TOKEN"] == "hidden"  # noqa: S105
    assert about.findtext(f"{_SPACE}label") == "a\ufffdb"
    assert root.findtext("target/path") == str(image.path)


def test_a_read_only_client_sees_no_environment(virtocid: Virtocid, second: str) -> None:
    shown = virtocid.virsh("vol-dumpxml", second, "images", readonly=True).stdout.decode()
    assert "TOKEN" in shown
    assert "hidden" not in shown
    assert virtocid.virsh("vol-delete", second, "images", readonly=True, check=False).status != 0
    assert ImageStore(virtocid.root).find(second).path.exists()


def test_an_image_comes_down_as_it_is(virtocid: Virtocid, open_dir: Path) -> None:
    target = open_dir / "down.raw"
    virtocid.virsh("vol-download", IMAGE, str(target), "images")
    assert _digest(target) == _digest(virtocid.image)
    virtocid.virsh("vol-download", IMAGE, str(target), "images", "--offset", "1024", "--length", "4096")
    assert target.read_bytes() == virtocid.image.read_bytes()[1024:5120]


def test_more_than_there_is_cannot_be_downloaded(virtocid: Virtocid, open_dir: Path) -> None:
    size = virtocid.image.stat().st_size
    download = ("vol-download", IMAGE, str(open_dir / "x"), "images")
    for options in (("--offset", str(size + 1)), ("--length", str(size + 1))):
        assert f"has {size} bytes" in virtocid.refusal(*download, *options)
    assert "unsupported flags" in virtocid.refusal(*download, "--sparse")


def test_a_download_that_nobody_takes_stops_nobody(connection: libvirt.virConnect, virtocid: Virtocid) -> None:
    """A client that reads nothing is not read for: others are served, and its end ends it."""
    stalled = libvirt.open(virtocid.uri)
    stream = stalled.newStream()
    stalled.storagePoolLookupByName("images").storageVolLookupByName(IMAGE).download(stream, 0, 0)
    assert stream.recv(1)
    assert connection.storagePoolLookupByName("images").numOfVolumes() >= 1
    stream.abort()
    stalled.close()


def test_several_downloads_at_once(virtocid: Virtocid, open_dir: Path) -> None:
    paths = [open_dir / f"copy{number}" for number in range(4)]
    threads = [
        threading.Thread(target=virtocid.virsh, args=("vol-download", IMAGE, str(path), "images"), name=path.name)
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {_digest(path) for path in paths} == {_digest(virtocid.image)}


def test_an_image_is_deleted_unless_it_is_used(virtocid: Virtocid, second: str) -> None:
    virtocid.define("holder", image=second)
    assert "is used by" in virtocid.refusal("vol-delete", second, "images")
    assert "holder" in virtocid.virsh("vol-dumpxml", second, "images").stdout.decode()
    virtocid.virsh("undefine", "holder")
    virtocid.virsh("vol-delete", second, "images")
    assert [image.name for image in ImageStore(virtocid.root).list()] == [IMAGE]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pool-info", "other"), "no storage pool with matching name 'other'"),
        (("vol-info", "absent", "images"), "no storage vol with matching"),
        (("vol-info", "/etc/passwd"), "no storage vol with matching"),
        (("vol-info", "../etc", "images"), "no storage vol with matching"),
        (("pool-destroy", "images"), "it always runs"),
        (("pool-create-as", "x", "dir", "--target", "/x"), "there is no other"),
        (("vol-create-as", "images", "x", "1M"), "imported by virtocid-image"),
        (("vol-resize", IMAGE, "1G", "images"), "never change"),
    ],
)
def test_what_is_refused_says_why(virtocid: Virtocid, arguments: tuple[str, ...], words: str) -> None:
    assert words in virtocid.refusal(*arguments)
