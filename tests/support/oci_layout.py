# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""OCI image layouts made by hand (OCI image specification 1.1), small and exact, and wrong where a test wants it."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from covirt.common.process import run

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"

BUSYBOX: Final = Path("/bin/busybox")  # Debian's busybox-static
_APPLETS: Final = (
    "sh", "ash", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "dmesg", "echo", "env", "false", "grep",
    "head", "hostname", "httpd", "id", "ifconfig", "insmod", "ip", "kill", "ln", "ls", "mkdir", "mknod", "mount",
    "mv", "nc", "ping", "printenv", "ps", "pwd", "reboot", "rm", "route", "sed", "seq", "sleep", "sort", "stat",
    "stty", "su", "sync", "tail", "tee", "test", "timeout", "top", "touch", "tr", "true", "tty", "ulimit", "umount",
    "uname", "unshare", "uptime", "vi", "wc", "wget", "which", "whoami", "xargs", "yes",
)  # fmt: skip
_PASSWD: Final = (
    b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nweb:x:101:102::/www:/bin/sh\n"
)
_GROUP: Final = b"root:x:0:\nnogroup:x:65534:\nweb:x:102:\nlogs:x:103:web\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image to be written: tar layers, oldest first, and the ``config`` part of the image configuration."""

    layers: Sequence[bytes]
    config: Mapping[str, object] = field(default_factory=dict)
    architecture: str = "amd64"
    compression: str = "gzip"  # gzip, zstd or none


def write_layout(directory: Path, images: Mapping[str, Image]) -> Path:
    """Write a layout that holds each image under its tag, and return its directory."""
    (directory / "blobs/sha256").mkdir(parents=True)
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    manifests = []
    for tag, image in images.items():
        descriptor = _write_image(directory, image)
        manifests.append(descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}})
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
    (directory / "index.json").write_text(json.dumps(index))
    return directory


def layer(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar of exactly these members; file_entry() and its like make them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in entries:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def file_entry(
    name: str, content: bytes = b"", *, mode: int = 0o644, uid: int = 0, gid: int = 0
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = mode, uid, gid
    return info, content


def directory_entry(name: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    info, _ = file_entry(name, mode=mode, uid=uid, gid=gid)
    info.type = tarfile.DIRTYPE
    return info, b""


def link_entry(name: str, target: str, *, hard: bool = False) -> tuple[tarfile.TarInfo, bytes]:
    info, _ = file_entry(name, mode=0o777)
    info.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
    info.linkname = target
    return info, b""


def busybox_layer() -> bytes:
    """A root file system of one static program: a shell, the usual commands, users root, nobody and web."""
    directories = [
        directory_entry(name) for name in ("bin", "etc", "dev", "proc", "sys", "root", "usr", "usr/bin", "var", "www")
    ]
    links = [link_entry(f"bin/{applet}", "busybox") for applet in _APPLETS]
    return layer(
        *directories,
        directory_entry("tmp", mode=0o1777),
        file_entry("etc/passwd", _PASSWD),
        file_entry("etc/group", _GROUP),
        file_entry("www/index.html", b"hello from a container\n", uid=101, gid=102),
        file_entry("bin/busybox", BUSYBOX.read_bytes(), mode=0o755),
        *links,
    )


def busybox_image(*, more_layers: Sequence[bytes] = (), **config: object) -> Image:
    """The busybox image; ``config`` adds to or replaces parts of its configuration (``Cmd=["sh"]``)."""
    base: dict[str, object] = {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin:/usr/bin"], "WorkingDir": "/"}
    return Image(layers=[busybox_layer(), *more_layers], config=base | config)


def _write_image(directory: Path, image: Image) -> dict[str, object]:
    suffix = "" if image.compression == "none" else f"+{image.compression}"
    layers = [_write_blob(directory, _compress(data, image.compression), _LAYER + suffix) for data in image.layers]
    config = {
        "architecture": image.architecture,
        "os": "linux",
        "config": dict(image.config),
        "rootfs": {"type": "layers", "diff_ids": [_digest(data) for data in image.layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _write_blob(directory, json.dumps(config).encode(), _CONFIG),
        "layers": layers,
    }
    return _write_blob(directory, json.dumps(manifest).encode(), _MANIFEST)


def _compress(data: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.compress(data, compresslevel=1, mtime=0)
    if compression == "zstd":
        return run(["zstd", "-1", "-c"], stdin_data=data, timeout_seconds=60).stdout
    return data


def _write_blob(directory: Path, data: bytes, media_type: str) -> dict[str, object]:
    digest = _digest(data)
    (directory / "blobs" / digest.replace(":", "/")).write_bytes(data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def unpack_busybox(directory: Path) -> Path:
    """The busybox image's files as a plain directory, for tests that need a root file system and no image."""
    with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as archive:
        # Not extractall(filter=...): Python 3.11.2 does not know it, and newer ones warn without a filter.
        archive.extraction_filter = lambda member, _path: member
        archive.extractall(directory)  # noqa: S202  # our own archive
    shutil.chown(directory, 0, 0)
    return directory
