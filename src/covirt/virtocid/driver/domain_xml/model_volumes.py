# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where disks are mounted: <covirt:volume>, and oVirt's drive map."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskMount:
    """Where a disk shows in the container; ``subpath`` is the directory of it that does, or all of it."""

    target: str
    subpath: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMapping:
    """<covirt:volume disk= target=> in <covirt:container>: a DiskMount for the disk with this target name."""

    disk: str
    mount: DiskMount


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscardedVolume:
    """<covirt:volume discard=>: memory for one run, which begins with what the image has at that place."""

    target: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedDrive:
    """One line of <ovirtdm:drivemap>, in the order in which it was written: label and drive, or drive and label."""

    tag: str
    text: str


class AccessMode(StrEnum):
    """How the owners of a host directory's files show in the container."""

    PASSTHROUGH = "passthrough"  # an id inside is the same id on disk
    MAPPED = "mapped"  # an id inside is the id on disk that the domain's range has for it
