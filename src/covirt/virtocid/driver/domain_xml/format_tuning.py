# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Write <memtune>, <cputune>, <blkiotune>, <numatune>, <iotune> and <idmap>; each is None when it would be empty."""

from lxml import etree

from covirt.virtocid.driver.domain_xml.build import group, make, optional, put_back, unless_empty
from covirt.virtocid.driver.domain_xml.model_tuning import (
    BlockIoTune,
    CpuTune,
    DiskIoTune,
    DomainIdMap,
    IdRange,
    MemoryTune,
    NumaTune,
)
from covirt.virtocid.driver.domain_xml.parse_tuning import DISK_RATES


def write_memory_tune(tune: MemoryTune) -> etree._Element | None:
    element = group(
        "memtune",
        (
            optional("hard_limit", tune.hard_limit_kib, unit="KiB"),
            optional("soft_limit", tune.soft_limit_kib, unit="KiB"),
            optional("min_guarantee", tune.min_guarantee_kib, unit="KiB"),
            optional("swap_hard_limit", tune.swap_hard_limit_kib, unit="KiB"),
        ),
    )
    return unless_empty(put_back(element, tune.kept))


def write_cpu_tune(tune: CpuTune) -> etree._Element | None:
    element = group(
        "cputune",
        (
            optional("shares", tune.shares),
            optional("period", tune.period_us),
            optional("quota", tune.quota_us),
            optional("global_period", tune.global_period_us),
            optional("global_quota", tune.global_quota_us),
            optional("emulator_period", tune.emulator_period_us),
            optional("emulator_quota", tune.emulator_quota_us),
            *(make("vcpupin", vcpu=pin.vcpu, cpuset=pin.cpuset) for pin in tune.vcpu_pins),
            make("emulatorpin", cpuset=tune.emulator_pin) if tune.emulator_pin else None,
        ),
    )
    return unless_empty(put_back(element, tune.kept))


def write_block_io(tune: BlockIoTune) -> etree._Element | None:
    devices = (
        group(
            "device",
            (
                make("path", device.path),
                optional("weight", device.weight),
                optional("read_iops_sec", device.read_operations_per_second),
                optional("write_iops_sec", device.write_operations_per_second),
                optional("read_bytes_sec", device.read_bytes_per_second),
                optional("write_bytes_sec", device.write_bytes_per_second),
            ),
        )
        for device in tune.devices
    )
    return unless_empty(put_back(group("blkiotune", (optional("weight", tune.weight), *devices)), tune.kept))


def write_disk_io(tune: DiskIoTune) -> etree._Element | None:
    rates = (optional(name, getattr(tune, field)) for name, field in DISK_RATES.items())
    return unless_empty(put_back(group("iotune", rates), tune.kept))


def write_numa_tune(tune: NumaTune) -> etree._Element | None:
    memory = make("memory", mode=tune.mode, nodeset=tune.nodeset) if tune.mode or tune.nodeset else None
    return unless_empty(put_back(group("numatune", (memory,)), tune.kept))


def write_idmap(idmap: DomainIdMap | None) -> etree._Element | None:
    if idmap is None:
        return None
    return group("idmap", (*_ranges("uid", idmap.uid), *_ranges("gid", idmap.gid)))


def _ranges(tag: str, ranges: tuple[IdRange, ...]) -> list[etree._Element]:
    return [make(tag, start=item.start, target=item.target, count=item.count) for item in ranges]
