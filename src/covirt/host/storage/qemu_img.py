# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""qemu-img: a function is a subcommand. Formats and chains are always said, never guessed from what a guest wrote.

Every image that is opened is a Layer, whose header is compared with what is known before QEMU sees it.
"""

import json
import os
import re
import signal
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import CommandFailed, InvalidRequest
from covirt.common.process import PIPE, Argument, Child, run, spawn
from covirt.host.storage.qcow2_header import BrokenQcow2Header, read_header
from covirt.host.storage.unprivileged import as_storage_user

_QUICK_SECONDS: Final = 60.0
_STDERR_LIMIT: Final = 2000
# A hostile image can make QEMU ask for any amount of memory, or read forever.
_LIMITS: Final = ("prlimit", f"--as={1 << 30}", "--cpu=30", "--")
# A copy takes as long as it takes, and its threads reserve more than they use.
_COPY_LIMITS: Final = ("prlimit", f"--as={4 << 30}", "--")
_PROGRESS: Final = re.compile(rb"\(([0-9.]+)/100%\)")


class ImageFormat(StrEnum):
    """In QEMU's words; Vdsm calls them RAW and COW."""

    RAW = "raw"
    QCOW2 = "qcow2"


class BrokenImage(InvalidRequest):
    template = "{path} cannot be read as {format}: {reason}"


class LargerThanItsVolume(InvalidRequest):
    template = (
        "{path} is not opened: it is a disk of {found} bytes, and its volume is of {capacity}; extend the volume, or "
        "upload it again, or delete it"
    )


