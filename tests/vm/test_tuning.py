# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of a running container on cgroup v2, changed with stock virsh: in the kernel's files, and felt."""

from pathlib import Path

import pytest

from tests.support.virtocid import SECONDS
from tests.support.waiting import wait_until
from tests.vm.installed import InstalledVirtocid, only_v2
from tests.vm.test_lifecycle import each_runtime

MIB = 1024 * 1024


def place(virtocid: InstalledVirtocid, name: str) -> Path:
    uuid = virtocid.tell("domuuid", name)
    return next(Path("/sys/fs/cgroup").glob(f"machine.slice/**/*{uuid}*.scope/container"))


def content(directory: Path, *names: str) -> list[str]:
    return [(directory / name).read_text().strip() for name in names]


@only_v2
@each_runtime
def test_every_limit(virtocid: InstalledVirtocid, runtime: str) -> None:
    virtocid.run("web", runtime=runtime, memory_mib=128)
    directory = place(virtocid, "web")
    virtocid.virsh("setmem", "web", "64M", "--live", "--config")
    virtocid.virsh("memtune", "web", "--soft-limit", "32M", "--swap-hard-limit", "96M", "--live")
    virtocid.virsh(
        "schedinfo", "web", "--live", "cpu_shares=512", "vcpu_period=50000", "vcpu_quota=20000", "pids_limit=77"
    )
    virtocid.virsh("vcpupin", "web", "0", "0", "--live")
    virtocid.virsh("numatune", "web", "--nodeset", "0", "--live")
    virtocid.virsh("blkiotune", "web", "--live", "--device-read-bytes-sec", "/dev/vda,1000000")
    files = ("memory.max", "memory.low", "memory.swap.max", "memory.high", "cpu.weight", "cpu.max", "pids.max")
    assert content(directory, *files) == [
        str(64 * MIB), str(32 * MIB), str(32 * MIB), "max", "20", "20000 50000", "77",
    ]  # fmt: skip
    assert content(directory, "cpuset.cpus.effective", "cpuset.mems.effective") == ["0", "0"]
    assert "rbps=1000000" in (directory / "io.max").read_text()
    assert "cpu_shares     : 512" in virtocid.tell("schedinfo", "web", "--live")
    virtocid.virsh("blkiotune", "web", "--live", "--device-read-bytes-sec", "/dev/vda,0")
    virtocid.virsh("schedinfo", "web", "--live", "cpu_shares=0", "vcpu_period=0", "vcpu_quota=-1", "pids_limit=0")
    assert "rbps=1000000" not in (directory / "io.max").read_text()
    assert content(directory, "cpu.weight", "cpu.max", "pids.max") == ["100", "max 100000", "2048"]
    assert "Used memory:    65536 KiB" in virtocid.tell("dominfo", "web")


@only_v2
@pytest.mark.parametrize("script", ["dd if=/dev/zero of=/dev/shm/file bs=1M count=40"])
def test_memory_in_use_is_not_killed_for(virtocid: InstalledVirtocid, script: str) -> None:
    virtocid.run("web", ("/bin/sh", "-c", f"{script}; echo filled; sleep 1000"), memory_mib=128)
    virtocid.wait_for_output("web", "filled")
    directory = place(virtocid, "web")
    assert "more than the new limit of 24576 KiB" in virtocid.refusal("setmem", "web", "24M", "--live")
    assert content(directory, "memory.max", "memory.high") == [str(128 * MIB), "max"]
    assert virtocid.state("web") == "running (booted)"
    virtocid.virsh("setmem", "web", "64M", "--live")
    assert content(directory, "memory.max", "memory.high") == [str(64 * MIB), "max"]


@only_v2
def test_a_quota_is_felt(virtocid: InstalledVirtocid) -> None:
    virtocid.run("busy", ("/bin/sh", "-c", "while :; do :; done"))
    stat = place(virtocid, "busy") / "cpu.stat"

    def throttled() -> int:
        return next(int(line.split()[1]) for line in stat.read_text().splitlines() if line.startswith("nr_throttled"))

    before = throttled()
    virtocid.virsh("schedinfo", "busy", "--live", "vcpu_quota=5000")
    wait_until(lambda: throttled() > before + 2, timeout_seconds=SECONDS, what="a container that is held back")
