# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read <memtune>, <cputune>, <blkiotune>, <numatune>, <iotune> and <idmap>."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_tuning import (
    BINDING_MODES,
    NO_DISK_LIMITS,
    BlockIoDevice,
    BlockIoTune,
    CpuTune,
    DiskIoTune,
    DomainIdMap,
    IdRange,
    MemoryTune,
    NumaTune,
    VcpuPin,
)
from covirt.virtocid.driver.domain_xml.node import Node

# VIR_DOMAIN_MEMORY_PARAM_UNLIMITED (libvirt-domain.h): what clients write for "no limit".
_UNLIMITED_KIB: Final = 9007199254740991
_SHARES: Final = values.integer(2, 262144)  # the kernel's own bounds of cpu.shares
_PERIOD: Final = values.integer(1000, 1_000_000)  # microseconds; the kernel's bounds
_QUOTA: Final = values.integer(-1, 18_446_744_073_709_551)
_WEIGHT: Final = values.integer(10, 1000)
_RATE: Final = values.integer(0, 2**63 - 1)
# A container has no emulator whose threads could be limited apart from it.
_EMULATOR: Final = ("emulator_period", "emulator_quota", "emulatorpin")
# Of <iotune>, and of virsh blkdeviotune: what a kernel can throttle.
DISK_RATES: Final = {
    "total_bytes_sec": "total_bytes",
    "read_bytes_sec": "read_bytes",
    "write_bytes_sec": "write_bytes",
    "total_iops_sec": "total_operations",
    "read_iops_sec": "read_operations",
    "write_iops_sec": "write_operations",
}
# virDomainNumatuneMemMode, in the order of its numbers.
NUMA_MODES: Final = ("strict", "preferred", "interleave", "restrictive")
_ID: Final = values.integer(0, 2**32 - 2)  # 4294967295 is "no id"


def read_memory_tune(node: Node | None) -> MemoryTune:
    if node is None:
        return MemoryTune()
    tune = MemoryTune(
        hard_limit_kib=_limit(node, "hard_limit"),
        soft_limit_kib=_limit(node, "soft_limit"),
        swap_hard_limit_kib=_limit(node, "swap_hard_limit"),
        min_guarantee_kib=_limit(node, "min_guarantee"),
        kept=node.kept(),
    )
    if tune.min_guarantee_kib is not None:
        node.report_child("min_guarantee")
    return tune


def _limit(node: Node, tag: str) -> int | None:
    child = node.child(tag)
    if child is None:
        return None
    limit = child.scaled(values.kib, unit="KiB")
    if limit < _UNLIMITED_KIB:
        return limit
    child.forget()
    return None


def read_cpu_tune(node: Node | None) -> CpuTune:
    if node is None:
        return CpuTune()
    emulator_pin = node.child("emulatorpin")
    tune = CpuTune(
        shares=node.child_text("shares", _SHARES),
        global_period_us=node.child_text("global_period", _PERIOD),
        global_quota_us=_quota(node, "global_quota"),
        period_us=node.child_text("period", _PERIOD),
        quota_us=_quota(node, "quota"),
        emulator_period_us=node.child_text("emulator_period", _PERIOD),
        emulator_quota_us=_quota(node, "emulator_quota"),
        vcpu_pins=_vcpu_pins(node),
        emulator_pin=emulator_pin.required("cpuset", values.cpuset) if emulator_pin else None,
        kept=node.kept(),
    )
    for tag in _EMULATOR:
        node.report_child(tag)
    return tune


def _quota(node: Node, tag: str) -> int | None:
    child = node.child(tag)
    if child is None:
        return None
    quota = child.text(_QUOTA)
    if 0 <= quota < 1000:
        raise child.invalid(f"a quota of {quota} is too small: at least 1000 microseconds, or -1 for no limit")
    return quota


def _vcpu_pins(node: Node) -> tuple[VcpuPin, ...]:
    pins: dict[int, VcpuPin] = {}
    for child in node.children("vcpupin"):
        pin = VcpuPin(
            vcpu=child.required("vcpu", values.integer(0, 4095)), cpuset=child.required("cpuset", values.cpuset)
        )
        child.close()
        if pin.vcpu in pins:
            raise child.invalid(f"virtual CPU {pin.vcpu} is pinned twice")
        pins[pin.vcpu] = pin
    return tuple(pins.values())


