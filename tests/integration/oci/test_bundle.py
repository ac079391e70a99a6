# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles: what is mounted, what is shared, and that everything goes again, whoever removes it."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.common.mountinfo import mounts, mounts_below
from covirt.common.process import run
from covirt.oci import mount, syscalls
from covirt.oci.bundle import (
    BundleRequest,
    ImpassableDirectory,
    RootLayer,
    namespaces_directory,
    prepare_bundle,
    prepare_bundle_directory,
    remove_bundle,
    require_passable,
    write_config,
)
from covirt.oci.isolation_errors import (
    ForeignPath,
    ImageFileMissing,
    MountFailed,
    RootLayerOfAnother,
    UnknownImageFormat,
    UnsuitableRootLayer,
)
from covirt.oci.namespaces import make_namespaces
from covirt.oci.shared_images import SharedImages
from covirt.oci.volume.disks import Disks
from covirt.oci.volume.views import Volume
from tests.integration.oci.boxes import IDMAP, pack_image
from tests.support.roots import new_directory

DIGEST = "sha256:" + "7" * 64
_MIB = 1 << 20


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    with new_directory(on_disk=True) as directory:
        yield pack_image(directory)


@pytest.fixture
def images(open_dir: Path) -> SharedImages:
    return SharedImages(open_dir)


def _disks(images: SharedImages) -> Disks:
    return Disks(images.run_dir, images.run_dir / "state")


def _request(images: SharedImages, image: Path, name: str = "one") -> BundleRequest:
    directory = images.run_dir / "domains" / name
    prepare_bundle_directory(directory, IDMAP)
    return BundleRequest(
        directory=directory,
        image=image,
        image_digest=DIGEST,
        idmap=IDMAP,
        namespaces=make_namespaces(IDMAP, namespaces_directory(directory)),
        root_layer=RootLayer(tmpfs_size_bytes=4 * _MIB),
        hostname="web",
        addresses=("192.0.2.7/24",),
        nameservers=("192.0.2.53",),
        search_domains=("example.org",),
        dns_options=("ndots:2",),
    )


def test_a_bundle_shows_the_image_with_the_containers_ids(images: SharedImages, image: Path) -> None:
    request = _request(images, image)
    try:
        bundle = prepare_bundle(request, images=images, disks=_disks(images))
        status = (bundle.rootfs / "www/index.html").stat()
        assert (status.st_uid, status.st_gid) == (IDMAP.uid_first + 101, IDMAP.gid_first + 102)
        root = bundle.rootfs.stat()
        assert (root.st_uid, root.st_gid, stat.S_IMODE(root.st_mode)) == (IDMAP.uid_first, IDMAP.gid_first, 0o755)
        assert {each.destination for each in bundle.mounts} == {"/etc/resolv.conf", "/etc/hosts", "/etc/hostname"}
        assert (bundle.directory / "hosts").read_text().splitlines()[-1] == "192.0.2.7 web"
        written = (bundle.directory / "resolv.conf").read_text().splitlines()
        assert written == ["options ndots:2", "search example.org", "nameserver 192.0.2.53"]
        write_config(bundle.directory, {"process": {"env": ["TOKEN=secret"]}})
        config = bundle.directory / "config.json"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert json.loads(config.read_text())["process"]["env"] == ["TOKEN=secret"]
    finally:
        remove_bundle(request.directory, images=images, disks=_disks(images))
    remove_bundle(request.directory, images=images, disks=_disks(images))
    assert not request.directory.exists()
    assert mounts_below(images.run_dir) == []


def test_containers_of_an_image_share_one_mount(images: SharedImages, image: Path) -> None:
    first, second = _request(images, image, "one"), _request(images, image, "two")
    prepare_bundle(first, images=images, disks=_disks(images))
    prepare_bundle(second, images=images, disks=_disks(images))
    shared = [entry for entry in mounts() if entry.target.startswith(f"{images.run_dir}/images/")]
    assert len(shared) == 1
    remove_bundle(first.directory, images=images, disks=_disks(images))
    assert (Path(shared[0].target) / "image.json").exists()
    remove_bundle(second.directory, images=images, disks=_disks(images))
    assert mounts_below(images.run_dir) == []


def test_another_daemon_removes_what_a_killed_one_left(images: SharedImages, image: Path) -> None:
    """Whole bundles, one cut short before its overlay, and a mounted image that nothing used yet."""
    whole, cut = _request(images, image, "whole"), _request(images, image, "cut")
    volume = Volume(source=images.run_dir, destination="/data")
    prepare_bundle(replace(whole, volumes=(volume,)), images=images, disks=_disks(images))
    with images.hold(image, DIGEST) as (shared, _):
        (cut.directory / "lower").mkdir()
        mount.clone_idmapped(shared / "rootfs", cut.directory / "lower", cut.namespaces.user, read_only=True)
        mount.mount_tmpfs(cut.directory / "lower", size_bytes=_MIB, mode=0o700)  # a second one on the same place
    successor = SharedImages(images.run_dir)
    for request in (cut, whole):
        remove_bundle(request.directory, images=successor, disks=_disks(successor))
    assert mounts_below(images.run_dir) == []
    assert list((images.run_dir / "domains").iterdir()) == []
    assert list((images.run_dir / "images").iterdir()) == []


