# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virConnectGetAllDomainStats: libvirt's field names and types, a group at a time.

A field is left out when the kernel has no such number: a zero would look like a fact. What a domain needs is read at
most once per call, however many groups are asked for. One reply holds some 20,000 parameters for 500 containers, so
each field is encoded but for its value when this module is loaded, and its value where it is found.
"""

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from covirt.common.units import KIB
from covirt.oci.cgroup import CgroupStats, NetworkCounters
from covirt.virtocid.driver.disk_facts import disk_counters, disk_size
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.run import Run
from covirt.wire.params import EncodedParams, ParamType, encoder

log = logging.getLogger(__name__)

# VIR_DOMAIN_STATS_*
STATE, CPU_TOTAL, BALLOON, VCPU, INTERFACE, BLOCK, VM = 1, 2, 4, 8, 16, 32, 1024
SUPPORTED_GROUPS: Final = STATE | CPU_TOTAL | BALLOON | VCPU | INTERFACE | BLOCK | VM

_VCPU_RUNNING: Final = 1  # VIR_VCPU_RUNNING

_INT, _UINT, _ULLONG, _STRING = ParamType.INT, ParamType.UINT, ParamType.ULLONG, ParamType.STRING
_STATE_STATE, _STATE_REASON = encoder("state.state", _INT), encoder("state.reason", _INT)
_CPU_TIME, _CPU_USER, _CPU_SYSTEM = (encoder(f"cpu.{name}", _ULLONG) for name in ("time", "user", "system"))
_CURRENT, _MAXIMUM, _AVAILABLE, _UNUSED, _USABLE, _DISK_CACHES, _MAJOR_FAULT, _MINOR_FAULT, _RSS = (
    encoder(f"balloon.{name}", _ULLONG)
    for name in (
        "current", "maximum", "available", "unused", "usable", "disk_caches", "major_fault", "minor_fault", "rss"
    )
)  # fmt: skip
_VCPU_CURRENT, _VCPU_MAXIMUM = encoder("vcpu.current", _UINT), encoder("vcpu.maximum", _UINT)
_NET_COUNT, _BLOCK_COUNT = encoder("net.count", _UINT), encoder("block.count", _UINT)
# The group is the hypervisor's to fill, in names of the form vm.NAME.cur (now), .max (the most), .sum (counted up).
_PIDS, _PIDS_LIMIT, _OOM_KILLS, _READ_BYTES, _WRITE_BYTES, _READ_REQUESTS, _WRITE_REQUESTS = (
    encoder(f"vm.{name}", _ULLONG)
    for name in (
        "pids.cur", "pids.max", "oom_kills.sum",
        "read_bytes.sum", "write_bytes.sum", "read_requests.sum", "write_requests.sum",
    )
)  # fmt: skip

Encode = Callable[[int | str], bytes]
Add = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was read for one domain; ``usage`` and ``network`` only where it runs and they were asked for."""

    domain: Domain
    config: DomainConfig
    run: Run | None
    usage: CgroupStats | None
    network: Mapping[str, NetworkCounters]


def collect(sample: Sample, groups: int) -> EncodedParams:
    """The parameters of one domain, in libvirt's order of groups."""
    pieces: list[bytes] = []
    add = pieces.append
    for bit, group in _GROUPS:
        if groups & bit:
            group(sample, add)
    return EncodedParams(len(pieces), b"".join(pieces))


def _state(sample: Sample, add: Add) -> None:
    state, reason = sample.domain.state
    add(_STATE_STATE(state))
    add(_STATE_REASON(reason))


def _cpu(sample: Sample, add: Add) -> None:
    usage = sample.usage
    if usage is None:
        return
    if usage.cpu_total_ns is not None:
        add(_CPU_TIME(usage.cpu_total_ns))
    if usage.cpu_user_ns is not None:
        add(_CPU_USER(usage.cpu_user_ns))
    if usage.cpu_system_ns is not None:
        add(_CPU_SYSTEM(usage.cpu_system_ns))


