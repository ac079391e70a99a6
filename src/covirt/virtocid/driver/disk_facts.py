# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes and I/O numbers of a container's disks, from the kernel's files.

A mounted volume lies on a block device: its own loop device, or the one that the XML names. The kernel counts what
goes through that, also for other containers that share the volume. Format: Documentation/block/stat.rst.
"""

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from covirt.oci.bundle import layer_view, volume_view
from covirt.oci.volume.counted import counted
from covirt.virtocid.driver.domain_xml.model import Disk
from covirt.virtocid.driver.mounts import view_name
from covirt.virtocid.driver.run import Run

_SECTOR_BYTES: Final = 512  # of the kernel's counters, whatever the device has
_NS_PER_MS: Final = 1_000_000
_READS, _READ_SECTORS, _READ_MS, _WRITES, _WRITTEN_SECTORS, _WRITE_MS, _FLUSHES, _FLUSH_MS = 0, 2, 3, 4, 6, 7, 15, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSize:
    """As in virDomainBlockInfo, in bytes: what a disk can hold, what it takes, and how large its file is."""

    capacity: int
    allocation: int
    physical: int


class DiskCounters(NamedTuple):
    """In the order of libvirt's block.N.*; times in ns."""

    read_requests: int
    read_bytes: int
    read_ns: int
    write_requests: int
    write_bytes: int
    write_ns: int
    flush_requests: int
    flush_ns: int


def disk_size(path: str | Path) -> DiskSize:
    """Raises OSError."""
    facts = os.stat(path)
    if stat.S_ISBLK(facts.st_mode):
        sectors = int(Path(_device(facts.st_rdev), "size").read_text())
        return DiskSize(
            capacity=sectors * _SECTOR_BYTES, allocation=sectors * _SECTOR_BYTES, physical=sectors * _SECTOR_BYTES
        )
    return DiskSize(capacity=facts.st_size, allocation=facts.st_blocks * _SECTOR_BYTES, physical=facts.st_size)


def disk_device(run: Run, disk: Disk) -> int | None:
    """The number of the block device below a volume; None for what is not mounted as one in this run."""
    root = run.config.settings.root_disk == disk.target
    view = layer_view(run.bundle) if root else volume_view(run.bundle, view_name(disk))
    try:
        number = os.stat(view).st_dev
    except OSError:
        return None
    # The number of a file system on a block device is the device's; others have major 0.
    return number if os.major(number) else None


def throttled_device(run: Run, disk: Disk) -> tuple[int, int] | None:
    """The same, of the whole disk where it is a partition: the kernel throttles nothing smaller."""
    number = disk_device(run, disk)
    if number is None:
        return None
    place = Path(_device(number))
    if not (place / "partition").exists():
        return os.major(number), os.minor(number)
    major, _, minor = (place.resolve().parent / "dev").read_text().strip().partition(":")
    return int(major), int(minor)


def disk_counters(run: Run, disk: Disk) -> DiskCounters | None:
    """Since the volume was mounted. None for what is not mounted as one in this run, and where the kernel counts
    nothing."""
    device = disk_device(run, disk)
    if device is None:
        return None
    with contextlib.suppress(OSError, ValueError, IndexError):
        numbers = counted(run.root_run_dir, device)
        return DiskCounters(
            read_requests=numbers[_READS],
            read_bytes=numbers[_READ_SECTORS] * _SECTOR_BYTES,
            read_ns=numbers[_READ_MS] * _NS_PER_MS,
            write_requests=numbers[_WRITES],
            write_bytes=numbers[_WRITTEN_SECTORS] * _SECTOR_BYTES,
            write_ns=numbers[_WRITE_MS] * _NS_PER_MS,
            flush_requests=numbers[_FLUSHES],
            flush_ns=numbers[_FLUSH_MS] * _NS_PER_MS,
        )
    return None


def _device(number: int) -> str:
    return f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