def test_a_failed_preparation_leaves_no_mount(images: SharedImages, image: Path) -> None:
    request = _request(images, image)
    absent = Volume(source=images.run_dir / "absent", destination="/data")
    with pytest.raises(MountFailed, match="absent"):
        prepare_bundle(replace(request, volumes=(absent,)), images=images, disks=_disks(images))
    left = {Path(entry.target).name for entry in mounts_below(request.directory)}
    assert left == {"user", "network"}
    remove_bundle(request.directory, images=images, disks=_disks(images))
    assert mounts_below(images.run_dir) == []


def test_a_removed_bundle_never_takes_a_volumes_files_along(
    images: SharedImages, image: Path, disk_dir: Path
) -> None:
    (disk_dir / "precious").write_text("data")
    request = _request(images, image)
    prepare_bundle(
        replace(request, volumes=(Volume(source=disk_dir, destination="/data", idmapped=False),)),
        images=images,
        disks=_disks(images),
    )
    remove_bundle(request.directory, images=images, disks=_disks(images))
    assert (disk_dir / "precious").read_text() == "data"


def test_a_volume_behind_a_link_is_refused(images: SharedImages, image: Path, disk_dir: Path) -> None:
    (disk_dir / "secret").mkdir()
    (disk_dir / "link").symlink_to("secret")
    request = _request(images, image)
    volume = Volume(source=disk_dir / "link", destination="/data")
    with pytest.raises(MountFailed, match="/link on /data"):
        prepare_bundle(replace(request, volumes=(volume,)), images=images, disks=_disks(images))
    remove_bundle(request.directory, images=images, disks=_disks(images))


def test_a_kept_layer_survives_and_belongs_to_its_mapping(images: SharedImages, image: Path, disk_dir: Path) -> None:
    layer = RootLayer(directory=disk_dir / "a,layer:of\\one", discarded=False)
    request = replace(_request(images, image), root_layer=layer)
    bundle = prepare_bundle(request, images=images, disks=_disks(images))
    (bundle.rootfs / "kept").write_text("here")
    remove_bundle(request.directory, images=images, disks=_disks(images))

    request = replace(_request(images, image), root_layer=layer)
    bundle = prepare_bundle(request, images=images, disks=_disks(images))
    assert (bundle.rootfs / "kept").read_text() == "here"
    remove_bundle(request.directory, images=images, disks=_disks(images))

    request = replace(_request(images, image), root_layer=layer)
    other = replace(IDMAP, uid_first=IDMAP.uid_first + IDMAP.count)
    with pytest.raises(RootLayerOfAnother, match=f"{IDMAP.uid_first}:.*{other.uid_first}"):
        prepare_bundle(replace(request, idmap=other), images=images, disks=_disks(images))
    remove_bundle(request.directory, images=images, disks=_disks(images))


@pytest.mark.parametrize("noted", [True, False])
def test_a_container_may_give_its_root_directory_away(
    images: SharedImages, image: Path, disk_dir: Path, noted: bool
) -> None:
    """``noted``: whether the layer was made by a version that notes the ids of a layer."""
    layer = RootLayer(directory=disk_dir / "layer", discarded=False)
    request = replace(_request(images, image), root_layer=layer)
    bundle = prepare_bundle(request, images=images, disks=_disks(images))
    os.chown(bundle.rootfs, IDMAP.host_uid(1), IDMAP.host_gid(1))
    remove_bundle(request.directory, images=images, disks=_disks(images))
    if not noted:
        (disk_dir / "layer/ids").unlink()

    request = replace(_request(images, image), root_layer=layer)
    assert prepare_bundle(request, images=images, disks=_disks(images)).rootfs.stat().st_uid == IDMAP.host_uid(1)
    remove_bundle(request.directory, images=images, disks=_disks(images))


def test_a_layer_without_a_note_belongs_to_whom_its_files_belong(
    images: SharedImages, image: Path, disk_dir: Path
) -> None:
    request = replace(_request(images, image), root_layer=RootLayer(directory=disk_dir / "layer", discarded=False))
    (disk_dir / "layer/upper").mkdir(parents=True)
    with pytest.raises(RootLayerOfAnother, match="host id 0,"):
        prepare_bundle(request, images=images, disks=_disks(images))
    remove_bundle(request.directory, images=images, disks=_disks(images))


