# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about this host, read from /proc and /sys when asked: what libvirt calls the node."""

import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.units import KIB

# /proc/stat counts in ticks of 1/100 s (USER_HZ), libvirt answers in nanoseconds.
_TICK_NS: Final = 10**9 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTopology:
    """What virNodeGetInfo tells: sizes in KiB, frequency in MHz, and the shape of the CPUs."""

    model: str
    memory_kib: int
    cpus: int
    mhz: int
    sockets: int
    cores: int
    threads: int


def hostname() -> str:
    return socket.gethostname()


def memory_facts() -> dict[str, int]:
    """/proc/meminfo in KiB, by its own names."""
    facts = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            facts[name] = int(words[0])
    return facts


def free_memory_bytes() -> int:
    return memory_facts().get("MemFree", 0) * KIB


def free_pages(size_kib: int) -> int | None:
    """How many pages of a size are free; None when the host has none of that size."""
    if size_kib * KIB == os.sysconf("SC_PAGE_SIZE"):
        return free_memory_bytes() // (size_kib * KIB)
    try:
        return int(Path(f"/sys/kernel/mm/hugepages/hugepages-{size_kib}kB/free_hugepages").read_text())
    except FileNotFoundError:
        return None


def online_cpus() -> tuple[int, ...]:
    """The numbers of the online CPUs, from a list such as "0-3,6"."""
    text = Path("/sys/devices/system/cpu/online").read_text().strip()
    return parse_cpu_list(text)


def memory_nodes() -> tuple[int, ...]:
    """The numbers of the NUMA nodes that have memory; one, 0, where the kernel knows of none."""
    try:
        return parse_cpu_list(Path("/sys/devices/system/node/has_memory").read_text().strip())
    except OSError:
        return (0,)


def parse_cpu_list(text: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return tuple(numbers)


def present_cpu_count() -> int:
    return max(parse_cpu_list(Path("/sys/devices/system/cpu/present").read_text().strip())) + 1


def topology() -> NodeTopology:
    """One flat NUMA cell; sockets x cores x threads equals the number of CPUs, as clients expect."""
    cpus = len(online_cpus())
    sockets, cores = _packages_and_cores()
    if sockets * cores == 0 or cpus % (sockets * cores):
        sockets, cores = 1, cpus
    return NodeTopology(
        model=platform.machine(),
        memory_kib=memory_facts()["MemTotal"],
        cpus=cpus,
        mhz=_frequency_mhz(),
        sockets=sockets,
        cores=cores,
        threads=cpus // (sockets * cores),
    )


def _packages_and_cores() -> tuple[int, int]:
    """Sockets of the machine and cores per socket."""
    packages: dict[str, set[str]] = {}
    for cpu in online_cpus():
        directory = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            package = (directory / "physical_package_id").read_text().strip()
            packages.setdefault(package, set()).add((directory / "core_id").read_text().strip())
        except OSError:
            return 0, 0
    return len(packages), max((len(cores) for cores in packages.values()), default=0)


def _frequency_mhz() -> int:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "cpu MHz":
            return int(float(value))
    return 0


def cpu_times(cpu: int | None) -> dict[str, int] | None:
    """Nanoseconds by libvirt's field names for one CPU, or for all with None; None when there is no such CPU."""
    wanted = "cpu" if cpu is None else f"cpu{cpu}"
    for line in Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words and words[0] == wanted:
            user, nice, system, idle, iowait, irq, softirq = (int(word) * _TICK_NS for word in words[1:8])
            return {"kernel": system + irq + softirq, "user": user + nice, "idle": idle, "iowait": iowait}
    return None
