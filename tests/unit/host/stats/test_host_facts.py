# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the host tells of itself has the keys and types that a Vdsm's answer has."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from covirt.host.stats.capabilities import Capabilities
from covirt.host.stats.hardware import hardware_info
from covirt.host.stats.kernel_files import KernelFiles, number_list
from covirt.host.stats.processors import numa_facts, processor_facts
from covirt.host.stats.statistics import Statistics
from covirt.hostapi.json import JsonValue

# Types in captured answers of Vdsm; what networks, storage and guests add is their tests' affair.
CAPABILITIES: Final[Mapping[str, type]] = {
    "HBAInventory": dict, "ISCSIInitiatorName": str, "additionalFeatures": list, "autoNumaBalancing": int,
    "backupEnabled": bool, "boot_uuid": str, "clusterLevels": list, "cpuCores": str, "cpuFlags": str, "cpuModel": str,
    "cpuSockets": str, "cpuSpeed": str, "cpuThreads": str, "cpuTopology": list, "emulatedMachines": list,
    "fipsEnabled": bool, "guestOverhead": str, "hostdevPassthrough": str, "hostedEngineDeployed": bool,
    "hugepages": list, "kdumpStatus": int, "kernelArgs": str, "kvmEnabled": str, "lastClientIface": str,
    "liveMerge": str, "liveSnapshot": str, "memSize": str, "nestedVirtualization": bool, "numaNodeDistance": dict,
    "numaNodes": dict, "onlineCpus": str, "operatingSystem": dict, "ovnConfigured": bool, "packages2": dict,
    "realtimeKernel": bool, "reservedMem": str, "rngSources": list, "selinux": dict, "software_revision": str,
    "software_version": str, "supportedENGINEs": list, "supportsIPv6": bool, "tscFrequency": str, "tscScaling": bool,
    "vdsmToCpusAffinity": list, "version_name": str, "vmTypes": list, "vncEncrypted": bool,
    "zerocopy_migrations": bool,
}  # fmt: skip
STATISTICS: Final[Mapping[str, type]] = {
    "anonHugePages": str, "bootTime": str, "cpuIdle": str, "cpuLoad": str, "cpuStatistics": dict, "cpuSys": str,
    "cpuSysVdsmd": str, "cpuUser": str, "cpuUserVdsmd": str, "dateTime": str, "diskStats": dict, "elapsedTime": str,
    "haStats": dict, "ksmCpu": int, "ksmMergeAcrossNodes": bool, "ksmPages": int, "ksmState": bool, "memFree": int,
    "memShared": int, "memUsed": str, "momStatus": dict, "netConfigDirty": str, "numaNodeMemFree": dict,
    "storageDomains": dict, "swapFree": int, "swapTotal": int, "thpState": str,
}  # fmt: skip


class Networks:
    def capabilities(self) -> Mapping[str, JsonValue]:
        return {"networks": {"ovirtmgmt": {}}, "kvmEnabled": "true"}

    def statistics(self) -> Mapping[str, JsonValue]:
        return {"rxDropped": "0"}


@pytest.fixture
def machine(tmp_path: Path) -> KernelFiles:
    """Two sockets with two cores of two threads each, one of them offline; two nodes."""
    for cpu in range(8):
        at = tmp_path / f"sys/devices/system/cpu/cpu{cpu}"
        write(at / "topology/physical_package_id", str(cpu // 4))
        write(at / "topology/die_id", "-1")
        write(at / "topology/core_id", str(cpu // 2 % 2))
        (at / f"node{cpu // 4}").mkdir()
    write(tmp_path / "sys/devices/system/cpu/online", "0-6")
    for node in range(2):
        at = tmp_path / f"sys/devices/system/node/node{node}"
        write(at / "cpulist", f"{4 * node}-{4 * node + 3}")
        write(at / "distance", "10 20" if node == 0 else "20 10")
        write(at / "meminfo", f"Node {node} MemTotal:  4194304 kB\nNode {node} MemFree:  1048576 kB\n")
        write(at / "hugepages/hugepages-2048kB/nr_hugepages", "7")
    write(tmp_path / "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "14")
    write(
        tmp_path / "proc/cpuinfo", "processor : 0\nmodel name\t: Test CPU\ncpu MHz : 2000.5\nflags : fpu vmx\n\nx : y"
    )
    return KernelFiles(root=tmp_path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@contextmanager
def running(statistics: Statistics) -> Iterator[Statistics]:
    statistics.start()
    yield statistics
    statistics.stop()


def test_capabilities_of_this_machine() -> None:
    answer = Capabilities([Networks()], extensions=lambda: ["container-image"]).answer()
    assert {key: type(answer[key]) for key in CAPABILITIES} == CAPABILITIES
    assert (answer["networks"], answer["kvmEnabled"]) == ({"ovirtmgmt": {}}, "true")
    assert answer["covirtExtensions"] == ["container-image"]


def test_statistics_of_this_machine() -> None:
    with running(Statistics([Networks()])) as statistics:
        answer = statistics.answer()
    assert {key: type(answer[key]) for key in STATISTICS} == STATISTICS
    assert answer["rxDropped"] == "0"


def test_processors(machine: KernelFiles) -> None:
    facts = processor_facts(machine)
    assert [facts[key] for key in ("cpuThreads", "cpuCores", "cpuSockets", "onlineCpus")] == [
        "7", "4", "2", "0,1,2,3,4,5,6",
    ]  # fmt: skip
    assert [facts[key] for key in ("cpuModel", "cpuSpeed", "cpuFlags")] == ["Test CPU", "2000.5", "fpu,vmx"]
    topology = facts["cpuTopology"]
    assert isinstance(topology, list)
    assert topology[6] == {"cpu_id": 6, "numa_cell_id": 1, "socket_id": 1, "die_id": 0, "core_id": 1}


def test_nodes(machine: KernelFiles) -> None:
    facts = numa_facts(machine)
    assert facts["numaNodeDistance"] == {"0": [10, 20], "1": [20, 10]}
    nodes = facts["numaNodes"]
    assert isinstance(nodes, dict)
    assert nodes["1"] == {"cpus": [4, 5, 6, 7], "totalMemory": "4096", "hugepages": {"2048": {"totalPages": "7"}}}
    assert facts["hugepages"] == [2048]
    free = Statistics(files=machine).answer()["numaNodeMemFree"]
    assert isinstance(free, dict)
    assert free["0"] == {"memFree": "1024", "memPercent": 75, "hugepages": {}}


def test_a_machine_without_any_of_it(tmp_path: Path) -> None:
    bare = KernelFiles(root=tmp_path)
    assert Capabilities(files=bare).answer()["uuid"] is None
    assert "cpuLoad" in Statistics(files=bare).answer()
    assert hardware_info(bare) == {}


@pytest.mark.parametrize(("text", "numbers"), [("", []), ("0", [0]), ("0-2,5", [0, 1, 2, 5]), ("x", [])])
def test_lists_of_numbers(text: str, numbers: list[int]) -> None:
    assert number_list(text) == numbers
