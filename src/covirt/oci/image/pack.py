# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From layers to a file system: umoci unpacks, mkfs.erofs or mke2fs packs, all of it confined.

``inner/`` of the work directory holds ``layout/`` (or ``plain/`` when umoci cannot read a layer's compression),
then ``tree/rootfs`` and ``tree/image.json``, then ``image.raw``. Inside the confinement it is /tmp.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import Error
from covirt.common.process import Completed, run
from covirt.oci.image.confine import INSIDE, confined, confined_call
from covirt.oci.image.errors import DiskFull, IdOutOfRange, PackFailed, UnpackFailed
from covirt.oci.image.layout import LAYER_TYPE, Layer, LayoutImage, blob_path, make_blobs, write_layout
from covirt.oci.image.workdir import WorkDir

_STEP_SECONDS: Final = 6 * 3600.0  # a limit against programs that hang, far above what a full disk of layers takes
_FULL: Final = re.compile(r"No space left on device|Disk quota exceeded|ENOSPC|not enough space|allocate block", re.I)
_FOREIGN_ID: Final = re.compile(r"lchown .*invalid argument", re.I)
_UMOCI_BULLETS: Final = " \t\u2022\u2a2f"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# The labels that umoci reads as what they say.
_HONEST: Final[Mapping[str, tuple[str, ...]]] = {"gzip": (f"{LAYER_TYPE}+gzip",), "tar": (LAYER_TYPE,), "zstd": ()}
_CRASHES: Final = ("panic:", "fatal error:", "runtime:")  # how a Go program dies
_EXT4_SPARE_INODES: Final = 64  # reserved ones, lost+found, rounding to whole groups
_MKE2FS: Final = (
    "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0",
    "-O", "^has_journal,^resize_inode", "-E", "root_owner=0:0,lazy_itable_init=0,nodiscard",
)  # fmt: skip


def unpack_layers(work: WorkDir, image: LayoutImage, *, source: str) -> None:
    """Unpack ``inner/layout`` into ``inner/tree/rootfs``. Raises UnpackFailed, IdOutOfRange, DiskFull."""
    layout = _Layers(work=work, name="layout", layers=image.layers)
    if any(layer.media_type not in _HONEST[layout.compression(layer)] for layer in image.layers):
        layout = _rewritten(layout, image, "plain", unpacked=("zstd",), source=source)
    _run(work, "mkdir", "tree", source=source)
    try:
        _umoci(layout, source=source)
    except UnpackFailed as error:
        if not str(error.fields["reason"]).startswith(_CRASHES):
            raise
        # To report a failure, umoci 0.4.7 closes a gzip layer that a goroutine still reads, and may crash over it
        # ("panic: d.nx != 0") before it can say that the disk is full. From plain layers it gets to say it.
        _run(work, "rm", "-rf", "tree/rootfs", source=source)
        _umoci(_rewritten(layout, image, "tar", unpacked=("zstd", "gzip"), source=source), source=source)


def make_filesystem(
    work: WorkDir, about: Mapping[str, Any], *, filesystem: str, digest: str, began_ns: int, source: str
) -> Path:
    """Pack ``inner/tree`` with an image.json made of ``about``; gives the path of the file system's file.

    The same layers give the same erofs bytes: ids and times come from them, the UUID from ``digest``; ``began_ns`` is
    when unpacking began, in nanoseconds since 1970.
    Raises PackFailed, DiskFull.
    """
    command = confined_call(work.inner, "listing:finish", str(began_ns))
    try:
        summary = json.loads(_result(work, command, source=source, stdin_data=json.dumps(about).encode()).stdout)
    except UnpackFailed as error:
        raise PackFailed(source=source, reason=error.fields["reason"]) from error
    hexadecimal = digest.removeprefix("sha256:")
    uuid = "-".join(hexadecimal[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    pack = _pack_erofs if filesystem == "erofs" else _pack_ext4
    pack(work, summary, uuid=uuid, source=source)
    return work.inner / "image.raw"


def _pack_erofs(work: WorkDir, summary: Mapping[str, int], *, uuid: str, source: str) -> None:
    # SOURCE_DATE_EPOCH, unlike -T, keeps the files' times and only takes the time of packing out.
    _run(
        work, "env", f"SOURCE_DATE_EPOCH={summary['newest_mtime']}",
        "mkfs.erofs", "--quiet", "-zlz4", "-x1", f"-U{uuid}", "image.raw", "tree",
        source=source, failure=PackFailed,
    )  # fmt: skip


def _pack_ext4(work: WorkDir, summary: Mapping[str, int], *, uuid: str, source: str) -> None:
    inodes = summary["inodes"] + _EXT4_SPARE_INODES
    content = summary["content_bytes"] + 256 * inodes
    # Directories and extent trees grow with their content; the spare blocks are sparse and cost nothing on the disk.
    blocks = (content + content // 16) // 4096 + inodes // 8 + 512
    _run(
        work, "env", f"E2FSPROGS_FAKE_TIME={max(1, summary['newest_mtime'])}",
        *_MKE2FS, "-E", f"root_owner=0:0,lazy_itable_init=0,nodiscard,hash_seed={uuid}",
        "-N", str(inodes), "-U", uuid, "-d", "tree", "image.raw", str(blocks),
        source=source, failure=PackFailed,
    )  # fmt: skip


def extract_filesystem(work: WorkDir, *, filesystem: str, source: str) -> None:
    """Unpack ``inner/foreign.raw`` into ``inner/tree`` without the kernel ever reading it as a file system."""
    _run(work, "mkdir", "tree", source=source)
    if filesystem == "erofs":
        _run(work, "fsck.erofs", "--extract=tree", "--preserve", "--overwrite", "foreign.raw", source=source)
    else:
        _run(work, "debugfs", "-R", "rdump / tree", "foreign.raw", source=source)
    _result(work, confined_call(work.inner, "listing:restore"), source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layers:
    """The layers of the image in the layout ``inner/<name>``, as they are there."""

    work: WorkDir
    name: str
    layers: tuple[Layer, ...]

    @property
    def path(self) -> Path:
        return self.work.inner / self.name

    def compression(self, layer: Layer) -> str:
        """What the layer really is. Labels lie: skopeo calls a Docker archive's plain layers gzip."""
        with blob_path(self.path, layer.digest).open("rb") as stream:
            start = stream.read(4)
        if start == _ZSTD_MAGIC:
            return "zstd"
        return "gzip" if start.startswith(_GZIP_MAGIC) else "tar"


def _umoci(layout: _Layers, *, source: str) -> None:
    argv = ("umoci", "raw", "unpack", "--image", f"{INSIDE}/{layout.name}:image", f"{INSIDE}/tree/rootfs")
    _run(layout.work, *argv, source=source)


def _rewritten(old: _Layers, image: LayoutImage, name: str, *, unpacked: tuple[str, ...], source: str) -> _Layers:
    """Another layout with every layer called what it is, and those of the compressions ``unpacked`` as plain tar.

    umoci 0.4 reads no zstd. The manifest that counts stays the one that was copied, so its digest is the registry's;
    umoci checks that what was decompressed is what the configuration's diff_ids promise. Blobs are moved, not copied.
    """
    path = old.work.inner / name
    os.chmod(make_blobs(path), 0o777)  # noqa: S103  # inside a 0700 directory
    done: dict[str, Layer] = {}  # two layers may be the same blob
    for layer in old.layers:
        if layer.digest not in done:
            done[layer.digest] = _rewrite(old, layer, path, unpacked=unpacked, source=source)
    new = _Layers(work=old.work, name=name, layers=tuple(done[layer.digest] for layer in old.layers))
    blobs = [(each.media_type, each.digest, blob_path(path, each.digest).stat().st_size) for each in new.layers]
    write_layout(path, config=blob_path(old.path, image.config_digest).read_bytes(), layers=blobs)
    return new


def _rewrite(old: _Layers, layer: Layer, path: Path, *, unpacked: tuple[str, ...], source: str) -> Layer:
    compression, place = old.compression(layer), blob_path(old.path, layer.digest)
    if compression not in unpacked:
        os.rename(place, blob_path(path, layer.digest))
        return replace(layer, media_type=f"{LAYER_TYPE}+gzip" if compression == "gzip" else LAYER_TYPE)
    packed, plain = blob_path(Path(old.name), layer.digest), blob_path(Path(path.name), layer.diff_id)
    # zstd also reads gzip.
    _run(old.work, "zstd", "-d", "-q", "-f", "--no-progress", "-o", str(plain), str(packed), source=source)
    place.unlink()
    return replace(layer, media_type=LAYER_TYPE, digest=layer.diff_id)


def _run(work: WorkDir, *argv: str, source: str, failure: type[Error] = UnpackFailed) -> Completed:
    return _result(work, confined(work.inner, *argv), source=source, failure=failure)


def _result(
    work: WorkDir,
    command: Sequence[str],
    *,
    source: str,
    failure: type[Error] = UnpackFailed,
    stdin_data: bytes | None = None,
) -> Completed:
    completed = run(
        command,
        timeout_seconds=_STEP_SECONDS,
        stdin_data=stdin_data,
        check=False,
        pass_descriptors=(work.lock_descriptor,),
    )
    if completed.status == 0:
        return completed
    said = (completed.stdout + b"\n" + completed.stderr).decode(errors="replace").strip()
    if _FULL.search(said):
        raise DiskFull(source=source, path=work.path)
    if _FOREIGN_ID.search(said):
        raise IdOutOfRange(source=source)
    raise failure(source=source, reason=_last_line(said, completed.status))


def _last_line(said: str, status: int) -> str:
    """A program's complaint in one line: the last, or the first word of a Go program's crash."""
    lines = [line.strip(_UMOCI_BULLETS) for line in said.splitlines() if line.strip()]
    crash = [line for line in lines if line.startswith(_CRASHES)]
    return (crash or lines[-1:])[0] if lines else f"a program ended with status {status} and said nothing"
