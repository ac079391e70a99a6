# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of a whole container, in the words of OCI's linux.resources (cgroup v1 words; runtimes translate for v2)."""

from dataclasses import dataclass, replace
from typing import Any, Final

DEFAULT_PIDS_LIMIT: Final = 2048  # Podman's pids_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockIoLimit:
    """Share and rates of one block device; None and 0 leave it as it is."""

    major: int
    minor: int
    weight: int | None = None
    read_bytes_per_second: int | None = None
    write_bytes_per_second: int | None = None
    read_operations_per_second: int | None = None
    write_operations_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """None leaves the kernel's default. ``memory_swap_limit_bytes`` counts memory and swap together."""

    memory_limit_bytes: int | None = None
    memory_reservation_bytes: int | None = None
    memory_swap_limit_bytes: int | None = None
    cpu_shares: int | None = None
    cpu_quota_us: int | None = None
    cpu_period_us: int | None = None
    cpuset: str | None = None
    memory_nodes: str | None = None
    pids_limit: int | None = DEFAULT_PIDS_LIMIT
    block_io_weight: int | None = None
    block_io_limits: tuple[BlockIoLimit, ...] = ()


def spec_resources(resources: Resources) -> dict[str, Any]:
    """linux.resources of config.json, and of the file that ``update`` takes.

    Every device but those that runtimes always allow (null, zero, full, random, urandom, tty, ptmx) is denied.
    """
    groups: dict[str, dict[str, Any]] = {
        "memory": {
            "limit": resources.memory_limit_bytes,
            "reservation": resources.memory_reservation_bytes,
            "swap": resources.memory_swap_limit_bytes,
        },
        "cpu": {
            "shares": resources.cpu_shares,
            "quota": resources.cpu_quota_us,
            "period": resources.cpu_period_us,
            "cpus": resources.cpuset,
            "mems": resources.memory_nodes,
        },
        "pids": {"limit": resources.pids_limit},
        "blockIO": {"weight": resources.block_io_weight, **_by_kind(resources.block_io_limits)},
    }
    answer: dict[str, Any] = {"devices": [{"allow": False, "access": "rwm"}]}
    for name, group in groups.items():
        given = {key: value for key, value in group.items() if value is not None}
        if given:
            answer[name] = given
    return answer


def unweighed(resources: Resources) -> Resources:
    """The same without weights of block I/O."""
    if resources.block_io_weight is None and not any(limit.weight for limit in resources.block_io_limits):
        return resources
    limits = tuple(replace(limit, weight=None) for limit in resources.block_io_limits)
    return replace(resources, block_io_weight=None, block_io_limits=limits)


def changed_resources(old: Resources, new: Resources) -> dict[str, Any]:
    """What ``update`` is to be told: the groups that differ, whole. Devices stay denied; throttles are not told.

    Absent limits are said in OCI's words for none, where there are any.
    """
    before, after = (spec_resources(_spoken(each)) for each in (old, new))
    return {name: after[name] for name in ("memory", "cpu", "pids") if before.get(name) != after.get(name)}


def _spoken(resources: Resources) -> Resources:
    def limit(value: int | None) -> int:
        return -1 if value is None else value

    return replace(
        resources,
        memory_reservation_bytes=resources.memory_reservation_bytes or 0,
        cpu_shares=resources.cpu_shares or 1024,
        cpu_quota_us=limit(resources.cpu_quota_us),
        cpu_period_us=resources.cpu_period_us or 100_000,
        pids_limit=limit(resources.pids_limit),
    )


def _by_kind(limits: tuple[BlockIoLimit, ...]) -> dict[str, list[dict[str, int]] | None]:
    """OCI has a list of devices for each kind of limit."""
    kinds = {
        "weightDevice": ("weight", [(limit, limit.weight) for limit in limits]),
        "throttleReadBpsDevice": ("rate", [(limit, limit.read_bytes_per_second) for limit in limits]),
        "throttleWriteBpsDevice": ("rate", [(limit, limit.write_bytes_per_second) for limit in limits]),
        "throttleReadIOPSDevice": ("rate", [(limit, limit.read_operations_per_second) for limit in limits]),
        "throttleWriteIOPSDevice": ("rate", [(limit, limit.write_operations_per_second) for limit in limits]),
    }
    return {
        kind: [{"major": limit.major, "minor": limit.minor, word: value} for limit, value in values if value] or None
        for kind, (word, values) in kinds.items()
    }