def read_block_io(node: Node | None) -> BlockIoTune:
    if node is None:
        return BlockIoTune()
    return BlockIoTune(
        weight=node.child_text("weight", _WEIGHT),
        devices=tuple(_block_io_device(child) for child in node.children("device")),
        kept=node.kept(),
    )


def _block_io_device(node: Node) -> BlockIoDevice:
    path = node.child_text("path", values.absolute_path)
    if path is None:
        raise node.invalid("<path> is missing")
    device = BlockIoDevice(
        path=path,
        weight=node.child_text("weight", _WEIGHT),
        read_bytes_per_second=node.child_text("read_bytes_sec", _RATE),
        write_bytes_per_second=node.child_text("write_bytes_sec", _RATE),
        read_operations_per_second=node.child_text("read_iops_sec", _RATE),
        write_operations_per_second=node.child_text("write_iops_sec", _RATE),
    )
    node.close()
    return device


def read_disk_io(node: Node | None) -> DiskIoTune:
    """<iotune> of a disk. Its bursts and groups are kept without effect: the kernel's throttle has none."""
    if node is None:
        return NO_DISK_LIMITS
    rates = {field: _rate(node, name) for name, field in DISK_RATES.items()}
    if excluding(rates):
        raise node.invalid(f"total and read/write of {excluding(rates)} cannot be set at the same time")
    return DiskIoTune(**rates, kept=node.kept())


def _rate(node: Node, tag: str) -> int | None:
    child = node.child(tag)
    if child is None:
        return None
    rate = child.text(_RATE)
    if rate == 0:
        child.forget()  # no limit, in libvirt's words
    return rate or None


def excluding(rates: Mapping[str, int | None]) -> str | None:
    """The kind of limit, in libvirt's word, of which there is one for both directions and one for a single one."""
    for kind, word in (("bytes", "bytes_sec"), ("operations", "iops_sec")):
        if rates.get(f"total_{kind}") and (rates.get(f"read_{kind}") or rates.get(f"write_{kind}")):
            return word
    return None


def read_numa_tune(node: Node | None) -> NumaTune:
    if node is None:
        return NumaTune()
    memory = node.child("memory")
    tune = NumaTune(
        mode=memory.attribute("mode", values.choice(*NUMA_MODES)) if memory else None,
        nodeset=memory.attribute("nodeset", values.cpuset) if memory else None,
        kept=node.kept(),
    )
    if memory is not None and tune.mode not in BINDING_MODES:
        memory.report("mode")
    return tune


def read_idmap(node: Node | None) -> DomainIdMap | None:
    """<idmap>; the caller takes it from the domain, and nothing in it may be unknown."""
    if node is None:
        return None
    idmap = DomainIdMap(uid=_ranges(node, "uid"), gid=_ranges(node, "gid"))
    node.close()
    if not idmap.uid and not idmap.gid:
        return None
    if not idmap.uid or not idmap.gid:
        raise node.invalid("user ids and group ids must both be mapped, or neither")
    return idmap


def _ranges(node: Node, tag: str) -> tuple[IdRange, ...]:
    ranges = []
    for child in node.children(tag):
        item = IdRange(
            start=child.required("start", _ID),
            target=child.required("target", _ID),
            count=child.required("count", values.integer(1, 2**32 - 1)),
        )
        child.close()
        if max(item.start, item.target) + item.count > 2**32 - 1:
            raise child.invalid(f"the range runs past the last id, {2**32 - 2}")
        ranges.append(item)
    _refuse_overlap(node, tag, ranges)
    return tuple(ranges)


def _refuse_overlap(node: Node, tag: str, ranges: list[IdRange]) -> None:
    for side in ("start", "target"):
        spans = sorted((int(getattr(item, side)), item.count) for item in ranges)
        for (first, count), (second, _) in pairwise(spans):
            if second < first + count:
                raise node.invalid(f"two <{tag}> ranges overlap at {side} {second}")
    if ranges and not any(item.start == 0 for item in ranges):
        raise node.invalid(f"no <{tag}> range starts at 0, so the container would have no root")