class ForeignReference(InvalidRequest):
    template = "{path} is not opened: {reason}, and its storage domain says otherwise; upload it again, or delete it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """An image and what lies below it, as the storage domain's metadata says."""

    path: Path
    format: ImageFormat
    below: "Layer | None" = None
    capacity_bytes: int | None = None  # of its volume, where it is known

    def check(self) -> None:
        """Whether all headers name what is known, and nothing else, and no disk is larger than its volume.

        Raises ForeignReference, LargerThanItsVolume, BrokenImage.

        QEMU is given the chain in words besides; but a data file it takes from the header alone, and libvirt reads
        the whole chain there.
        """
        layer: Layer | None = self
        while layer is not None:
            if layer.format is ImageFormat.QCOW2:
                layer._check_header()
            layer = layer.below

    def _check_header(self) -> None:
        try:
            header = read_header(self.path)
        except BrokenQcow2Header as error:
            raise BrokenImage(path=self.path, format=self.format, reason=error) from error
        except OSError as error:
            raise BrokenImage(path=self.path, format=self.format, reason=error.strerror) from error
        if header.has_data_file:
            raise ForeignReference(path=self.path, reason="it keeps its data in another file")
        if header.backing_file not in self._names_below():
            raise ForeignReference(path=self.path, reason=f"it builds on {header.backing_file!r}")
        if self.below is not None and header.backing_format != self.below.format:
            # A raw volume read as qcow2 is whatever its guest wrote into its first block.
            taken = header.backing_format
            raise ForeignReference(path=self.path, reason=f"it takes what it builds on for {taken!r}")
        if self.capacity_bytes is not None and header.virtual_bytes > self.capacity_bytes:
            raise LargerThanItsVolume(path=self.path, found=header.virtual_bytes, capacity=self.capacity_bytes)

    def _names_below(self) -> Collection[str | None]:
        if self.below is None:
            return (None,)
        name = self.below.path.name
        return (name, f"../{self.path.parent.name}/{name}")

    def node(self) -> dict[str, object]:
        """In QEMU's words, down to the lowest layer: nothing is left to be found in a header."""
        node: dict[str, object] = {"driver": self.format, "file": {"driver": "file", "filename": str(self.path)}}
        if self.format is ImageFormat.QCOW2:
            node["backing"] = None if self.below is None else self.below.node()
        return node

    @property
    def filename(self) -> str:
        return f"json:{json.dumps(self.node())}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What ``qemu-img info`` tells. ``backing_file`` is as written in the image."""

    format: str
    virtual_bytes: int
    actual_bytes: int
    cluster_bytes: int | None = None
    compat: str | None = None
    backing_file: str | None = None
    backing_format: str | None = None
    bitmaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Bytes that a copy in another format needs."""

    required_bytes: int
    fully_allocated_bytes: int


def info(layer: Layer) -> ImageInfo:
    """What lies below is not opened; a running guest may use the image. Raises BrokenImage, ForeignReference."""
    layer.check()
    argv: list[Argument] = ["info", "--output", "json", "-U", "-f", layer.format, layer.path]
    return _image_info(_json(argv, layer.path, layer.format))


def probe(path: Path) -> ImageInfo:
    """What an image that a stranger uploaded claims to be; its format is told, not trusted.

    What was to be served for the upload may still be so. Raises BrokenImage, ForeignReference.
    """
    _check_data_file(path)
    return _image_info(_json(["info", "--output", "json", "-U", path], path, "a disk image"))


def _check_data_file(path: Path) -> None:
    """Older QEMUs open a data file even to tell of it, and what is named there need not be a file."""
    try:
        has_data_file = read_header(path).has_data_file
    except BrokenQcow2Header:  # not qcow2, or QEMU tells what is wrong with it
        return
    except OSError as error:
        raise BrokenImage(path=path, format="a disk image", reason=error.strerror) from error
    if has_data_file:
        raise ForeignReference(path=path, reason="it keeps its data in another file")


def create_qcow2(
    path: Path, *, size_bytes: int | None, backing: str | None = None, backing_format: ImageFormat | None = None
) -> None:
    """Make a qcow2 image, version 1.1. ``backing`` is written as given and not opened: it may be relative."""
    argv: list[Argument] = ["create", "-q", "-f", ImageFormat.QCOW2, "-o", "compat=1.1"]
    if backing is not None:
        argv += ["-u", "-b", backing, "-F", backing_format or ImageFormat.RAW]
    argv.append(path)
    if size_bytes is not None:
        argv.append(str(size_bytes))
    _run(argv, directory=path.parent)


def resize(layer: Layer, *, size_bytes: int) -> None:
    """Grow the image; QEMU refuses to shrink it. Raises BrokenImage, ForeignReference."""
    replace(layer, capacity_bytes=size_bytes).check()  # a try that was cut short may have made it as large
    _run(["resize", "-q", "-f", layer.format, layer.filename, str(size_bytes)])


def measure(layer: Layer, *, target_format: ImageFormat) -> Measured:
    """What a copy of the whole chain needs. Raises BrokenImage, ForeignReference."""
    layer.check()
    argv: list[Argument] = [
        "measure", "--output", "json", "-U", "-f", layer.format, "-O", target_format, layer.filename,
    ]  # fmt: skip
    found = _json(argv, layer.path, layer.format)
    return Measured(required_bytes=found["required"], fully_allocated_bytes=found["fully-allocated"])


def convert(
    source: Layer,
    target: Layer,
    *,
    progress: Callable[[float], object],
    started: Callable[[Callable[[], object]], Callable[[], object]],
    bitmaps: bool = False,
    is_zero: bool = False,
) -> None:
    """Copy into a target that exists; one that builds on another image gets only what differs from that.

    ``started`` is told how to end it early, and gives what is called at the end. ``is_zero``: the target is known to
    read as zero, so that zeros are not written again. Raises CommandFailed, also when ended early, BrokenImage and
    ForeignReference.
    """
    for side in (source, target):
        side.check()
    argv: list[Argument] = ["convert", "-p", "-n", "-f", source.format, "-O", target.format]
    if bitmaps:
        argv.append("--bitmaps")
    if target.below is not None:
        argv += ["-B", target.below.filename, "-F", target.below.format]
    elif is_zero:
        argv.append("--target-is-zero")
    # The page cache would hold a disk image that is not read again soon, at the cost of guests.
    argv += ["-t", _cache_mode(target.path), "-T", _cache_mode(source.path), source.filename, target.filename]
    _run_long(argv, directory=target.path.parent, progress=progress, started=started)


def commit(
    top: Layer,
    *,
    progress: Callable[[float], object],
    started: Callable[[Callable[[], object]], Callable[[], object]],
) -> None:
    """Write what the image holds into the one below it, which grows to its size; the image stays as it is.

    Done again after it was cut short it ends as if it had not been. Raises as convert().
    """
    top.check()
    argv: list[Argument] = ["commit", "-p", "-d", "-f", top.format, "-t", _cache_mode(top.path), top.filename]
    _run_long(argv, directory=top.path.parent, progress=progress, started=started)


def rebase(layer: Layer, *, backing: str, backing_format: ImageFormat) -> None:
    """Write into the image that it builds on another one, which holds all that was below it.

    ``backing`` is written as given and not opened. Raises BrokenImage, ForeignReference.
    """
    layer.check()
    argv: list[Argument] = [
        "rebase", "-q", "-u", "-f", layer.format, "-b", backing, "-F", backing_format, layer.path,
    ]  # fmt: skip
    _run(argv, directory=layer.path.parent)


def _run_long(
    argv: Sequence[Argument],
    *,
    directory: Path,
    progress: Callable[[float], object],
    started: Callable[[Callable[[], object]], Callable[[], object]],
) -> None:
    command = as_storage_user([*_COPY_LIMITS, "qemu-img", *argv])
    with spawn(command, directory=directory, stdout=PIPE, stderr=PIPE, own_group=True) as child:
        forget = started(lambda: child.signal(signal.SIGKILL))
        try:
            _follow(child, progress)
        finally:
            forget()


def _follow(child: Child, progress: Callable[[float], object]) -> None:
    """Read to the end. Its complaints are few and fit into a pipe's buffer."""
    while data := os.read(child.stdout.fileno(), 4096):
        shown = _PROGRESS.findall(data)
        if shown:
            progress(float(shown[-1]))
    complaint = child.stderr.read().decode(errors="replace").strip()[-_STDERR_LIMIT:]
    status = child.wait(timeout_seconds=_QUICK_SECONDS)
    if status != 0:
        raise CommandFailed(program="qemu-img", status=status, stderr=complaint)


