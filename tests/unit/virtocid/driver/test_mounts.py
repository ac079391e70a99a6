# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where disks go, and what becomes of the volumes that an image declares."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from covirt.common.errors import Error
from covirt.common.root import Root
from covirt.oci.image.model import ContainerImage
from covirt.oci.image.store import ImageStore
from covirt.oci.volume.views import DiskVolume, KeptVolume
from covirt.virtocid.driver.domain_xml.model import DiskMount, DomainConfig
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.errors import BadMountTarget, ImageVolumeUnmapped, OverlappingTargets, UnmappedDisk
from covirt.virtocid.driver.mounts import (
    check_mounts,
    declared_volumes,
    disk_mount,
    kept_name,
    unmapped_volumes,
    volumes_of,
)
from tests.support.fake_services import write_image
from tests.support.virtocid import domain_xml

_DRIVE_MAP = "http://ovirt.org/vm/containers/drivemap/1.0"


@pytest.fixture
def image(root_dir: Root) -> ContainerImage:
    write_image(root_dir)
    return ImageStore(root_dir).list()[0]


def _config(*, settings: str = "", devices: str = "", metadata: str = "") -> DomainConfig:
    text = domain_xml("web", settings=settings, devices=devices)
    return parse_domain(text.replace("</metadata>", f"{metadata}</metadata>"))


def _disk(target: str, inner: str = "") -> str:
    return f"<disk type='file'><source file='/srv/{target}.raw'/><target dev='{target}'/>{inner}</disk>"


def _map(*lines: tuple[str, str]) -> str:
    inner = "".join(f"<m:{tag}>{text}</m:{tag}>" for tag, text in lines)
    return f"<m:drivemap xmlns:m='{_DRIVE_MAP}'>{inner}</m:drivemap>"


@pytest.mark.parametrize(
    ("line", "declared", "target"),
    [
        (("data", "vda"), (), "/data"),
        (("vda", "data"), (), "/data"),
        (("data", "vda"), ("/var/lib/data",), "/var/lib/data"),
        (("vda", "data"), ("/data", "/x"), "/data"),
        (("data", "vda"), ("/var/data", "/srv/data"), "/data"),  # which one is meant cannot be told
        (("ata", "vda"), ("/data",), "/ata"),
        (("vda", "/srv/any"), (), "/srv/any"),
        (("data", "vdb"), (), None),
    ],
)
def test_ovirts_drive_map_in_either_order(
    line: tuple[str, str], declared: tuple[str, ...], target: str | None
) -> None:
    config = _config(devices=_disk("vda"), metadata=_map(line))
    mount = disk_mount(config, config.disks[0], declared)
    assert (mount.target if mount else None) == target


def test_the_more_precise_mapping_counts() -> None:
    own = "<c:volume xmlns:c='https://covirt.org/xmlns/container/1.0' target='/inner' subpath='a'/>"
    said = "<covirt:volume disk='vda' target='/outer'/>"
    both = _config(settings=said, devices=_disk("vda", own), metadata=_map(("data", "vda")))
    assert disk_mount(both, both.disks[0]) == DiskMount(target="/inner", subpath="a")
    one = _config(settings=said, devices=_disk("vda"), metadata=_map(("data", "vda")))
    assert disk_mount(one, one.disks[0]) == DiskMount(target="/outer")


def test_what_an_image_declares(image: ContainerImage) -> None:
    odd = replace(image, volumes=("/", "/proc/x", "data/", "//a/../b", "/b/", "/c\n", "/" + "x" * 300, "/dev/shm"))
    assert declared_volumes(odd) == ("/data", "/b", "/dev/shm")


def test_unmapped_volumes_are_kept_outermost_only(image: ContainerImage) -> None:
    image = replace(image, volumes=("/data", "/data/sub", "/logs", "/cache/deep", "/ram/x"))
    config = _config(
        settings="<covirt:volume disk='vda' target='/logs'/><covirt:volume discard='/cache'/>",
        devices=_disk("vda") + "<filesystem type='ram'><source usage='1'/><target dir='/ram'/></filesystem>",
    )
    check_mounts(config, image)
    assert unmapped_volumes(config, image) == ("/data",)
    disk, kept = volumes_of(config, image, kept=Path("/kept"))
    assert isinstance(disk, DiskVolume)
    assert (disk.destination, disk.name) == ("/logs", "disk-vda")
    assert isinstance(kept, KeptVolume)
    assert kept.directory == Path("/kept") / kept_name("/data")
    assert len(volumes_of(config, image, kept=None)) == 1  # a transient domain's are in its root layer


def test_an_image_cannot_give_its_volume_the_name_of_a_deleted_one() -> None:
    assert not kept_name("/.removed-data").startswith(".")
    assert unquote(kept_name("/.removed-data")) == ".removed-data"


@pytest.mark.parametrize(
    ("settings", "devices", "error"),
    [
        ("", _disk("vda"), UnmappedDisk),
        ("<covirt:volume disk='vdb' target='/a'/>", _disk("vda"), UnmappedDisk),
        (
            "<covirt:volume disk='vda' target='/a/'/><covirt:volume disk='vdb' target='//a'/>",
            _disk("vda") + _disk("vdb"),
            OverlappingTargets,
        ),
        (
            "<covirt:volume disk='vda' target='/a/b'/>",
            _disk("vda") + "<filesystem type='ram'><source usage='1'/><target dir='/a'/></filesystem>",
            OverlappingTargets,
        ),
        ("<covirt:secret usage='db' path='/proc/db'/>", "", BadMountTarget),
        (
            "<covirt:secret usage='db' path='/a/db'/><covirt:volume disk='vda' target='/a'/>",
            _disk("vda"),
            OverlappingTargets,
        ),
        (
            "<covirt:secret usage='db' path='/a'/>",
            "<filesystem type='ram'><source usage='1'/><target dir='/a/b'/></filesystem>",
            OverlappingTargets,
        ),
        (
            "<covirt:secret usage='db' path='/a'/><covirt:secret usage='web' path='/a/b'/>",
            "",
            OverlappingTargets,
        ),
    ],
)
def test_contradictions(image: ContainerImage, settings: str, devices: str, error: type[Error]) -> None:
    with pytest.raises(error):
        check_mounts(_config(settings=settings, devices=devices), image)


def test_a_secret_may_lie_in_memory(image: ContainerImage) -> None:
    memory = "<filesystem type='ram'><source usage='1'/><target dir='/run'/></filesystem>"
    check_mounts(_config(settings="<covirt:secret usage='db'/>", devices=memory), image)


def test_an_engine_says_what_becomes_of_every_volume(image: ContainerImage) -> None:
    image = replace(image, volumes=("/data",))
    vm = "<v:vm xmlns:v='http://ovirt.org/vm/1.0'/>"
    with pytest.raises(ImageVolumeUnmapped, match="/data"):
        check_mounts(_config(metadata=vm), image)
    check_mounts(_config(metadata=vm, settings="<covirt:volume discard='/data'/>"), image)
