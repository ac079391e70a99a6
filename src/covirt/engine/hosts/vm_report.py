# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a host says of a guest (Vdsm's VmStats), as the engine's facts of a Vm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from covirt.engine.hosts.words import Document, entries, number, table, text, texts, whole
from covirt.engine.model.vm import GraphicsFacts, ReportedDevice, VmFacts, VmStatus
from covirt.hostapi import statuses
from covirt.rpc.jsonrpc import Json

_KIB: Final = 1 << 10
_DOWN: Final = statuses.VmStatus.DOWN.value
_STATUSES: Final[Mapping[str, VmStatus]] = {
    statuses.VmStatus.WAIT_FOR_LAUNCH: VmStatus.WAIT_FOR_LAUNCH,
    statuses.VmStatus.POWERING_UP: VmStatus.POWERING_UP,
    statuses.VmStatus.UP: VmStatus.UP,
    statuses.VmStatus.PAUSED: VmStatus.PAUSED,
    statuses.VmStatus.POWERING_DOWN: VmStatus.POWERING_DOWN,
    statuses.VmStatus.REBOOT_IN_PROGRESS: VmStatus.REBOOT_IN_PROGRESS,
    statuses.VmStatus.MIGRATION_SOURCE: VmStatus.MIGRATING,
    statuses.VmStatus.MIGRATION_DESTINATION: VmStatus.MIGRATING,
    statuses.VmStatus.SAVING_STATE: VmStatus.SAVING_STATE,
    statuses.VmStatus.RESTORING_STATE: VmStatus.RESTORING_STATE,
}
_PAUSES: Final[Mapping[str, str]] = {
    statuses.PauseCode.IO_ERROR: "eio",
    statuses.PauseCode.NO_SPACE: "enospc",
    statuses.PauseCode.OTHER: "eother",
}
# A guest's age is told in whole seconds: its start is a new one only if it differs by more than this.
_SAME_START: Final = timedelta(seconds=5)
_MOST_DEVICES: Final = 64
_EVERYWHERE: Final = ("", "0", "::", "0.0.0.0")  # noqa: S104 - what a display listens on is the host's matter


@dataclass(frozen=True, slots=True, kw_only=True)
class VmReport:
    """One guest, as its host has just told of it."""

    vm_id: str
    stats: Document

    @property
    def is_down(self) -> bool:
        """It has ended, and the host keeps why until the engine has it forgotten (VM.destroy)."""
        return text(self.stats, "status") == _DOWN


def reports(answer: Json) -> list[VmReport]:
    """Of what Host.getAllVmStats and VM.getStats answer."""
    listed = entries({"list": answer}, "list")
    found = [stats for stats in listed if isinstance(stats, dict)]
    return [VmReport(vm_id=text(stats, "vmId").lower(), stats=stats) for stats in found if text(stats, "vmId")]


def running_facts(facts: VmFacts, report: VmReport, *, host_id: str, address: str, now: datetime) -> VmFacts:
    """Of one that has not ended; ``address`` is where the host's displays are."""
    stats = report.stats
    elapsed = max(0, whole(stats, "elapsedTime"))
    pause_code = _PAUSES.get(text(stats, "pauseCode"), "")
    return replace(
        facts,
        status=_status(stats),
        status_detail="",
        pause_code=pause_code,
        host_id=host_id,
        start_time=_start(facts, now - timedelta(seconds=min(elapsed, 1 << 30))),
        stop_time=None,
        stop_reason="",
        exit_code=None,
        exit_reason=None,
        exit_message="",
        fqdn=text(stats, "guestFQDN"),
        guest_os=_guest_os(stats),
        guest_kernel=text(table(stats, "guestOsInfo"), "kernel"),
        reported_devices=tuple(_devices(stats)),
        graphics=tuple(_displays(stats, address)),
        cpu_user_percent=_share(stats, "cpuUser"),
        cpu_system_percent=_share(stats, "cpuSys"),
        memory_used_bytes=_memory(stats),
        elapsed_seconds=elapsed,
        health=text(stats, "health"),
        seen_at=now,
    )


def ended_facts(facts: VmFacts, report: VmReport, *, now: datetime) -> VmFacts:
    """Of one that has ended, with why."""
    stats = report.stats
    return replace(
        off_facts(facts, now=now),
        exit_code=whole(stats, "exitCode"),
        exit_reason=whole(stats, "exitReason"),
        exit_message=text(stats, "exitMessage"),
    )


def off_facts(facts: VmFacts, *, now: datetime) -> VmFacts:
    """Of one that runs nowhere."""
    return VmFacts(status=VmStatus.DOWN, stop_time=now, stop_reason=facts.stop_reason, seen_at=now)


def _status(stats: Document) -> VmStatus:
    status = _STATUSES.get(text(stats, "status"), VmStatus.UNKNOWN)
    if status is VmStatus.UP and text(stats, "monitorResponse") == "-1":
        return VmStatus.NOT_RESPONDING
    return status


def _start(facts: VmFacts, start: datetime) -> datetime:
    before = facts.start_time
    return before if before is not None and abs(before - start) <= _SAME_START else start


def _guest_os(stats: Document) -> str:
    system = table(stats, "guestOsInfo")
    return " ".join(word for word in (text(system, "distribution"), text(system, "version")) if word)


def _devices(stats: Document) -> Iterator[ReportedDevice]:
    for device in entries(stats, "netIfaces")[:_MOST_DEVICES]:
        if isinstance(device, dict):
            addresses = (*texts(device, "inet"), *texts(device, "inet6"))
            yield ReportedDevice(name=text(device, "name"), mac=text(device, "hw"), ip_addresses=addresses)


def _displays(stats: Document, address: str) -> Iterator[GraphicsFacts]:
    for display in entries(stats, "displayInfo")[:_MOST_DEVICES]:
        if isinstance(display, dict) and text(display, "type"):
            listens = text(display, "ipAddress")
            yield GraphicsFacts(
                protocol=text(display, "type"),
                address=address if listens in _EVERYWHERE else listens,
                port=_port(display, "port"),
                tls_port=_port(display, "tlsPort"),
            )


def _port(display: Document, key: str) -> int | None:
    port = whole(display, key, -1)
    return port if 0 < port < 1 << 16 else None


def _share(stats: Document, key: str) -> float:
    """Hosts tell percents of one processor."""
    processors = max(1, whole(stats, "vcpuCount", 1))
    return round(max(0.0, min(100.0, number(stats, key) / processors)), 2)


def _memory(stats: Document) -> int:
    memory = table(stats, "memoryStats")
    if memory:
        return max(0, whole(memory, "mem_total") - whole(memory, "mem_unused")) * _KIB
    given = whole(table(stats, "balloonInfo"), "balloon_cur") * _KIB
    return given * max(0, min(100, whole(stats, "memUsage"))) // 100
