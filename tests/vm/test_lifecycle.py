# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Containers of the installed daemon, from define to gone, by stock virsh."""

from pathlib import Path

import pytest

from tests.support.network import LinuxBridge
from tests.support.terminal import at_terminal
from tests.support.virtocid import SECONDS, SERVICE, bridge_device
from tests.support.waiting import wait_until
from tests.vm.installed import InstalledVirtocid, only_v2, output

each_runtime = pytest.mark.parametrize("runtime", ["runc", "crun"])


def stats(virtocid: InstalledVirtocid, name: str) -> dict[str, str]:
    lines = virtocid.tell("domstats", name).splitlines()[1:]
    return dict(line.strip().split("=", 1) for line in lines if "=" in line)


@each_runtime
def test_from_define_to_undefine(virtocid: InstalledVirtocid, runtime: str) -> None:
    virtocid.run("web", runtime=runtime)
    assert virtocid.state("web") == "running (booted)"
    virtocid.wait_for_output("web", "serving")
    virtocid.virsh("suspend", "web")
    assert virtocid.state("web") == "paused (user)"
    virtocid.virsh("resume", "web")
    virtocid.virsh("shutdown", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")
    virtocid.virsh("start", "web")
    virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"


@each_runtime
def test_numbers_of_cgroup_v2(virtocid: InstalledVirtocid, runtime: str) -> None:
    work = "dd if=/dev/zero of=/dev/shm/file bs=1M count=16; while :; do :; done"
    virtocid.run("busy", ("/bin/sh", "-c", work), runtime=runtime, memory_mib=128)
    wait_until(lambda: int(stats(virtocid, "busy").get("cpu.time", 0)) > 10**9, timeout_seconds=SECONDS)
    found = stats(virtocid, "busy")
    assert int(found["cpu.user"]) > 0
    assert int(found["balloon.current"]) == 128 * 1024
    assert 16 * 1024 < int(found["balloon.rss"]) + int(found.get("balloon.disk_caches", 0)) < 128 * 1024
    assert "actual 131072" in virtocid.tell("dommemstat", "busy")


@each_runtime
def test_network_over_a_bridge(virtocid: InstalledVirtocid, linux_bridge: LinuxBridge, runtime: str) -> None:
    address = linux_bridge.guest_address(5)
    virtocid.run("web", runtime=runtime, devices=bridge_device(linux_bridge.name, f"{address}/24"))
    assert f"{address}/24" in virtocid.tell("domifaddr", "web")
    output("busybox", "ping", "-c", "1", "-W", "20", address)
    interface = virtocid.tell("domiflist", "web").split()[0]
    assert interface in virtocid.tell("domstats", "--interface", "web")
    assert interface in output("nft", "list", "ruleset")


@each_runtime
def test_console(virtocid: InstalledVirtocid, runtime: str) -> None:
    virtocid.run("box", ("/bin/sh", "-i"), runtime=runtime)
    with at_terminal(["virsh", "-c", virtocid.uri, "console", "box"]) as terminal:
        terminal.wait_for("Escape character is ^]")
        terminal.wait_until_raw()
        terminal.type("echo $((6*7)); exit 3\r")
        terminal.wait_for("42")
        terminal.wait_for_end()
    virtocid.wait_for_state("box", "shut off (crashed)")


@each_runtime
def test_memory_limit_ends_it_with_cause_oom(virtocid: InstalledVirtocid, runtime: str) -> None:
    virtocid.run("eater", ("/bin/sh", "-c", "exec tail /dev/zero"), runtime=runtime, memory_mib=32)
    wait_until(lambda: virtocid.state("eater").startswith("shut off"), timeout_seconds=SECONDS)
    assert "cause=oom" in virtocid.journal()
    assert "oom" in virtocid.tell("metadata", "eater", "https://covirt.org/xmlns/stop-cause/1.0")


@each_runtime
def test_pids_limit(virtocid: InstalledVirtocid, runtime: str) -> None:
    bomb = "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); done; echo all"
    limit = "<covirt:processes limit='16'/>"
    virtocid.run("bomb", ("/bin/sh", "-c", f"{bomb}; sleep 1000"), runtime=runtime, settings=limit)
    virtocid.wait_for_output("bomb", "fork")


@only_v2
@each_runtime
def test_limits_are_where_they_belong(virtocid: InstalledVirtocid, runtime: str) -> None:
    tune = "<cputune><period>100000</period><quota>20000</quota><shares>512</shares></cputune>"
    virtocid.run("web", SERVICE, runtime=runtime, memory_mib=64, more=tune)
    group = container_group(virtocid, "web")
    assert (group / "memory.max").read_text().strip() == str(64 * 2**20)
    assert (group / "cpu.max").read_text().split() == ["20000", "100000"]
    assert (group / "pids.max").read_text().strip() == "2048"


def container_group(virtocid: InstalledVirtocid, name: str) -> Path:
    group = Path("/sys/fs/cgroup/machine.slice/machine-covirt.slice", virtocid.scope(name), "container")
    assert group.is_dir()
    return group
