# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""qemu-img: a function is a subcommand. The format is always said, never guessed from what a guest wrote."""

import json
import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import CommandFailed, InvalidRequest
from covirt.common.process import PIPE, Argument, Child, run, spawn
from covirt.host.storage.unprivileged import as_storage_user

_QUICK_SECONDS: Final = 60.0
_STDERR_LIMIT: Final = 2000
# A hostile image can make QEMU ask for any amount of memory, or read forever.
_LIMITS: Final = ("prlimit", f"--as={1 << 30}", "--cpu=30", "--")
_PROGRESS: Final = re.compile(rb"\(([0-9.]+)/100%\)")


class ImageFormat(StrEnum):
    """In QEMU's words; Vdsm calls them RAW and COW."""

    RAW = "raw"
    QCOW2 = "qcow2"


class BrokenImage(InvalidRequest):
    template = "{path} cannot be read as {format}: {reason}"


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
    data_file: str | None = None
    bitmaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Bytes that a copy in another format needs."""

    required_bytes: int
    fully_allocated_bytes: int


def info(path: Path, image_format: ImageFormat) -> ImageInfo:
    """Raises BrokenImage. The image may be in use by a running guest."""
    return _image_info(_json(["info", "--output", "json", "-U", "-f", image_format, path], path, image_format))


def probe(path: Path) -> ImageInfo:
    """What an image that a stranger uploaded claims to be; its format is told, not trusted. Raises BrokenImage."""
    return _image_info(_json(["info", "--output", "json", path], path, "a disk image", limited=True))


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


def resize(path: Path, image_format: ImageFormat, *, size_bytes: int) -> None:
    """Grow the image; QEMU refuses to shrink it."""
    _run(["resize", "-q", "-f", image_format, path, str(size_bytes)])


def measure(path: Path, image_format: ImageFormat, *, target_format: ImageFormat) -> Measured:
    """What a copy of the whole chain needs. Raises BrokenImage."""
    argv: list[Argument] = ["measure", "--output", "json", "-U", "-f", image_format, "-O", target_format, path]
    found = _json(argv, path, image_format)
    return Measured(required_bytes=found["required"], fully_allocated_bytes=found["fully-allocated"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One side of a copy. A target with a ``backing`` file gets only what differs from it."""

    path: Path
    format: ImageFormat
    backing: str | None = None
    backing_format: ImageFormat | None = None
    is_zero: bool = False  # a target known to read as zero: zeros are not written again


def convert(
    source: Endpoint,
    target: Endpoint,
    *,
    progress: Callable[[float], object],
    started: Callable[[Callable[[], object]], Callable[[], object]],
    bitmaps: bool = False,
) -> None:
    """Copy into a target that exists. ``started`` is told how to end it early, and gives what is called at the end.

    Raises CommandFailed, also when ended early.
    """
    argv: list[Argument] = ["convert", "-p", "-n", "-f", source.format, "-O", target.format]
    if bitmaps:
        argv.append("--bitmaps")
    if target.is_zero and target.backing is None:
        argv.append("--target-is-zero")
    if target.backing is not None:
        argv += ["-B", target.backing, "-F", target.backing_format or ImageFormat.RAW]
    # The page cache would hold a disk image that is not read again soon, at the cost of guests.
    argv += ["-t", _cache_mode(target.path), "-T", _cache_mode(source.path), source.path, target.path]
    command = as_storage_user(["qemu-img", *argv])
    with spawn(command, directory=target.path.parent, stdout=PIPE, stderr=PIPE, own_group=True) as child:
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
        data_file=specific.get("data-file"),
        bitmaps=tuple(bitmap["name"] for bitmap in specific.get("bitmaps", ())),
    )


def _run(argv: Sequence[Argument], *, directory: Path | None = None, limited: bool = False) -> bytes:
    limits = _LIMITS if limited else ()
    command = as_storage_user([*limits, "qemu-img", *argv])
    completed = run(command, timeout_seconds=_QUICK_SECONDS, directory=directory, check=False)
    if completed.status != 0:
        raise CommandFailed(program="qemu-img", status=completed.status, stderr=completed.complaint)
    return completed.stdout


def _json(argv: Sequence[Argument], path: Path, image_format: str, *, limited: bool = False) -> dict[str, Any]:
    try:
        found = json.loads(_run(argv, limited=limited))
    except CommandFailed as error:
        raise BrokenImage(path=path, format=image_format, reason=error.fields["stderr"]) from error
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