def _balloon(sample: Sample, add: Add) -> None:
    config, usage = sample.config, sample.usage
    available = config.current_memory_kib
    add(_CURRENT(available))
    add(_MAXIMUM(config.memory_kib))
    if usage is None or usage.memory_usage_bytes is None:
        return
    used = usage.memory_usage_bytes // KIB
    cache = (usage.memory_cache_bytes or 0) // KIB
    add(_AVAILABLE(available))
    add(_UNUSED(max(0, available - used)))
    add(_USABLE(max(0, available - used + cache)))
    if usage.memory_cache_bytes is not None:
        add(_DISK_CACHES(cache))
    if usage.major_page_faults is not None:
        add(_MAJOR_FAULT(usage.major_page_faults))
    if usage.page_faults is not None:
        add(_MINOR_FAULT(max(0, usage.page_faults - (usage.major_page_faults or 0))))
    if usage.memory_rss_bytes is not None:
        add(_RSS(usage.memory_rss_bytes // KIB))


def _vcpu(sample: Sample, add: Add) -> None:
    """A container's CPUs are shares of one limit: each one's time is its part of the whole."""
    current = sample.config.current_vcpus
    add(_VCPU_CURRENT(current))
    add(_VCPU_MAXIMUM(sample.config.vcpus))
    if sample.run is None:
        return
    total = sample.usage.cpu_total_ns if sample.usage else None
    for number in range(current):
        state, time = _vcpu_fields(number)
        add(state(_VCPU_RUNNING))
        if total is not None:
            add(time(total // current))


@functools.cache
def _vcpu_fields(number: int) -> tuple[Encode, Encode]:
    return encoder(f"vcpu.{number}.state", _INT), encoder(f"vcpu.{number}.time", _ULLONG)


def _interface(sample: Sample, add: Add) -> None:
    if sample.run is None:
        return
    names = sample.run.interface_names
    add(_NET_COUNT(len(names)))
    for number, name in enumerate(names):
        fields = _net_fields(number)
        add(fields[0](name))
        counters = sample.network.get(name)
        if counters is None:
            continue
        for field, value in zip(fields[1:], counters, strict=True):
            add(field(value))


@functools.cache
def _net_fields(number: int) -> tuple[Encode, ...]:
    """The name, and the counters in the order of NetworkCounters."""
    words = ("rx.bytes", "rx.pkts", "rx.errs", "rx.drop", "tx.bytes", "tx.pkts", "tx.errs", "tx.drop")
    return encoder(f"net.{number}.name", _STRING), *(encoder(f"net.{number}.{word}", _ULLONG) for word in words)


def _block(sample: Sample, add: Add) -> None:
    disks = [disk for disk in sample.config.disks if disk.source]
    add(_BLOCK_COUNT(len(disks)))
    for number, disk in enumerate(disks):
        name, file, allocation, capacity, physical, counts = _block_fields(number)
        add(name(disk.target))
        path = sample.run.image_path if sample.run and disk.device == "cdrom" else disk.source
        if not path or not path.startswith("/"):
            continue
        add(file(path))
        counters = disk_counters(sample.run, disk) if sample.run and disk.device == "disk" else None
        for count, value in zip(counts, counters or (), strict=False):
            add(count(value))
        try:
            size = disk_size(path)
        except (OSError, ValueError) as error:
            log.debug("No size of a disk path=%s reason=%s", path, error)
            continue
        add(allocation(size.allocation))
        add(capacity(size.capacity))
        add(physical(size.physical))


@functools.cache
def _block_fields(number: int) -> tuple[Encode, Encode, Encode, Encode, Encode, tuple[Encode, ...]]:
    """The last are in the order of DiskCounters."""
    name, path = (encoder(f"block.{number}.{word}", _STRING) for word in ("name", "path"))
    allocation, capacity, physical = (
        encoder(f"block.{number}.{word}", _ULLONG) for word in ("allocation", "capacity", "physical")
    )
    words = ("rd.reqs", "rd.bytes", "rd.times", "wr.reqs", "wr.bytes", "wr.times", "fl.reqs", "fl.times")
    counts = tuple(encoder(f"block.{number}.{word}", _ULLONG) for word in words)
    return name, path, allocation, capacity, physical, counts


def _vm(sample: Sample, add: Add) -> None:
    """What a container has beside a virtual machine's numbers: processes, OOM kills, and its I/O on all devices."""
    usage = sample.usage
    if usage is None:
        return
    if usage.pids_current is not None:
        add(_PIDS(usage.pids_current))
    if usage.pids_limit is not None:
        add(_PIDS_LIMIT(usage.pids_limit))
    if usage.oom_kills is not None:
        add(_OOM_KILLS(usage.oom_kills))
    io = usage.block_total()
    if io is not None:
        add(_READ_BYTES(io.read_bytes))
        add(_WRITE_BYTES(io.write_bytes))
        add(_READ_REQUESTS(io.read_requests))
        add(_WRITE_REQUESTS(io.write_requests))


_GROUPS: Final[tuple[tuple[int, Callable[[Sample, Add], None]], ...]] = (
    (STATE, _state),
    (CPU_TOTAL, _cpu),
    (BALLOON, _balloon),
    (VCPU, _vcpu),
    (INTERFACE, _interface),
    (BLOCK, _block),
    (VM, _vm),
)
