# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Host.getStats: how this host does. A thread takes a sample every few seconds; an answer compares the last two."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from covirt.host.services import FactSource
from covirt.host.stats.kernel_files import KernelFiles
from covirt.host.stats.processors import node_memory, node_numbers, node_of_cpu
from covirt.hostapi.json import JsonValue

log = logging.getLogger(__name__)

_PERIOD_SECONDS: Final = 5.0
_KSM: Final = "sys/kernel/mm/ksm"
_PLACES: Final = ("/var/tmp", "/var/log")  # noqa: S108 - whose free space engines are told of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    taken: float
    cpus: Mapping[int, tuple[float, float, float]]  # user, system and idle seconds by processor
    own: tuple[float, float]  # this program's user and system seconds


class Statistics:
    """Every answer is made of what is there: nothing in it waits."""

    def __init__(self, sources: Iterable[FactSource] = (), *, files: KernelFiles | None = None) -> None:
        self._sources = tuple(sources)
        self._files = files or KernelFiles()
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._samples = (_sample(), _sample())
        self._thread = threading.Thread(target=self._run, name="host-samples", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def answer(self) -> Mapping[str, JsonValue]:
        answer: dict[str, JsonValue] = {
            **self._processors(),
            **self._memory(),
            **self._system(),
            "numaNodeMemFree": {str(node): self._node(node) for node in node_numbers(self._files)},
            "diskStats": {place: {"free": str(shutil.disk_usage(place).free >> 20)} for place in _PLACES
                          if Path(place).is_dir()},
        }  # fmt: skip
        for source in self._sources:
            answer.update(source.statistics())
        return answer

    def _run(self) -> None:
        while not self._stopping.wait(_PERIOD_SECONDS):
            self._samples = (self._samples[1], _sample())

    def _processors(self) -> dict[str, JsonValue]:
        before, last = self._samples
        each: dict[str, JsonValue] = {}
        sums = [0.0, 0.0, 0.0]
        for cpu, now in last.cpus.items():
            then = before.cpus.get(cpu, now)
            grown = [max(a - b, 0.0) for a, b in zip(now, then, strict=True)]
            whole = sum(grown) or 1.0
            user, system, idle = (100 * part / whole for part in grown)
            sums = [total + part for total, part in zip(sums, (user, system, idle), strict=True)]
            each[str(cpu)] = {
                "cpuUser": f"{user:.2f}",
                "cpuSys": f"{system:.2f}",
                "cpuIdle": f"{idle:.2f}",
                "nodeIndex": node_of_cpu(self._files, cpu),
            }
        count = len(last.cpus) or 1
        seconds = (last.taken - before.taken) or 1.0
        return {
            "cpuStatistics": each,
            "cpuUser": f"{sums[0] / count:.2f}",
            "cpuSys": f"{sums[1] / count:.2f}",
            "cpuIdle": f"{sums[2] / count:.2f}",
            "cpuUserVdsmd": f"{100 * (last.own[0] - before.own[0]) / seconds:.2f}",
            "cpuSysVdsmd": f"{100 * (last.own[1] - before.own[1]) / seconds:.2f}",
            "cpuLoad": f"{os.getloadavg()[0]:.2f}",
        }

    def _memory(self) -> dict[str, JsonValue]:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        return {
            "memFree": memory.available >> 20,
            "memUsed": str(round(100 * (memory.total - memory.available) / memory.total)),
            "memShared": self._files.number(f"{_KSM}/pages_sharing") * 4096 >> 20,
            "anonHugePages": str(_meminfo(self._files, "AnonHugePages") >> 10),
            "swapTotal": swap.total >> 20,
            "swapFree": swap.free >> 20,
            "ksmState": self._files.number(f"{_KSM}/run") == 1,
            "ksmPages": self._files.number(f"{_KSM}/pages_to_scan"),
            "ksmCpu": 0,
            "ksmMergeAcrossNodes": self._files.number(f"{_KSM}/merge_across_nodes", 1) == 1,
            "hugepages": {},
        }

    def _system(self) -> dict[str, JsonValue]:
        thp = self._files.text("sys/kernel/mm/transparent_hugepage/enabled")
        return {
            "dateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S GMT"),
            "elapsedTime": f"{time.monotonic() - self._began:.2f}",
            "bootTime": str(int(psutil.boot_time())),
            "thpState": thp.partition("[")[2].partition("]")[0] or "never",
            "haStats": {
                "active": False,
                "configured": False,
                "globalMaintenance": False,
                "localMaintenance": False,
                "score": 0,
            },
            "momStatus": {"momStatus": "inactive"},
            "netConfigDirty": "False",
            "multipathHealth": {},
            "v2vJobs": {},
            "storageDomains": {},
            "network": {},
        }

    def _node(self, node: int) -> JsonValue:
        memory = node_memory(self._files, node)
        total, free = memory.get("MemTotal", 0), memory.get("MemFree", 0)
        used = round(100 * (total - free) / total) if total else 0
        return {"memFree": str(free >> 10), "memPercent": used, "hugepages": {}}


def _sample() -> _Sample:
    own = os.times()
    return _Sample(
        taken=time.monotonic(),
        cpus={
            number: (times.user + times.nice, times.system + times.irq + times.softirq, times.idle + times.iowait)
            for number, times in enumerate(psutil.cpu_times(percpu=True))
        },
        own=(own.user, own.system),
    )


def _meminfo(files: KernelFiles, name: str) -> int:
    """KiB."""
    for line in files.text("proc/meminfo").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