def test_a_discarded_layer_starts_empty(images: SharedImages, image: Path, disk_dir: Path) -> None:
    layer = RootLayer(directory=disk_dir / "layer", discarded=True)
    for _ in range(2):
        request = replace(_request(images, image), root_layer=layer)
        bundle = prepare_bundle(request, images=images, disks=_disks(images))
        assert not (bundle.rootfs / "made").exists()
        (bundle.rootfs / "made").touch()
        remove_bundle(request.directory, images=images, disks=_disks(images))


def test_a_tmpfs_layer_has_the_size_that_was_asked_for(images: SharedImages, image: Path) -> None:
    request = replace(_request(images, image), root_layer=RootLayer(tmpfs_size_bytes=_MIB))
    bundle = prepare_bundle(request, images=images, disks=_disks(images))
    try:
        with pytest.raises(OSError, match="No space left"):
            (bundle.rootfs / "big").write_bytes(bytes(2 * _MIB))
    finally:
        remove_bundle(request.directory, images=images, disks=_disks(images))


def test_a_layer_on_overlayfs_is_refused_with_the_reason(images: SharedImages, image: Path, open_dir: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (open_dir / "o" / name).mkdir(parents=True)
    over = open_dir / "o"
    overlay = mount.Overlay(lower=over / "lower", upper=over / "upper", work=over / "work", label="test")
    mount.mount_overlay(overlay, over / "merged")
    layer = RootLayer(directory=over / "merged/layer", discarded=False)
    request = replace(_request(images, image), root_layer=layer)
    try:
        with pytest.raises(UnsuitableRootLayer, match="overlayfs"):
            prepare_bundle(request, images=images, disks=_disks(images))
    finally:
        remove_bundle(request.directory, images=images, disks=_disks(images))
        mount.unmount(over / "merged")


@pytest.mark.parametrize("kind", ["erofs on disk", "erofs on tmpfs", "ext4 on disk"])
def test_every_kind_of_image_file_is_mounted_safely(kind: str, image: Path, open_dir: Path, disk_dir: Path) -> None:
    file = (open_dir if "tmpfs" in kind else disk_dir) / "image.raw"
    target = open_dir / "mounted"
    target.mkdir()
    if kind.startswith("ext4"):
        (disk_dir / "tree/rootfs").mkdir(parents=True)
        options = ("-q", "-t", "ext4", "-O", "^has_journal")
        run(["mke2fs", *options, "-d", disk_dir / "tree", file, "2M"], timeout_seconds=60)
    else:
        file.write_bytes(image.read_bytes())
    before = file.read_bytes()
    mount.mount_image(file, target)
    try:
        flags = os.statvfs(target).f_flag
        assert flags & os.ST_RDONLY
        assert flags & os.ST_NODEV
        assert flags & os.ST_NOSUID
        assert (target / "rootfs").is_dir()
    finally:
        mount.unmount(target)
    assert file.read_bytes() == before


def test_what_is_no_image_is_refused(open_dir: Path, image: Path) -> None:
    (open_dir / "text").write_text("hello")
    (open_dir / "link").symlink_to(image)
    os.mkfifo(open_dir / "fifo")
    for name, error in (
        ("text", UnknownImageFormat),
        ("fifo", UnknownImageFormat),
        ("link", ImageFileMissing),
        ("absent", ImageFileMissing),
    ):
        with pytest.raises(error):
            mount.mount_image(open_dir / name, open_dir)


def test_only_our_own_directories_are_touched(images: SharedImages, image: Path, disk_dir: Path) -> None:
    request = _request(images, image)
    try:
        (images.run_dir / "link").symlink_to(disk_dir)
        for foreign in (
            disk_dir / "x",
            images.run_dir / "link/x",
            images.run_dir / "../x",
            images.run_dir,
        ):
            with pytest.raises(ForeignPath):
                prepare_bundle(replace(request, directory=foreign), images=images, disks=_disks(images))
            with pytest.raises(ForeignPath):
                remove_bundle(foreign, images=images, disks=_disks(images))
    finally:
        remove_bundle(request.directory, images=images, disks=_disks(images))


def test_a_directory_that_no_mapped_user_passes_is_named(open_dir: Path) -> None:
    require_passable(open_dir)
    closed = open_dir / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner").chmod(0o711)
    closed.chmod(0o700)
    with pytest.raises(ImpassableDirectory, match=f"chmod o\\+x {closed}"):
        require_passable(closed / "inner")


def test_the_mount_table_is_read_with_odd_names(open_dir: Path) -> None:
    odd = open_dir / "a b\\c\n\td"
    odd.mkdir()
    syscalls.mount("tmpfs", os.fspath(odd), "tmpfs", 0)
    try:
        assert [entry.target for entry in mounts_below(odd)] == [os.fspath(odd)]
    finally:
        mount.unmount_below(odd)
    assert mounts_below(odd) == []
