# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From a domain's XML to the limits of its cgroup: the same for a start and for a change while it runs."""

import os
import stat
from pathlib import Path
from typing import Final

from covirt.common.units import KIB
from covirt.oci.limit_settings import cpus_of
from covirt.oci.resources import BlockIoLimit, Resources
from covirt.virtocid.config import ContainerConfig
from covirt.virtocid.driver import node
from covirt.virtocid.driver.affinity import cpu_list, cpu_text
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.model_tuning import BlockIoDevice
from covirt.virtocid.driver.errors import BadArgument

_DEFAULT_PERIOD_US: Final = 100_000  # the kernel's own cpu.cfs_period_us


def resources_of(config: DomainConfig, defaults: ContainerConfig) -> Resources:
    """Limits. The CPUs of a container bound its time as a VM's do: two give it at most the time of two.

    Raises BadArgument when <blkiotune> names what is no disk of this host.
    """
    memory_kib = config.current_memory_kib
    if config.memory_tune.hard_limit_kib is not None:
        memory_kib = min(memory_kib, config.memory_tune.hard_limit_kib)
    swap_kib = config.memory_tune.swap_hard_limit_kib
    period_us, quota_us = _cpu_bandwidth(config)
    nodes = config.numa_tune.binding
    return Resources(
        memory_limit_bytes=memory_kib * KIB,
        memory_reservation_bytes=_bytes(config.memory_tune.soft_limit_kib),
        memory_swap_limit_bytes=max(memory_kib, swap_kib if swap_kib is not None else memory_kib) * KIB,
        cpu_shares=config.cpu_tune.shares,
        cpu_quota_us=quota_us,
        cpu_period_us=period_us,
        cpuset=cpu_list(config),
        memory_nodes=cpu_text(values.cpuset_members(nodes)) if nodes else None,
        pids_limit=config.settings.pids_limit or defaults.pids_limit,
        block_io_weight=config.block_io.weight,
        block_io_limits=tuple(map(_block_io_limit, config.block_io.devices)),
    )


def require_here(resources: Resources) -> None:
    """Raises BadArgument for CPUs and memory nodes that this host lacks: the kernel's own answer is obscure."""
    absent = cpus_of(resources.cpuset or "") - frozenset(node.online_cpus())
    if absent:
        raise BadArgument(what=f"this host has no CPU {cpu_text(absent)} online")
    missing = cpus_of(resources.memory_nodes or "") - frozenset(node.memory_nodes())
    if missing:
        raise BadArgument(what=f"this host has no NUMA node {cpu_text(missing)} with memory")


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * KIB


def _cpu_bandwidth(config: DomainConfig) -> tuple[int | None, int | None]:
    """Period and quota of the whole container; quotas in the XML are per virtual CPU or, as "global", for all."""
    tune = config.cpu_tune
    if tune.global_quota_us is not None:
        quota_us = tune.global_quota_us
        return tune.global_period_us or _DEFAULT_PERIOD_US, quota_us if quota_us > 0 else None
    if tune.quota_us is not None:
        period_us = tune.period_us or _DEFAULT_PERIOD_US
        return period_us, tune.quota_us * config.current_vcpus if tune.quota_us > 0 else None
    if config.current_vcpus >= len(node.online_cpus()):
        return None, None
    return _DEFAULT_PERIOD_US, _DEFAULT_PERIOD_US * config.current_vcpus


def _block_io_limit(device: BlockIoDevice) -> BlockIoLimit:
    major, minor = whole_disk(device.path)
    return BlockIoLimit(
        major=major,
        minor=minor,
        weight=device.weight,
        read_bytes_per_second=device.read_bytes_per_second,
        write_bytes_per_second=device.write_bytes_per_second,
        read_operations_per_second=device.read_operations_per_second,
        write_operations_per_second=device.write_operations_per_second,
    )


def whole_disk(path: str) -> tuple[int, int]:
    """The device number of a whole disk of the host. Raises BadArgument."""
    try:
        facts = os.stat(path)
    except OSError as error:
        raise BadArgument(what=f"<blkiotune> names {path}: {error.strerror}; name a whole disk") from error
    if not stat.S_ISBLK(facts.st_mode):
        raise BadArgument(what=f"<blkiotune> names {path}, which is no block device; name the disk it lies on")
    major, minor = os.major(facts.st_rdev), os.minor(facts.st_rdev)
    if Path(f"/sys/dev/block/{major}:{minor}/partition").exists():
        raise BadArgument(what=f"<blkiotune> names the partition {path}; the kernel limits whole disks only")
    return major, minor
