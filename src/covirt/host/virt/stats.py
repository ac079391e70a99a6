# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""VmStats: what VM.getStats and Host.getAllVmStats answer, with Vdsm's keys, types and units.

Made from the last samples and the Vm's own state; nothing is asked of libvirt here. Real answers of a Vdsm are in the
tests.
"""

from collections.abc import Mapping
from typing import Any, Final

from covirt.host.virt.records import Phase
from covirt.host.virt.sampling import Samples
from covirt.host.virt.vm import Vm
from covirt.hostapi.json import JsonValue

Stats = dict[str, JsonValue]

_NOTHING: Final[Mapping[str, Any]] = {}
_SPEED_MBPS: Final = "1000"  # of every virtual NIC, as Vdsm says


def vm_stats(vm: Vm, samples: Samples, guest: Mapping[str, JsonValue], *, silent: bool = False) -> Stats:
    """``guest``: what its agent has told, in VmStats' words; ``silent``: its libvirt hangs."""
    if vm.record.phase is Phase.DOWN:
        return {**vm.exit_words(), "statusTime": str(vm.status_time_ms)}
    last = samples.last.domains.get(vm.vm_id, _NOTHING)
    before = samples.before.domains.get(vm.vm_id, _NOTHING)
    interval = samples.last.taken - samples.before.taken
    stats: Stats = {
        "vmId": vm.vm_id,
        "vmName": vm.name,
        "vmType": vm.devices.domain_type,
        "status": vm.status.value,
        "statusTime": str(vm.status_time_ms),
        "kvmEnable": "true",
        "acpiEnable": "true" if vm.has_acpi else "false",
        "elapsedTime": str(vm.elapsed_seconds),
        "monitorResponse": "0" if vm.responsive and not silent else "-1",
        "clientIp": "",
        "timeOffset": "0",
        "pauseCode": vm.pause_code.value,
        "vcpuCount": str(last.get("vcpu.current", -1)),
        "displayInfo": list(vm.devices.displays),
        "hash": vm.devices.hash,
        "appsList": [],
        "guestIPs": "",
        "guestFQDN": "",
        "guestCPUCount": -1,
        "username": "Unknown",
        "session": "Unknown",
        "memUsage": "0",
    }
    stats.update(_cpu(last, before, interval))
    stats.update(_balloon(vm, last))
    if last.get("net.count"):
        stats["network"] = _network(vm, last, samples.last.wall)
    if last.get("block.count"):
        stats["disks"] = _disks(vm, last, before, interval)
    stats.update(guest)
    return stats


def _cpu(last: Mapping[str, Any], before: Mapping[str, Any], interval: float) -> Stats:
    """libvirt counts in ns; percents are of one processor."""
    keys = ("cpu.time", "cpu.user", "cpu.system")
    if interval <= 0 or not all(key in last and key in before for key in keys):
        return {"cpuUser": "0.00", "cpuSys": "0.00", "cpuUsage": "0.00", "cpuActual": False}
    total, user, system = (last[key] - before[key] for key in keys)
    own = 100 * (user + system) / interval / 1e9
    guest = 100 * (total - user - system) / interval / 1e9
    return {
        "cpuUser": f"{max(0.0, guest):.2f}",
        "cpuSys": f"{max(0.0, own):.2f}",
        "cpuUsage": str(last["cpu.user"] + last["cpu.system"]),
        "cpuActual": True,
    }


def _balloon(vm: Vm, last: Mapping[str, Any]) -> Stats:
    maximum = vm.maximum_memory_kib
    current = last.get("balloon.current", maximum)
    minimum_mib = vm.facts.values.get("minGuaranteedMemoryMb", "0")
    minimum = int(minimum_mib) << 10 if minimum_mib.isdigit() else 0
    stats: Stats = {
        "balloonInfo": {
            "balloon_max": str(maximum),
            "balloon_min": str(minimum),
            "balloon_cur": str(current),
            "balloon_target": str(vm.facts.values.get("balloonTarget") or current),
            "ballooning_enabled": vm.facts.values.get("ballooningEnabled", "true") == "true",
        }
    }
    available, unused = last.get("balloon.available"), last.get("balloon.unused")
    if available and unused is not None:
        stats["memUsage"] = str(100 * (available - unused) // available)
        stats["memoryStats"] = {
            "mem_total": str(available),
            "mem_unused": str(unused),
            "mem_free": str(last.get("balloon.usable", unused)),
            "swap_in": last.get("balloon.swap_in", 0),
            "swap_out": last.get("balloon.swap_out", 0),
            "majflt": last.get("balloon.major_fault", 0),
            "minflt": last.get("balloon.minor_fault", 0),
            "pageflt": last.get("balloon.major_fault", 0) + last.get("balloon.minor_fault", 0),
        }
    return stats


def _network(vm: Vm, last: Mapping[str, Any], wall: float) -> Stats:
    interfaces: Stats = {}
    for index in range(last["net.count"]):
        at = f"net.{index}"
        name = last.get(f"{at}.name")
        if name is None:
            continue
        interfaces[name] = {
            "name": name,
            "macAddr": vm.devices.macs.get(name, ""),
            "speed": _SPEED_MBPS,
            "state": vm.devices.links.get(name, "up"),
            "rx": str(last.get(f"{at}.rx.bytes", 0)),
            "tx": str(last.get(f"{at}.tx.bytes", 0)),
            "rxErrors": str(last.get(f"{at}.rx.errs", 0)),
            "txErrors": str(last.get(f"{at}.tx.errs", 0)),
            "rxDropped": str(last.get(f"{at}.rx.drop", 0)),
            "txDropped": str(last.get(f"{at}.tx.drop", 0)),
            "sampleTime": wall,
        }
    return interfaces


def _disks(vm: Vm, last: Mapping[str, Any], before: Mapping[str, Any], interval: float) -> Stats:
    disks: Stats = {}
    earlier = {before.get(f"block.{index}.name"): f"block.{index}" for index in range(before.get("block.count", 0))}
    for index in range(last["block.count"]):
        at = f"block.{index}"
        name = last.get(f"{at}.name")
        if name is not None:
            disks[name] = {
                "imageID": vm.devices.image_ids.get(name, ""),
                **_disk(last, at, before, earlier.get(name), interval),
            }
    return disks


def _disk(last: Mapping[str, Any], at: str, before: Mapping[str, Any], then: str | None, interval: float) -> Stats:
    def now(key: str) -> int:
        return int(last.get(f"{at}.{key}", 0))

    def grown(key: str) -> int:
        return now(key) - int(before.get(f"{then}.{key}", 0)) if then else 0

    def latency(kind: str) -> str:
        """Nanoseconds an operation, of those in the interval."""
        operations = grown(f"{kind}.reqs")
        return str(grown(f"{kind}.times") // operations) if operations > 0 else "0"

    def rate(key: str) -> str:
        return f"{grown(key) / interval:.2f}" if then and interval > 0 else "0.00"

    return {
        "readLatency": latency("rd"),
        "writeLatency": latency("wr"),
        "flushLatency": latency("fl"),
        "readBytes": str(now("rd.bytes")),
        "writtenBytes": str(now("wr.bytes")),
        "readOps": str(now("rd.reqs")),
        "writeOps": str(now("wr.reqs")),
        "readRate": rate("rd.bytes"),
        "writeRate": rate("wr.bytes"),
        "truesize": str(now("allocation")),
        "apparentsize": str(now("capacity")),
    }
