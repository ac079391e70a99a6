# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virConnectGetAllDomainStats: libvirt's field names and types, a group at a time.

A field is left out when the kernel has no such number: a zero would look like a fact. What a domain needs is read at
most once per call, however many groups are asked for.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from covirt.common.units import KIB
from covirt.oci.cgroup import CgroupStats, NetworkCounters
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.run import Run
from covirt.wire.params import TypedParam, int_, string, uint, ullong

log = logging.getLogger(__name__)

# VIR_DOMAIN_STATS_*
STATE, CPU_TOTAL, BALLOON, VCPU, INTERFACE, BLOCK = 1, 2, 4, 8, 16, 32
SUPPORTED_GROUPS: Final = STATE | CPU_TOTAL | BALLOON | VCPU | INTERFACE | BLOCK

_VCPU_RUNNING: Final = 1  # VIR_VCPU_RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was read for one domain; ``usage`` and ``network`` only where it runs and they were asked for."""

    domain: Domain
    config: DomainConfig
    run: Run | None
    usage: CgroupStats | None
    network: Mapping[str, NetworkCounters]


def collect(sample: Sample, groups: int) -> tuple[TypedParam, ...]:
    """The parameters of one domain, in libvirt's order of groups."""
    params: list[TypedParam] = []
    for bit, group in _GROUPS:
        if groups & bit:
            params.extend(group(sample))
    return tuple(params)


def _state(sample: Sample) -> Iterable[TypedParam]:
    state, reason = sample.domain.state
    return int_("state.state", state), int_("state.reason", reason)


def _cpu(sample: Sample) -> Iterable[TypedParam]:
    usage = sample.usage
    if usage is None:
        return
    if usage.cpu_total_ns is not None:
        yield ullong("cpu.time", usage.cpu_total_ns)
    if usage.cpu_user_ns is not None:
        yield ullong("cpu.user", usage.cpu_user_ns)
    if usage.cpu_system_ns is not None:
        yield ullong("cpu.system", usage.cpu_system_ns)


def _balloon(sample: Sample) -> Iterable[TypedParam]:
    config, usage = sample.config, sample.usage
    yield ullong("balloon.current", config.current_memory_kib)
    yield ullong("balloon.maximum", config.memory_kib)
    if usage is None or usage.memory_usage_bytes is None:
        return
    available = config.current_memory_kib
    used = usage.memory_usage_bytes // KIB
    cache = (usage.memory_cache_bytes or 0) // KIB
    yield ullong("balloon.available", available)
    yield ullong("balloon.unused", max(0, available - used))
    yield ullong("balloon.usable", max(0, available - used + cache))
    if usage.memory_cache_bytes is not None:
        yield ullong("balloon.disk_caches", cache)
    if usage.major_page_faults is not None:
        yield ullong("balloon.major_fault", usage.major_page_faults)
    if usage.page_faults is not None:
        yield ullong("balloon.minor_fault", max(0, usage.page_faults - (usage.major_page_faults or 0)))
    if usage.memory_rss_bytes is not None:
        yield ullong("balloon.rss", usage.memory_rss_bytes // KIB)


def _vcpu(sample: Sample) -> Iterable[TypedParam]:
    """A container's CPUs are shares of one limit: each one's time is its part of the whole."""
    current = sample.config.current_vcpus
    yield uint("vcpu.current", current)
    yield uint("vcpu.maximum", sample.config.vcpus)
    if sample.run is None:
        return
    total = sample.usage.cpu_total_ns if sample.usage else None
    for number in range(current):
        yield int_(f"vcpu.{number}.state", _VCPU_RUNNING)
        if total is not None:
            yield ullong(f"vcpu.{number}.time", total // current)


def _interface(sample: Sample) -> Iterable[TypedParam]:
    names = sample.run.interface_names if sample.run else ()
    if sample.run is None:
        return
    yield uint("net.count", len(names))
    for number, name in enumerate(names):
        yield string(f"net.{number}.name", name)
        counters = sample.network.get(name)
        if counters is None:
            continue
        for field, value in (
            ("rx.bytes", counters.rx_bytes),
            ("rx.pkts", counters.rx_packets),
            ("rx.errs", counters.rx_errors),
            ("rx.drop", counters.rx_drops),
            ("tx.bytes", counters.tx_bytes),
            ("tx.pkts", counters.tx_packets),
            ("tx.errs", counters.tx_errors),
            ("tx.drop", counters.tx_drops),
        ):
            yield ullong(f"net.{number}.{field}", value)


def _block(sample: Sample) -> Iterable[TypedParam]:
    disks = [disk for disk in sample.config.disks if disk.source]
    yield uint("block.count", len(disks))
    for number, disk in enumerate(disks):
        yield string(f"block.{number}.name", disk.target)
        path = sample.run.image_path if sample.run and disk.device == "cdrom" else disk.source
        if not path or not path.startswith("/"):
            continue
        yield string(f"block.{number}.path", path)
        try:
            facts = os.stat(path)
        except OSError as error:
            log.debug("No size of a disk path=%s reason=%s", path, error.strerror)
            continue
        yield ullong(f"block.{number}.allocation", facts.st_blocks * 512)
        yield ullong(f"block.{number}.capacity", facts.st_size)
        yield ullong(f"block.{number}.physical", facts.st_size)


_GROUPS: Final[tuple[tuple[int, Callable[[Sample], Iterable[TypedParam]]], ...]] = (
    (STATE, _state),
    (CPU_TOTAL, _cpu),
    (BALLOON, _balloon),
    (VCPU, _vcpu),
    (INTERFACE, _interface),
    (BLOCK, _block),
)
