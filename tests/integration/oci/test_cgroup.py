# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits that hold and statistics that tell the truth, in this host's real cgroup trees."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.oci.cgroup import CgroupReader, Groups, read_network_counters
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.cgroup_tree import CgroupTree, SliceResources
from covirt.oci.monitor import log_tail
from covirt.oci.supervisor import PlainSupervisor
from tests.support.bundles import shell
from tests.support.containers import Containers, containers
from tests.support.waiting import wait_until

RUNTIMES = [pytest.param("runc", marks=pytest.mark.runc), pytest.param("crun", marks=pytest.mark.crun)]
MIB = 1 << 20


@pytest.fixture(params=RUNTIMES)
def made(request: pytest.FixtureRequest, open_dir: Path) -> Iterator[Containers]:
    with containers(request.param, open_dir, slice_name="covirt-cgroup-test") as made:
        yield made


@pytest.fixture
def supervisor() -> Iterator[PlainSupervisor]:
    supervisor = PlainSupervisor("tests", CgroupLayout.detect(), slice_name="covirt-supervisor-test")
    yield supervisor
    supervisor.remove()


def test_memory_that_is_used_is_shown(made: Containers) -> None:
    script = "busybox dd if=/dev/zero of=/dev/big bs=1M count=20 2>/dev/null; echo full; exec busybox sleep 1000"
    run = made.start("one", shell(script), resources={"memory": {"limit": 100 * MIB, "swap": 100 * MIB}})
    wait_until(lambda: bool(log_tail(run.paths, 1)), what="20 MiB written to a tmpfs")
    stats = CgroupReader(made.supervisor.layout).read(run.cgroup.container_path)
    assert stats.memory_limit_bytes == 100 * MIB
    assert stats.memory_usage_bytes is not None
    assert stats.memory_cache_bytes is not None
    assert 20 * MIB <= stats.memory_cache_bytes <= stats.memory_usage_bytes <= 100 * MIB
    assert stats.memory_rss_bytes is not None
    assert 0 < stats.memory_rss_bytes < 20 * MIB
    assert stats.page_faults is not None
    assert stats.page_faults > 0
    assert stats.oom_kills == 0
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(run)


def test_processor_time_grows_and_is_divided(made: Containers) -> None:
    run = made.start("one", shell("while :; do :; done"))
    reader = CgroupReader(made.supervisor.layout)

    def used_ns() -> int:
        return reader.read(run.cgroup.container_path, Groups.CPU).cpu_total_ns or 0

    wait_until(lambda: used_ns() > 200_000_000, what="200 ms of processor time")
    stats = reader.read(run.cgroup.container_path)
    assert stats.cpu_user_ns is not None
    assert stats.cpu_system_ns is not None
    assert stats.cpu_user_ns + stats.cpu_system_ns <= used_ns() + 50_000_000
    per_cpu = reader.cpu_per_cpu_ns(run.cgroup.container_path)
    if made.supervisor.layout.version == 1:
        assert per_cpu is not None
        assert len(per_cpu) >= os.cpu_count()  # type: ignore[operator]  # known on Linux
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(run)


def test_processes_are_counted_and_limited(made: Containers) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do busybox sleep 1000 & done; wait"
    run = made.start("one", shell(script), resources={"pids": {"limit": 6}})
    reader = CgroupReader(made.supervisor.layout)
    wait_until(lambda: "fork" in " ".join(line.text for line in log_tail(run.paths, 5)), what="a refused fork")
    stats = reader.read(run.cgroup.container_path, Groups.PIDS)
    assert stats.pids_limit == 6
    assert stats.pids_current is not None
    assert stats.pids_current <= 6
    assert made.wait(run).status != 0


def test_an_update_is_read_back(made: Containers) -> None:
    run = made.start("one", ("/bin/busybox", "sleep", "1000"), resources={"memory": {"limit": 64 * MIB}})
    reader = CgroupReader(made.supervisor.layout)
    made.runtime.update("one", {"memory": {"limit": 128 * MIB}, "pids": {"limit": 77}})
    stats = reader.read(run.cgroup.container_path)
    assert stats.memory_limit_bytes == 128 * MIB
    assert stats.pids_limit == 77
    made.runtime.kill("one", signal.SIGKILL)
    made.wait(run)


def test_a_cgroup_that_is_gone_gives_no_zeros(supervisor: PlainSupervisor) -> None:
    stats = CgroupReader(supervisor.layout).read("/covirt-supervisor-test/absent/container")
    assert stats.cpu_total_ns is None
    assert stats.memory_usage_bytes is None
    assert stats.pids_current is None
    assert stats.block_devices is None
    assert stats.block_total() is None


def test_the_slice_limits_all_runs_together(supervisor: PlainSupervisor) -> None:
    supervisor.limit_slice(SliceResources(memory_limit_bytes=256 * MIB, pids_limit=100, cpu_shares=512))
    run = supervisor.prepare("one")
    stats = CgroupReader(supervisor.layout).read(run.supervisor_path)
    if supervisor.layout.version == 1:
        assert stats.memory_limit_bytes == 256 * MIB
    assert CgroupReader(supervisor.layout).read("/covirt-supervisor-test").pids_limit == 100
    supervisor.limit_slice(SliceResources())
    assert CgroupReader(supervisor.layout).read("/covirt-supervisor-test").pids_limit is None


def test_a_place_is_made_found_and_removed(supervisor: PlainSupervisor) -> None:
    tree = CgroupTree(supervisor.layout)
    run = supervisor.prepare("one")
    assert tree.exists(run.supervisor_path)
    assert supervisor.leftovers() == ("one",)
    assert supervisor.adopt("one").container_path == run.container_path
    run.remove()
    run.remove()
    assert not tree.exists(run.path)
    assert supervisor.leftovers() == ()


def test_removal_ends_what_is_inside(made: Containers) -> None:
    run = made.start("one", shell("trap '' TERM; for i in 1 2 3; do busybox sleep 1000 & done; wait"))
    assert len(run.cgroup.processes()) >= 2
    run.cgroup.remove()
    assert run.cgroup.processes() == frozenset()
    # conmon was in the place too, so nobody could write an exit code.
    assert made.wait(run).supervisor_lost


def test_removal_beats_a_fork_bomb(made: Containers) -> None:
    run = made.start(
        "one", shell("bomb() { bomb & bomb; }; bomb; while :; do :; done"), resources={"pids": {"limit": 60}}
    )
    reader = CgroupReader(made.supervisor.layout)

    def count() -> int:
        return reader.read(run.cgroup.container_path, Groups.PIDS).pids_current or 0

    wait_until(lambda: count() > 20 or not made.no_end_seen(), what="the bomb has grown")
    run.cgroup.remove()
    assert run.cgroup.processes() == frozenset()
    made.wait(run)


def test_removal_ends_a_paused_container(made: Containers) -> None:
    run = made.start("one", ("/bin/busybox", "sleep", "1000"))
    made.runtime.pause("one")
    run.cgroup.remove()
    assert run.cgroup.processes() == frozenset()
    made.wait(run)


@pytest.mark.root
def test_network_counters_are_seen_from_inside() -> None:
    counters = read_network_counters(["lo", "absent"])
    assert set(counters) == {"lo"}
    # What loopback sends it receives.
    assert counters["lo"].rx_bytes == counters["lo"].tx_bytes
