# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What layers say is what the image holds: owners, links, whiteouts, attributes, capabilities."""

import os
import tarfile
from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.common.root import Root
from covirt.oci.idmap import IdMap
from covirt.oci.image.model import ContainerImage
from covirt.oci.image.options import ImportOptions
from covirt.oci.image.store import ImageStore
from covirt.oci.image.trailer import open_image, read_trailer
from covirt.oci.mount import Overlay, clone_idmapped, mount_overlay, unmount
from covirt.oci.namespaces import make_namespaces, remove_namespaces
from tests.support.images import NET_RAW_CAPABILITY, mounted, odd_entry, one_image
from tests.support.oci_layout import BUSYBOX, Image, directory_entry, layer, link_entry

_MAPPED = 1_500_000_000


def _layers() -> list[bytes]:
    lower = layer(
        directory_entry("bin"),
        odd_entry("bin/tool", b"t" * 9000, mode=0o755, attributes={"user.note": b"kept"}),
        link_entry("bin/twin", "bin/tool", hard=True),
        odd_entry(
            "bin/grep", BUSYBOX.read_bytes(), mode=0o755, attributes={"security.capability": NET_RAW_CAPABILITY}
        ),
        odd_entry("bin/setid", b"s", mode=0o4755),
        directory_entry("home/user", mode=0o700, uid=1000, gid=1000),
        odd_entry("home/user/file", b"mine", uid=1000, gid=65534),
        odd_entry("last", b"", uid=65535, gid=65535),
        directory_entry("opaque"),
        odd_entry("opaque/old", b"old"),
        odd_entry("gone", b"gone"),
        odd_entry("pipe", kind=tarfile.FIFOTYPE),
        link_entry("absolute", "/etc/passwd"),
        odd_entry("größe-\udcff", b"name"),
        directory_entry("tmp", mode=0o1777),
    )
    upper = layer(
        odd_entry("opaque/.wh..wh..opq"),
        odd_entry("opaque/new", b"new", mtime=1_234_567_890),
        odd_entry(".wh.gone"),
    )
    return [lower, upper]


