# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From the configuration's share of the host to limits of the slice that holds all containers."""

import logging
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from covirt.common.units import KIB
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.cgroup_tree import SliceResources
from covirt.oci.resources import BlockIoLimit, Resources
from covirt.virtocid.config import SliceConfig, SliceDisk
from covirt.virtocid.driver import node

log = logging.getLogger(__name__)

_PERIOD_US: Final = 100_000  # the kernel's own cpu.cfs_period_us
_PID_MAX: Final = Path("/proc/sys/kernel/pid_max")


def slice_resources(limits: SliceConfig) -> SliceResources:
    """The limits in the kernel's units. A disk that is not there is logged and left out: the others still count."""
    return SliceResources(
        memory_limit_bytes=node.topology().memory_kib * KIB * limits.memory_percent // 100,
        cpu_shares=limits.cpu_shares,
        cpu_quota_us=None if limits.cpu_percent is None else _quota_us(limits.cpu_percent),
        cpu_period_us=_PERIOD_US,
        pids_limit=limits.pids_limit or int(_PID_MAX.read_text()) // 2,
        block_io_limits=tuple(_disk_limits(limits.disks)),
    )


def within_slice(resources: Resources, limits: SliceConfig, layout: CgroupLayout) -> Resources:
    """Without a CPU quota beyond the slice's, which bounds the container anyway: cgroup version 1 refuses it."""
    if layout.version != 1 or limits.cpu_percent is None or resources.cpu_quota_us is None:
        return resources
    period_us = resources.cpu_period_us or _PERIOD_US
    if resources.cpu_quota_us * _PERIOD_US <= _quota_us(limits.cpu_percent) * period_us:
        return resources
    return replace(resources, cpu_quota_us=None)


def _quota_us(percent: int) -> int:
    """Of the time of all CPUs in one period."""
    return _PERIOD_US * len(node.online_cpus()) * percent // 100


def _disk_limits(disks: Mapping[str, SliceDisk]) -> Iterator[BlockIoLimit]:
    for path, disk in disks.items():
        try:
            facts = os.stat(path)
        except OSError as error:
            log.error("A disk of slice.disks is not limited path=%s: %s", path, error.strerror)
            continue
        if not stat.S_ISBLK(facts.st_mode):
            log.error("A disk of slice.disks is not limited path=%s: it is no block device", path)
            continue
        yield BlockIoLimit(
            major=os.major(facts.st_rdev),
            minor=os.minor(facts.st_rdev),
            read_bytes_per_second=disk.read_bytes_sec,
            write_bytes_per_second=disk.write_bytes_sec,
            read_operations_per_second=disk.read_iops_sec,
            write_operations_per_second=disk.write_iops_sec,
        )
