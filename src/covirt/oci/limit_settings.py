# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits as cgroup files say them: which file, which line of it, and how each is spelled, in the v1 trees and in v2.

Nothing is written here: ``cgroup_limits`` does that.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.cgroup_tree import cpu_weight
from covirt.oci.resources import BlockIoLimit, Resources

DEFAULT_SHARES: Final = 1024  # the kernel's, as are the next two
DEFAULT_PERIOD_US: Final = 100_000
DEFAULT_V2_WEIGHT: Final = 100  # of cpu.weight, io.weight and BFQ's weight
_DEFAULT_CFQ_WEIGHT: Final = 500
# v1 spells "no limit" as the largest page-aligned number; anything near it is none.
_NO_LIMIT: Final = 1 << 62
_PAGE: Final = os.sysconf("SC_PAGESIZE")

# None: no limit. A set is of CPUs or memory nodes; on v2 the empty one stands for the parent's.
Value = int | None | frozenset[int] | tuple[int | None, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value of one file. ``device`` ("8:0") and ``key`` ("rbps") name the line and the word of it."""

    controller: str
    file: str
    value: Value
    device: str = ""
    key: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.file, self.device, self.key

    def spelled(self) -> str:
        """What is written to the file."""
        text = _spell(self.file, self.value)
        if self.key:
            return f"{self.device} {self.key}={text}"
        if not self.device:
            return text
        if self.value is None:  # a throttle of 0 is none; a weight goes back to the default of the group
            text = "default" if "weight" in self.file else "0"
        return f"{self.device} {text}"

    def found_in(self, text: str) -> Value:
        """The value that the file's content has for this setting."""
        if self.key:
            return _io_max(text).get((self.device, self.key))
        if self.device:
            return by_device(text).get(self.device) or None
        return _READ.get(self.file, limit_of)(text)


def limit_of(text: str) -> int | None:
    """A file of one number; max, -1 and what is near the largest number are no limit."""
    word = text.strip()
    if word in ("max", "-1", ""):
        return None
    number = int(word)
    return None if number >= _NO_LIMIT else number


def cpus_of(text: str) -> frozenset[int]:
    """A list such as ``0-3,6``."""
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def cpu_max_of(text: str) -> tuple[int | None, int]:
    """Quota and period of v2's cpu.max."""
    quota, _, period = text.strip().partition(" ")
    return limit_of(quota), int(period or DEFAULT_PERIOD_US)


def weight_of(text: str) -> int | None:
    """A weight: alone (v1), or on the line "default" (v2 and BFQ), with lines of devices below."""
    first = text.split("\n", 1)[0].removeprefix("default").strip()
    return int(first) if first.isdigit() else None


def by_device(text: str) -> dict[str, int]:
    """Lines "MAJOR:MINOR NUMBER"."""
    words = (line.split() for line in text.splitlines())
    return {each[0]: int(each[1]) for each in words if len(each) == 2 and ":" in each[0] and each[1].isdigit()}


def _io_max(text: str) -> dict[tuple[str, str], int]:
    """Lines "MAJOR:MINOR rbps=1000 wbps=max riops=max wiops=max"."""
    found: dict[tuple[str, str], int] = {}
    for line in text.splitlines():
        device, _, rest = line.partition(" ")
        for word in rest.split():
            key, _, number = word.partition("=")
            if number.isdigit():
                found[device, key] = int(number)
    return found


_READ: Final[dict[str, Callable[[str], Value]]] = {
    "cpuset.cpus": cpus_of,
    "cpuset.mems": cpus_of,
    "cpu.max": cpu_max_of,
    "io.weight": weight_of,
    "io.bfq.weight": weight_of,
    "blkio.weight": weight_of,
    "blkio.bfq.weight": weight_of,
}


def _spell(file: str, value: Value) -> str:
    if isinstance(value, frozenset):
        return ",".join(map(str, sorted(value))) or "\n"
    if isinstance(value, tuple):
        return f"{'max' if value[0] is None else value[0]} {value[1]}"
    if value is not None:
        return str(value)
    return "-1" if file.endswith(("_in_bytes", "_us")) else "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the spelling depends on beside the limits: files that are there, and what the parent may use (v1)."""

    weight_file: str | None
    counts_swap: bool
    parent_cpus: frozenset[int] = frozenset()
    parent_nodes: frozenset[int] = frozenset()


def settings(layout: CgroupLayout, resources: Resources, around: Surroundings) -> list[Setting]:
    """Everything that ``resources`` says, and the kernel's default of what it leaves open."""
    return _v2(resources, around) if layout.version == 2 else _v1(resources, around)


def _v1(resources: Resources, around: Surroundings) -> list[Setting]:
    cpus = cpus_of(resources.cpuset) if resources.cpuset else around.parent_cpus
    nodes = cpus_of(resources.memory_nodes) if resources.memory_nodes else around.parent_nodes
    found = [
        Setting(controller="memory", file="memory.limit_in_bytes", value=_pages(resources.memory_limit_bytes)),
        Setting(
            controller="memory", file="memory.soft_limit_in_bytes", value=_pages(resources.memory_reservation_bytes)
        ),
        Setting(controller="cpu", file="cpu.shares", value=resources.cpu_shares or DEFAULT_SHARES),
        Setting(controller="cpu", file="cpu.cfs_period_us", value=resources.cpu_period_us or DEFAULT_PERIOD_US),
        Setting(controller="cpu", file="cpu.cfs_quota_us", value=resources.cpu_quota_us),
        Setting(controller="cpuset", file="cpuset.cpus", value=cpus),
        Setting(controller="cpuset", file="cpuset.mems", value=nodes),
        Setting(controller="pids", file="pids.max", value=resources.pids_limit),
    ]
    if around.counts_swap:
        swap = _pages(resources.memory_swap_limit_bytes)
        found.append(Setting(controller="memory", file="memory.memsw.limit_in_bytes", value=swap))
    return [*found, *_weights("blkio", resources, around), *_v1_throttles(resources.block_io_limits)]


def _v1_throttles(limits: tuple[BlockIoLimit, ...]) -> list[Setting]:
    return [
        Setting(controller="blkio", file=f"blkio.throttle.{name}_device", value=rate, device=device_of(limit))
        for limit in limits
        for name, rate in zip(V1_THROTTLES, rates_of(limit), strict=True)
        if rate
    ]


def _v2(resources: Resources, around: Surroundings) -> list[Setting]:
    weight = DEFAULT_V2_WEIGHT if resources.cpu_shares is None else cpu_weight(resources.cpu_shares)
    bandwidth = (resources.cpu_quota_us, resources.cpu_period_us or DEFAULT_PERIOD_US)
    cpus, nodes = cpus_of(resources.cpuset or ""), cpus_of(resources.memory_nodes or "")
    found = [
        Setting(controller="memory", file="memory.max", value=_pages(resources.memory_limit_bytes)),
        Setting(controller="memory", file="memory.low", value=_pages(resources.memory_reservation_bytes or 0)),
        Setting(controller="memory", file="memory.high", value=None),  # held low for a moment only, see cgroup_limits
        Setting(controller="cpu", file="cpu.weight", value=weight),
        Setting(controller="cpu", file="cpu.max", value=bandwidth),
        Setting(controller="cpuset", file="cpuset.cpus", value=cpus),
        Setting(controller="cpuset", file="cpuset.mems", value=nodes),
        Setting(controller="pids", file="pids.max", value=resources.pids_limit),
    ]
    if around.counts_swap:
        found.append(Setting(controller="memory", file="memory.swap.max", value=_swap_alone(resources)))
    throttles = [
        Setting(controller="io", file="io.max", value=rate, device=device_of(limit), key=key)
        for limit in resources.block_io_limits
        for key, rate in zip(V2_THROTTLES, rates_of(limit), strict=True)
        if rate
    ]
    return [*found, *_weights("io", resources, around), *throttles]


def _swap_alone(resources: Resources) -> int | None:
    """v2 counts swap apart from memory."""
    both, memory = resources.memory_swap_limit_bytes, resources.memory_limit_bytes
    return None if both is None or memory is None else _pages(max(0, both - memory))


def _weights(controller: str, resources: Resources, around: Surroundings) -> list[Setting]:
    """Of the group, and of devices: v1 keeps these in a file of their own."""
    file = around.weight_file
    chosen = [limit for limit in resources.block_io_limits if limit.weight]
    if file is None:
        if resources.block_io_weight is None and not chosen:
            return []
        file = "io.weight" if controller == "io" else "blkio.weight"  # which is missed, and told so
    device_file = file if controller == "io" else f"{file}_device"
    return [
        Setting(controller=controller, file=file, value=_weight(file, resources.block_io_weight)),
        *(
            Setting(
                controller=controller, file=device_file, value=_weight(file, limit.weight), device=device_of(limit)
            )
            for limit in chosen
        ),
    ]


def _weight(file: str, weight: int | None) -> int:
    """libvirt's 10 to 1000 in the scale of the file, as the runtimes convert them for v2's io.weight."""
    if weight is None:
        return _DEFAULT_CFQ_WEIGHT if file == "blkio.weight" else DEFAULT_V2_WEIGHT
    return io_weight(weight) if file == "io.weight" else weight


def io_weight(weight: int) -> int:
    """10..1000 -> 1..10000, linearly."""
    return 1 + (max(10, min(weight, 1000)) - 10) * 9999 // 990


def weight_from_io(value: int) -> int:
    return 10 + -(-(value - 1) * 990 // 9999)


def shares_of(weight: int, expected: int | None) -> int:
    """v2's weight in v1's shares: ``expected``, if one of the two ways that runtimes have makes this weight of it."""
    if expected is None and weight == DEFAULT_V2_WEIGHT:
        return DEFAULT_SHARES
    if expected is not None and weight in (cpu_weight(expected), _newer_cpu_weight(expected)):
        return expected
    return 2 + -(-(weight - 1) * 262142 // 9999)


def _newer_cpu_weight(shares: int) -> int:
    """As runtimes convert since 2025, so that 1024 is 100, the default of both scales."""
    power = math.log2(max(2, min(shares, 262144)))
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


V1_THROTTLES: Final = ("read_bps", "write_bps", "read_iops", "write_iops")
V2_THROTTLES: Final = ("rbps", "wbps", "riops", "wiops")


def rates_of(limit: BlockIoLimit) -> tuple[int | None, int | None, int | None, int | None]:
    """In the order of the two tables above."""
    return (
        limit.read_bytes_per_second,
        limit.write_bytes_per_second,
        limit.read_operations_per_second,
        limit.write_operations_per_second,
    )


def device_of(limit: BlockIoLimit) -> str:
    return f"{limit.major}:{limit.minor}"


def _pages(size_bytes: int | None) -> int | None:
    """The kernel keeps whole pages, rounded down."""
    if size_bytes is None or size_bytes >= _NO_LIMIT:
        return None
    return size_bytes // _PAGE * _PAGE
