# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processors and NUMA nodes, as Host.getCapabilities tells of them."""

from collections.abc import Mapping
from typing import Final

from covirt.host.stats.kernel_files import KernelFiles, number_list
from covirt.hostapi.json import JsonValue

_CPUS: Final = "sys/devices/system/cpu"
_NODES: Final = "sys/devices/system/node"
_HUGE: Final = "sys/kernel/mm/hugepages"


def processor_facts(files: KernelFiles) -> dict[str, JsonValue]:
    """Numbers are texts where Vdsm has texts."""
    online = number_list(files.text(f"{_CPUS}/online", "0"))
    topology = [_place(files, cpu) for cpu in online]
    info = _first_processor(files)
    return {
        "cpuTopology": topology,
        "cpuThreads": str(len(online)),
        "cpuCores": str(len({(place["socket_id"], place["die_id"], place["core_id"]) for place in topology})),
        "cpuSockets": str(len({place["socket_id"] for place in topology})),
        "onlineCpus": ",".join(str(cpu) for cpu in online),
        "cpuSpeed": info.get("cpu MHz", "0"),
        "cpuModel": info.get("model name", ""),
        "cpuFlags": ",".join(info.get("flags", "").split()),
        "nestedVirtualization": any(
            files.text(f"sys/module/{module}/parameters/nested") in ("1", "Y") for module in ("kvm_intel", "kvm_amd")
        ),
    }


def numa_facts(files: KernelFiles) -> dict[str, JsonValue]:
    nodes = [int(name[4:]) for name in files.names(_NODES) if name.startswith("node") and name[4:].isdigit()]
    return {
        "numaNodes": {str(node): _node(files, node) for node in nodes},
        "numaNodeDistance": {
            str(node): [int(word) for word in files.text(f"{_NODES}/node{node}/distance").split()] for node in nodes
        },
        "autoNumaBalancing": files.number("proc/sys/kernel/numa_balancing", 2),  # 2: the kernel has none
        "hugepages": sorted(_page_sizes(files)),
    }


def node_memory(files: KernelFiles, node: int) -> Mapping[str, int]:
    """KiB by the kernel's names, as in MemTotal."""
    values: dict[str, int] = {}
    for line in files.text(f"{_NODES}/node{node}/meminfo").splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 4 and words[3].isdigit():
            values[words[2]] = int(words[3])
    return values


def node_numbers(files: KernelFiles) -> list[int]:
    return [int(name[4:]) for name in files.names(_NODES) if name.startswith("node") and name[4:].isdigit()]


def node_of_cpu(files: KernelFiles, cpu: int) -> int:
    names = files.names(f"{_CPUS}/cpu{cpu}")
    return next((int(name[4:]) for name in names if name.startswith("node") and name[4:].isdigit()), 0)


def _place(files: KernelFiles, cpu: int) -> dict[str, int]:
    at = f"{_CPUS}/cpu{cpu}/topology"
    return {
        "cpu_id": cpu,
        "numa_cell_id": node_of_cpu(files, cpu),
        "socket_id": max(files.number(f"{at}/physical_package_id"), 0),
        "die_id": max(files.number(f"{at}/die_id"), 0),
        "core_id": files.number(f"{at}/core_id"),
    }


def _first_processor(files: KernelFiles) -> dict[str, str]:
    first = files.text("proc/cpuinfo").partition("\n\n")[0]
    pairs = (line.partition(":")[::2] for line in first.splitlines())
    return {name.strip(): value.strip() for name, value in pairs}


def _node(files: KernelFiles, node: int) -> JsonValue:
    return {
        "cpus": number_list(files.text(f"{_NODES}/node{node}/cpulist")),
        "totalMemory": str(node_memory(files, node).get("MemTotal", 0) // 1024),
        "hugepages": {
            str(size): {
                "totalPages": str(files.number(f"{_NODES}/node{node}/hugepages/hugepages-{size}kB/nr_hugepages"))
            }
            for size in sorted(_page_sizes(files))
        },
    }


def _page_sizes(files: KernelFiles) -> list[int]:
    """KiB."""
    names = (name.removeprefix("hugepages-").removesuffix("kB") for name in files.names(_HUGE))
    return [int(name) for name in names if name.isdigit()]
