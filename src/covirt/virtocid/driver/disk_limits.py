# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of single disks, as limits of the block device below each: its loop device, or the one that the XML names.

The kernel throttles reads and writes apart. A limit of both together is divided among them, half and half: it is
never exceeded, and whoever wants all of it for one direction says so.
"""

import logging
from dataclasses import fields, replace
from typing import Any, Final

from covirt.common.errors import Error
from covirt.oci.cgroup_limits import CgroupLimits
from covirt.oci.resources import BlockIoLimit, Resources
from covirt.virtocid.driver.disk_facts import throttled_device
from covirt.virtocid.driver.domain_xml.model import Disk, DiskIoTune
from covirt.virtocid.driver.domain_xml.model_tuning import NO_DISK_LIMITS
from covirt.virtocid.driver.mounts import volume_disks
from covirt.virtocid.driver.resources import resources_of
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.slice_limits import within_slice

log = logging.getLogger(__name__)

_DEVICE: Final = ("major", "minor")


def run_resources(services: Services, run: Run) -> Resources:
    """All limits of a run. Raises BadArgument."""
    resources = resources_of(run.config, services.config.container)
    return with_disk_limits(within_slice(resources, services.config.slice, services.supervisor.layout), run)


def hold_disk(services: Services, run: Run, disk: Disk) -> None:
    """Limit a disk that was just mounted, and that ``run`` tells of. Raises what CgroupLimits.change() raises."""
    CgroupLimits(services.supervisor.layout).change(
        run.cgroup_path, run_resources(services, _without(run, disk)), run_resources(services, run)
    )


def release_disk(services: Services, run: Run, disk: Disk) -> None:
    """Take a disk's limit back while it is still mounted: its loop device will be another disk's."""
    try:
        CgroupLimits(services.supervisor.layout).change(
            run.cgroup_path, run_resources(services, run), run_resources(services, _without(run, disk))
        )
    except Error as error:  # the container, or the device, is gone
        log.debug("The limit of a disk is left domain=%s disk=%s: %s", run.config.name, disk.target, error)


def _without(run: Run, disk: Disk) -> Run:
    """The same without limits of this disk."""
    disks = tuple(
        replace(each, io_tune=NO_DISK_LIMITS) if each.target == disk.target else each for each in run.config.disks
    )
    return run.with_config(replace(run.config, disks=disks))


def with_disk_limits(resources: Resources, run: Run) -> Resources:
    """The limits of a run with those of its mounted disks; of two for one device the lower counts."""
    limits = {(limit.major, limit.minor): limit for limit in resources.block_io_limits}
    for disk in volume_disks(run.config):
        device = throttled_device(run, disk) if disk.io_tune != NO_DISK_LIMITS else None
        if device is not None:
            limit = disk_limit(device, disk.io_tune)
            limits[device] = _lower(limits.get(device, limit), limit)
    return replace(resources, block_io_limits=tuple(limits.values()))


def disk_limit(device: tuple[int, int], tune: DiskIoTune) -> BlockIoLimit:
    """As the kernel takes it."""
    return BlockIoLimit(
        major=device[0],
        minor=device[1],
        read_bytes_per_second=tune.read_bytes or _half(tune.total_bytes),
        write_bytes_per_second=tune.write_bytes or _half(tune.total_bytes),
        read_operations_per_second=tune.read_operations or _half(tune.total_operations),
        write_operations_per_second=tune.write_operations or _half(tune.total_operations),
    )


def disk_tune(limit: BlockIoLimit, wanted: DiskIoTune) -> DiskIoTune:
    """The way back: ``wanted``'s totals where the kernel has their halves, else what it has for each direction."""
    expected = disk_limit((limit.major, limit.minor), wanted)
    found = DiskIoTune(
        read_bytes=limit.read_bytes_per_second,
        write_bytes=limit.write_bytes_per_second,
        read_operations=limit.read_operations_per_second,
        write_operations=limit.write_operations_per_second,
    )
    if wanted.total_bytes and (found.read_bytes, found.write_bytes) == (
        expected.read_bytes_per_second,
        expected.write_bytes_per_second,
    ):
        found = replace(found, total_bytes=wanted.total_bytes, read_bytes=None, write_bytes=None)
    if wanted.total_operations and (found.read_operations, found.write_operations) == (
        expected.read_operations_per_second,
        expected.write_operations_per_second,
    ):
        found = replace(found, total_operations=wanted.total_operations, read_operations=None, write_operations=None)
    return found


def _half(total: int | None) -> int | None:
    return None if total is None else max(1, total // 2)


def _lower(one: BlockIoLimit, other: BlockIoLimit) -> BlockIoLimit:
    values: dict[str, Any] = {}
    for name in (field.name for field in fields(BlockIoLimit) if field.name not in _DEVICE):
        both = [value for value in (getattr(one, name), getattr(other, name)) if value is not None]
        values[name] = min(both, default=None)
    return replace(one, **values)
