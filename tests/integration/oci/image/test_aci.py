# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""AppC images: every compression, what their manifests say, and what is in their archives."""

import bz2
import gzip
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from covirt.common.root import Root
from covirt.oci.image.errors import UnpackFailed, UnreadableSource, UnsupportedSource, WrongArchitecture
from covirt.oci.image.store import ImageStore
from tests.support.images import NET_RAW_CAPABILITY, mounted, odd_entry
from tests.support.oci_layout import directory_entry, file_entry, layer, link_entry

_MANIFEST: dict[str, Any] = {
    "acKind": "ImageManifest",
    "acVersion": "0.8.11",
    "name": "example.com/web",
    "labels": [
        {"name": "os", "value": "linux"},
        {"name": "arch", "value": "amd64"},
        {"name": "version", "value": "2"},
    ],
    "app": {
        "exec": ["/bin/web", "--port", "80"],
        "user": "101",
        "group": "102",
        "workingDirectory": "/www",
        "environment": [{"name": "MODE", "value": "a=b"}],
        "mountPoints": [{"name": "data", "path": "/data", "readOnly": False}],
        "ports": [{"name": "http", "port": 80, "protocol": "tcp"}],
        "isolators": [{"name": "resource/memory", "value": {"limit": "64M"}}],
        "supplementaryGIDs": [103],
    },
    "annotations": [{"name": "authors", "value": "somebody"}, {"name": "example.com/x", "value": "y"}],
}
_ROOTFS = (
    directory_entry("rootfs"),
    directory_entry("rootfs/bin"),
    odd_entry("rootfs/bin/web", b"web" * 1000, mode=0o755, attributes={"security.capability": NET_RAW_CAPABILITY}),
    link_entry("rootfs/bin/twin", "rootfs/bin/web", hard=True),
    link_entry("rootfs/www", "var/www"),
    directory_entry("rootfs/var/www", uid=101, gid=102),
    file_entry("rootfs/" + "long/" * 60 + "name", b"deep"),
)

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def _aci(path: Path, manifest: object, *entries: tuple[tarfile.TarInfo, bytes], compression: str = "none") -> str:
    archive = layer(*entries, file_entry("manifest", json.dumps(manifest).encode()))
    path.write_bytes(_COMPRESS[compression](archive))
    return f"aci:{path}"


@pytest.fixture
def store(root_dir: Root) -> ImageStore:
    return ImageStore(root_dir)


@pytest.mark.parametrize("compression", sorted(_COMPRESS))
def test_an_image_of_rkt(store: ImageStore, open_dir: Path, compression: str) -> None:
    image = store.import_(_aci(open_dir / "web.aci", _MANIFEST, *_ROOTFS, compression=compression))
    assert image.name == "web"
    assert image.volumes == ("/data",)
    config = image.config
    assert config.entrypoint == ("/bin/web", "--port", "80")
    assert config.command == ()
    assert config.environment == (("MODE", "a=b"),)
    assert config.user == "101:102"
    assert config.working_directory == "/www"
    assert config.exposed_ports == ("80/tcp",)
    assert config.labels == {
        "appc.name": "example.com/web",
        "appc.isolator.resource/memory": '{"limit": "64M"}',
        "appc.supplementaryGIDs": "[103]",
        "appc.annotation.example.com/x": "y",
        "org.opencontainers.image.authors": "somebody",
        "org.opencontainers.image.version": "2",
    }
    with mounted(image.path, open_dir) as rootfs:
        assert sorted(os.listdir(rootfs)) == ["bin", "long", "var", "www"]
        assert os.getxattr(rootfs / "bin/twin", "security.capability") == NET_RAW_CAPABILITY
        assert (rootfs / "bin/web").stat().st_nlink == 2
        assert (rootfs / "var/www").stat().st_uid == 101
        assert (rootfs / "www").readlink() == Path("var/www")
        assert (rootfs / ("long/" * 60 + "name")).read_bytes() == b"deep"


def test_only_listed_paths_stay(store: ImageStore, open_dir: Path) -> None:
    manifest = {**_MANIFEST, "pathWhitelist": ["/bin/web", "/var"]}
    image = store.import_(_aci(open_dir / "web.aci", manifest, *_ROOTFS))
    with mounted(image.path, open_dir) as rootfs:
        found = sorted(str(path.relative_to(rootfs)) for path in rootfs.rglob("*"))
    assert found == ["bin", "bin/web"]


def test_an_image_without_an_app(store: ImageStore, open_dir: Path) -> None:
    manifest = {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/data"}
    config = store.import_(_aci(open_dir / "data.aci", manifest, directory_entry("rootfs"))).config
    assert (config.entrypoint, config.command, config.user) == ((), (), "")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"dependencies": [{"imageName": "example.com/base"}]}, UnsupportedSource, r"example\.com/base"),
        ({"app": {"exec": ["/x"], "user": "/etc/passwd", "group": "0"}}, UnsupportedSource, r"owner of a file"),
        ({"labels": [{"name": "arch", "value": "ppc64le"}]}, WrongArchitecture, r"ppc64le"),
        ({"acKind": "PodManifest"}, UnreadableSource, r"acKind"),
        ({"app": {"exec": "not a list"}}, UnreadableSource, r"app\.exec"),
        ({"app": []}, UnreadableSource, r"app"),
        ({"pathWhitelist": [1]}, UnreadableSource, r"pathWhitelist"),
    ],
)
def test_a_manifest_that_cannot_be_followed(
    store: ImageStore, open_dir: Path, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    source = _aci(open_dir / "web.aci", {**_MANIFEST, **change}, *_ROOTFS)
    with pytest.raises(error, match=rf"^{source}: .*{words}"):
        store.import_(source)


@pytest.mark.parametrize(
    "entries",
    [
        [file_entry("rootfs/../../../../VICTIM/planted", b"x")],
        [link_entry("rootfs/out", "/VICTIM"), file_entry("rootfs/out/planted", b"x")],
        [link_entry("rootfs/mine", "/VICTIM/file", hard=True)],
        [link_entry("rootfs/mine", "rootfs/../../VICTIM/file", hard=True)],
        [link_entry("rootfs", "/VICTIM"), file_entry("rootfs/planted", b"x")],
        [file_entry("/VICTIM/planted", b"x"), file_entry("beside", b"x")],
    ],
)
def test_an_archive_reaches_nothing_outside(
    store: ImageStore, open_dir: Path, entries: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    victim = open_dir / "victim"
    victim.mkdir()
    victim.chmod(0o777)
    (victim / "file").write_text("untouched")
    for info, _ in entries:
        info.name, info.linkname = (text.replace("/VICTIM", str(victim)) for text in (info.name, info.linkname))
    try:
        image = store.import_(_aci(open_dir / "web.aci", _MANIFEST, *entries))
    except (UnreadableSource, UnpackFailed):
        pass
    else:
        with mounted(image.path, open_dir) as rootfs:
            assert not (rootfs / "beside").exists()
    assert os.listdir(victim) == ["file"]
    assert (victim / "file").stat().st_nlink == 1


@pytest.mark.parametrize("manifest", [b"{", b"[]", b"x" * (2 << 20)])
def test_an_unreadable_manifest(store: ImageStore, open_dir: Path, manifest: bytes) -> None:
    (open_dir / "x.aci").write_bytes(layer(file_entry("manifest", manifest), directory_entry("rootfs")))
    with pytest.raises(UnreadableSource, match=r"x\.aci"):
        store.import_(f"aci:{open_dir}/x.aci")
