# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics from files as kernels write them (v1: 6.18, v2: 6.1), and from files that are not there."""

from pathlib import Path

import pytest

from covirt.oci.cgroup import BlockDeviceStats, CgroupReader, CgroupStats, Groups
from covirt.oci.cgroup_layout import CgroupLayout

V1_FILES = {
    "cpuacct/cpuacct.usage": "123456789\n",
    "cpuacct/cpuacct.stat": "user 7\nsystem 3\n",
    "cpuacct/cpuacct.usage_percpu": "100 23 \n",
    "memory/memory.usage_in_bytes": "1052672\n",
    "memory/memory.stat": "cache 1\nrss 2\npgfault 3\nhierarchical_memory_limit 67108864\n"
    "hierarchical_memsw_limit 9223372036854771712\ntotal_cache 4096\ntotal_rss 8192\ntotal_swap 0\n"
    "total_pgfault 55\ntotal_pgmajfault 5\ntotal_inactive_file 2048\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "pids/pids.current": "3\n",
    "pids/pids.max": "max\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 512\n8:0 Write 1024\n8:0 Sync 1\n8:0 Total 1536\n"
    "7:1 Read 4096\n7:1 Write 0\nTotal 5632\n",
    "blkio/blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\n7:1 Read 4\n7:1 Write 0\nTotal 7\n",
}
V2_FILES = {
    "cpu.stat": "usage_usec 123\nuser_usec 100\nsystem_usec 23\ncore_sched.force_idle_usec 0\nnr_periods 0\n",
    "memory.current": "1052672\n",
    "memory.stat": "anon 8192\nfile 4096\nkernel 1\ninactive_file 2048\npgfault 55\npgmajfault 5\n",
    "memory.max": "67108864\n",
    "memory.swap.current": "0\n",
    "memory.events": "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n",
    "pids.current": "3\n",
    "pids.max": "100\n",
    "io.stat": "8:0 rbytes=512 wbytes=1024 rios=1 wios=2 dbytes=0 dios=0\n7:1 \n",
}


def write_v1(root: Path, files: dict[str, str]) -> CgroupReader:
    for name, text in files.items():
        controller, _, file_name = name.partition("/")
        path = root / controller / "x/container" / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    hierarchies = {name: str(root / name) for name in ("cpuacct", "memory", "pids", "blkio")}
    return CgroupReader(CgroupLayout(version=1, hierarchies=hierarchies, unified=None))


def write_v2(root: Path, files: dict[str, str]) -> CgroupReader:
    directory = root / "x/container"
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return CgroupReader(CgroupLayout(version=2, hierarchies={}, unified=str(root)))


def test_v1(tmp_path: Path) -> None:
    reader = write_v1(tmp_path, V1_FILES)
    assert reader.read("/x/container") == CgroupStats(
        cpu_total_ns=123456789,
        cpu_user_ns=70_000_000,
        cpu_system_ns=30_000_000,
        memory_usage_bytes=1052672,
        memory_rss_bytes=8192,
        memory_cache_bytes=4096,
        memory_inactive_file_bytes=2048,
        memory_limit_bytes=67108864,
        memory_swap_bytes=0,
        page_faults=55,
        major_page_faults=5,
        oom_kills=2,
        pids_current=3,
        pids_limit=None,
        block_devices=(BlockDeviceStats("8:0", 512, 1024, 1, 2), BlockDeviceStats("7:1", 4096, 0, 4, 0)),
    )
    assert reader.cpu_per_cpu_ns("/x/container") == (100, 23)


def test_v2(tmp_path: Path) -> None:
    reader = write_v2(tmp_path, V2_FILES)
    assert reader.read("/x/container") == CgroupStats(
        cpu_total_ns=123_000,
        cpu_user_ns=100_000,
        cpu_system_ns=23_000,
        memory_usage_bytes=1052672,
        memory_rss_bytes=8192,
        memory_cache_bytes=4096,
        memory_inactive_file_bytes=2048,
        memory_limit_bytes=67108864,
        memory_swap_bytes=0,
        page_faults=55,
        major_page_faults=5,
        oom_kills=2,
        pids_current=3,
        pids_limit=100,
        block_devices=(BlockDeviceStats("8:0", 512, 1024, 1, 2), BlockDeviceStats("7:1", 0, 0, 0, 0)),
    )
    assert reader.cpu_per_cpu_ns("/x/container") is None


def test_no_limit_is_none_and_not_a_huge_number(tmp_path: Path) -> None:
    stat = V1_FILES["memory/memory.stat"].replace("67108864", "9223372036854771712")
    reader = write_v1(tmp_path, {**V1_FILES, "memory/memory.stat": stat})
    assert reader.read("/x/container").memory_limit_bytes is None


def test_v1_memory_without_swap_accounting(tmp_path: Path) -> None:
    stat = V1_FILES["memory/memory.stat"].replace("total_swap 0\n", "")
    reader = write_v1(tmp_path, {**V1_FILES, "memory/memory.stat": stat})
    assert reader.read("/x/container").memory_swap_bytes is None


@pytest.mark.parametrize("missing", ["cpuacct", "memory", "pids", "blkio"])
def test_a_missing_v1_controller_leaves_none(tmp_path: Path, missing: str) -> None:
    files = {name: text for name, text in V1_FILES.items() if not name.startswith(missing)}
    stats = write_v1(tmp_path, files).read("/x/container")
    values = {
        "cpuacct": (stats.cpu_total_ns, stats.cpu_user_ns, stats.cpu_system_ns),
        "memory": (stats.memory_usage_bytes, stats.memory_rss_bytes, stats.oom_kills, stats.page_faults),
        "pids": (stats.pids_current,),
        "blkio": (stats.block_devices,),
    }
    for controller, found in values.items():
        assert all(value is None for value in found) == (controller == missing)


def test_a_missing_v2_controller_leaves_none(tmp_path: Path) -> None:
    files = {name: text for name, text in V2_FILES.items() if not name.startswith(("memory", "io"))}
    stats = write_v2(tmp_path, files).read("/x/container")
    assert stats.cpu_total_ns == 123_000
    assert (stats.memory_usage_bytes, stats.oom_kills, stats.block_devices) == (None, None, None)


def test_only_the_groups_asked_for(tmp_path: Path) -> None:
    stats = write_v1(tmp_path, V1_FILES).read("/x/container", Groups.CPU | Groups.PIDS)
    assert stats.cpu_total_ns == 123456789
    assert stats.pids_current == 3
    assert stats.memory_usage_bytes is None
    assert stats.block_devices is None


def test_block_devices_are_summed(tmp_path: Path) -> None:
    total = write_v1(tmp_path, V1_FILES).read("/x/container").block_total()
    assert total == BlockDeviceStats("", 4608, 1024, 5, 2)


def test_no_input_or_output_yet_is_a_fact(tmp_path: Path) -> None:
    files = {**V1_FILES, "blkio/blkio.throttle.io_service_bytes_recursive": "Total 0\n"}
    assert write_v1(tmp_path, files).read("/x/container").block_devices == ()


def test_a_forgotten_cgroup_can_be_read_again(tmp_path: Path) -> None:
    reader = write_v1(tmp_path, V1_FILES)
    before = reader.read("/x/container")
    reader.forget("/x/container")
    reader.forget("/x/container")
    assert reader.read("/x/container") == before
