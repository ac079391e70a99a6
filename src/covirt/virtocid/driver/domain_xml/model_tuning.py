# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits and shares: what a container may use of the host."""

from dataclasses import dataclass
from typing import Final

from covirt.virtocid.driver.domain_xml.kept import NOTHING_KEPT, Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class VcpuPin:
    """<vcpupin>: a container has no virtual CPUs, so the union of its pins bounds where it may run."""

    vcpu: int
    cpuset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTune:
    """<cputune>. Periods and quotas in microseconds; a quota of -1 is no limit.

    ``quota_us`` is per virtual CPU, ``global_quota_us`` for the whole container, as libvirt defines them.
    """

    shares: int | None = None
    global_period_us: int | None = None
    global_quota_us: int | None = None
    period_us: int | None = None
    quota_us: int | None = None
    emulator_period_us: int | None = None
    emulator_quota_us: int | None = None
    vcpu_pins: tuple[VcpuPin, ...] = ()
    emulator_pin: str | None = None
    kept: Kept = NOTHING_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTune:
    """<memtune>, in KiB; None is no limit. ``swap_hard_limit_kib`` counts memory and swap together."""

    hard_limit_kib: int | None = None
    soft_limit_kib: int | None = None
    swap_hard_limit_kib: int | None = None
    min_guarantee_kib: int | None = None
    kept: Kept = NOTHING_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockIoDevice:
    """<blkiotune><device>: shares and limits for one host device, by its path."""

    path: str
    weight: int | None = None
    read_bytes_per_second: int | None = None
    write_bytes_per_second: int | None = None
    read_operations_per_second: int | None = None
    write_operations_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockIoTune:
    """<blkiotune>. Weights from 10 to 1000, as in libvirt and cgroup v1."""

    weight: int | None = None
    devices: tuple[BlockIoDevice, ...] = ()
    kept: Kept = NOTHING_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskIoTune:
    """<disk><iotune>, per second. ``total`` is of reads and writes together, and excludes limits of either."""

    total_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    total_operations: int | None = None
    read_operations: int | None = None
    write_operations: int | None = None
    kept: Kept = NOTHING_KEPT


NO_DISK_LIMITS: Final = DiskIoTune()


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaTune:
    """<numatune><memory>: a cgroup can hold a container to nodes, which two of the modes ask for."""

    mode: str | None = None
    nodeset: str | None = None
    kept: Kept = NOTHING_KEPT

    @property
    def binding(self) -> str | None:
        """The nodes that memory must come from."""
        return self.nodeset if self.mode in BINDING_MODES else None


# "restrictive" leaves the choice among the nodes to the process, as a cgroup does. Absent is strict, as in libvirt.
BINDING_MODES: Final = (None, "strict", "restrictive")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRange:
    """``count`` ids, from ``start`` inside the container, which are ``target`` and up on the host."""

    start: int
    target: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainIdMap:
    """<idmap>: a mapping chosen in the XML instead of one from virtocid's pool."""

    uid: tuple[IdRange, ...]
    gid: tuple[IdRange, ...]