def _image_info(found: dict[str, Any]) -> ImageInfo:
    specific = found.get("format-specific", {}).get("data", {})
    return ImageInfo(
        format=found["format"],
        virtual_bytes=found["virtual-size"],
        actual_bytes=found.get("actual-size", 0),
        cluster_bytes=found.get("cluster-size"),
        compat=specific.get("compat"),
        backing_file=found.get("backing-filename"),
        backing_format=found.get("backing-filename-format"),
        bitmaps=tuple(bitmap["name"] for bitmap in specific.get("bitmaps", ())),
    )


def _run(argv: Sequence[Argument], *, directory: Path | None = None) -> bytes:
    command = as_storage_user([*_LIMITS, "qemu-img", *argv])
    completed = run(command, timeout_seconds=_QUICK_SECONDS, directory=directory, check=False)
    if completed.status != 0:
        raise CommandFailed(program="qemu-img", status=completed.status, stderr=completed.complaint)
    return completed.stdout


def _json(argv: Sequence[Argument], path: Path, image_format: str) -> dict[str, Any]:
    try:
        found = json.loads(_run(argv))
    except CommandFailed as error:
        said = str(error.fields["stderr"]).replace(os.fspath(path), path.name)  # the error names it whole
        raise BrokenImage(path=path, format=image_format, reason=said) from error
    except ValueError as error:
        raise BrokenImage(path=path, format=image_format, reason=error) from error
    if not isinstance(found, dict):
        raise BrokenImage(path=path, format=image_format, reason="qemu-img told no object")
    return found


def _cache_mode(path: Path) -> str:
    """QEMU's word for reading past the page cache, where the file system can do that (an old tmpfs cannot)."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
    except OSError:
        return "writeback"
    return "none"
