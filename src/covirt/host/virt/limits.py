# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a running guest may use: CPUs, memory, and the quality of service that an engine's policy gives it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import libvirt
from lxml import etree

from covirt.host.virt.device_errors import BadDevice, BalloonNotSet, CpusNotSet, NoSuchDevice, PolicyNotSet
from covirt.host.virt.disk_references import volume_ref
from covirt.host.virt.document import attribute_of
from covirt.host.virt.guest import Guest, edit_block, live_xml
from covirt.host.virt.hotplug import find_disk
from covirt.host.virt.libvirt_errors import told_as
from covirt.host.virt.vm_block import set_value

_LIVE: Final = libvirt.VIR_DOMAIN_AFFECT_LIVE
_PERIOD_MICROSECONDS: Final = 100_000
_LEAST_QUOTA: Final = 1_000  # libvirt and the kernel take no less
_NO_QUOTA: Final = -1
# libvirt's binding takes the rest of a larger number for it.
_MOST_CPUS: Final = 65_535
_CPU_DIGITS: Final = 5
_IO_KEYS: Final = tuple(
    f"{direction}_{unit}_sec" for unit in ("bytes", "iops") for direction in ("total", "read", "write")
)


def set_cpus(guest: Guest, count: int, *, cpusets: Sequence[str] = ()) -> None:
    """``cpusets``: for each CPU where it may run, as "0-2,5". Raises CpusNotSet and BadDevice."""
    if not 1 <= count <= _MOST_CPUS:
        raise CpusNotSet(reason=f"numberOfCpus must be 1 to {_MOST_CPUS}")
    if cpusets and len(cpusets) != count:
        raise BadDevice(reason=f"{count} CPUs with {len(cpusets)} sets of CPUs cannot be")
    pins = [_pin(cpuset) for cpuset in cpusets]
    with told_as(CpusNotSet, name=guest.vm_id):
        guest.domain().setVcpusFlags(count, _LIVE)
        for number, pin in enumerate(pins):
            guest.domain().pinVcpuFlags(number, pin, _LIVE)


def _pin(cpuset: str) -> tuple[bool, ...]:
    present: set[int] = set()
    cpus = range(os.cpu_count() or 1)
    for part in cpuset.split(","):
        first, _, last = part.strip().partition("-")
        if not all(number.isdecimal() and len(number) <= _CPU_DIGITS for number in (first, last or first)):
            raise BadDevice(reason=f"{cpuset!r} is no set of CPUs")
        present |= {number for number in cpus if int(first) <= number <= int(last or first)}
    return tuple(number in present for number in cpus)


def set_balloon(guest: Guest, target_kib: int) -> None:
    """Memory the guest is to have from now on. Without a balloon nothing happens, as with Vdsm.

    Raises BalloonNotSet.
    """
    if target_kib < 1:
        raise BalloonNotSet(reason="target must be 1 KiB or more")
    with told_as(BalloonNotSet, name=guest.vm_id):
        if not guest.is_container and attribute_of(live_xml(guest), "devices/memballoon", "model") in ("", "none"):
            return
        guest.domain().setMemoryFlags(target_kib, _LIVE)
        edit_block(guest, partial(set_value, name="balloonTarget", value=target_kib, kind="int"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLimits:
    """Of one disk: which, and how much a second; 0 is no limit."""

    device: Mapping[str, str]  # "name", or the four UUIDs
    maximum: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``cpu_percent``: of all the host's CPUs; 0 is no limit, None leaves it as it is."""

    cpu_percent: int | None = None
    disks: tuple[DiskLimits, ...] = ()


def set_policy(guest: Guest, policy: Policy) -> None:
    """Raises PolicyNotSet, NoSuchDevice and BadVolumeReference; what came before in the policy stays then, as with
    Vdsm."""
    with told_as(PolicyNotSet, name=guest.vm_id):
        if policy.cpu_percent is not None:
            guest.domain().setSchedulerParametersFlags(_cpu_time(policy.cpu_percent), _LIVE)
        live = live_xml(guest) if policy.disks else None
        for limits in policy.disks:
            wanted = {key: limits.maximum[key] for key in _IO_KEYS if key in limits.maximum}
            guest.domain().setBlockIoTune(_disk_name(live, limits), wanted, _LIVE)


def _cpu_time(percent: int) -> dict[str, int]:
    """For the guest as a whole, however many CPUs it has."""
    if percent < 0:
        raise BadDevice(reason=f"a limit of {percent} percent cannot be")
    quota = percent * (os.cpu_count() or 1) * _PERIOD_MICROSECONDS // 100
    return {"global_period": _PERIOD_MICROSECONDS, "global_quota": max(quota, _LEAST_QUOTA) if percent else _NO_QUOTA}


def _disk_name(live: etree._Element | None, limits: DiskLimits) -> str:
    given = limits.device.get("name", "")
    ref = None if given else volume_ref(limits.device, disk="of the policy")
    disk = None if live is None else find_disk(live, name=given, ref=ref)
    if disk is None:
        raise NoSuchDevice(what="disk", name=given or str(ref))
    return attribute_of(disk, "target", "dev")