@pytest.fixture(params=["erofs", "ext4"])
def filesystem(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["gzip", "zstd", "none"])
def compression(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _imported(root: Root, directory: Path, *, filesystem: str, compression: str = "gzip") -> ContainerImage:
    source = one_image(directory / "layout", Image(layers=_layers(), compression=compression))
    return ImageStore(root).import_(source, name="odd", options=ImportOptions(filesystem=filesystem))


def _check_tree(rootfs: Path) -> None:
    tool, twin = (rootfs / "bin/tool").stat(), (rootfs / "bin/twin").stat()
    assert tool.st_ino == twin.st_ino
    assert tool.st_nlink == 2
    assert (rootfs / "bin/twin").read_bytes() == b"t" * 9000
    assert os.getxattr(rootfs / "bin/tool", "user.note") == b"kept"
    assert os.getxattr(rootfs / "bin/grep", "security.capability") == NET_RAW_CAPABILITY
    assert (rootfs / "bin/setid").stat().st_mode & 0o7777 == 0o4755
    assert (rootfs / "tmp").stat().st_mode & 0o7777 == 0o1777
    mine = (rootfs / "home/user/file").stat()
    assert (mine.st_uid, mine.st_gid) == (1000, 65534)
    assert (rootfs / "last").stat().st_uid == 65535
    assert (rootfs / "home/user").stat().st_mode & 0o7777 == 0o700
    assert sorted(os.listdir(rootfs / "opaque")) == ["new"]
    assert (rootfs / "opaque/new").stat().st_mtime == 1_234_567_890
    assert not (rootfs / "gone").exists()
    assert (rootfs / "pipe").is_fifo()
    assert (rootfs / "absolute").readlink() == Path("/etc/passwd")
    assert (rootfs / "größe-\udcff").read_bytes() == b"name"
    assert rootfs.stat().st_uid == 0


def test_layers_become_the_image(root_dir: Root, open_dir: Path, filesystem: str, compression: str) -> None:
    image = _imported(root_dir, open_dir, filesystem=filesystem, compression=compression)
    assert image.filesystem == filesystem
    with mounted(image.path, open_dir) as rootfs:
        _check_tree(rootfs)


def test_an_adopted_image_holds_the_same(root_dir: Root, open_dir: Path, filesystem: str) -> None:
    foreign = open_dir / "foreign.raw"
    elsewhere = Root(open_dir / "elsewhere")
    os.rename(_imported(elsewhere, open_dir, filesystem=filesystem).path, foreign)
    store = ImageStore(root_dir)
    assert not store.is_trusted(foreign)

    adopted = store.adopt(foreign)

    assert store.is_trusted(adopted.path)
    assert adopted.path.read_bytes() == foreign.read_bytes() or filesystem == "ext4"
    assert store.adopt(foreign) == adopted
    with mounted(adopted.path, open_dir) as rootfs:
        _check_tree(rootfs)


def test_importing_twice_gives_the_same_bytes(root_dir: Root, open_dir: Path) -> None:
    first = _imported(root_dir, open_dir, filesystem="erofs")
    second = ImageStore(Root(open_dir / "elsewhere")).import_(
        f"oci:{open_dir}/layout:image", options=ImportOptions(filesystem="erofs")
    )
    assert first.path.read_bytes() == second.path.read_bytes()


def test_the_file_system_checks_clean(root_dir: Root, open_dir: Path, filesystem: str) -> None:
    image = _imported(root_dir, open_dir, filesystem=filesystem)
    with open_image(image.path) as descriptor:
        start = read_trailer(descriptor, image.path).start
    alone = open_dir / "alone.raw"
    alone.write_bytes(image.path.read_bytes()[:start])
    run(["fsck.erofs", alone] if filesystem == "erofs" else ["e2fsck", "-fn", alone], timeout_seconds=60)


def test_file_capabilities_work_for_a_mapped_user(root_dir: Root, disk_dir: Path, filesystem: str) -> None:
    """Through an idmapped mount and an overlay, for an ordinary user in the mapping."""
    image = _imported(root_dir, disk_dir, filesystem=filesystem)
    for name in ("view", "upper", "work", "merged"):
        (disk_dir / name).mkdir()
    for name in ("upper", "work"):
        os.chown(disk_dir / name, _MAPPED, _MAPPED)
    (disk_dir / "upper").chmod(0o755)
    namespaces = make_namespaces(IdMap(uid_first=_MAPPED, gid_first=_MAPPED, count=65536), disk_dir / "namespaces")
    try:
        with mounted(image.path, disk_dir) as rootfs:
            clone_idmapped(rootfs.parent, disk_dir / "view", namespaces.user, read_only=True, nosuid=False)
            overlay = Overlay(
                lower=disk_dir / "view/rootfs",
                upper=disk_dir / "upper",
                work=disk_dir / "work",
                label="t",
                nosuid=False,
            )
            mount_overlay(overlay, disk_dir / "merged")
            argv: list[str | Path] = ["nsenter", f"--user={namespaces.user}", "--setuid=1000", "--setgid=1000",
                    disk_dir / "merged/bin/grep", "CapEff", "/proc/self/status"]  # fmt: skip
            shown = run(argv, timeout_seconds=20).stdout
            getcap: list[str | Path] = [
                "nsenter",
                f"--user={namespaces.user}",
                "getcap",
                disk_dir / "merged/bin/grep",
            ]
            read = run(getcap, timeout_seconds=20).stdout
    finally:
        unmount(disk_dir / "merged")
        unmount(disk_dir / "view")
        remove_namespaces(disk_dir / "namespaces")
    assert int(shown.split()[1], 16) == 1 << 13
    assert b"cap_net_raw=ep" in read
