# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The installed daemon and systemd: scopes, machines, slices, restarts."""

from pathlib import Path

import pytest

from tests.support.virtocid import SECONDS, SERVICE
from tests.support.waiting import wait_until
from tests.vm.installed import InstalledVirtocid, only_v2, output, systemctl, unit_property

each_runtime = pytest.mark.parametrize("runtime", ["runc", "crun"])
# Ends with a status of its own when it is asked to.
ENDS_WITH_7 = ("/bin/sh", "-c", "trap 'exit 7' TERM; echo serving; while :; do sleep 1000 & wait; done")


def container_pid(virtocid: InstalledVirtocid, name: str) -> int:
    uuid = virtocid.tell("domuuid", name)
    return int((virtocid.root.run_dir / "virtocid/runs" / uuid / "monitor/pid").read_text())


def group_of(pid: int) -> str:
    """Its cgroup: the only one, or that of a v1 tree that counts."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    trees = {controllers: path for _, controllers, path in lines}
    return trees.get("pids", trees[""])


@each_runtime
def test_container_and_monitor_are_in_their_own_leaves(virtocid: InstalledVirtocid, runtime: str) -> None:
    virtocid.run("web", runtime=runtime)
    place = f"/machine.slice/machine-covirt.slice/{virtocid.scope('web')}"
    pid = container_pid(virtocid, "web")
    monitor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert group_of(pid) == f"{place}/container"
    assert group_of(monitor) == f"{place}/supervisor"
    assert group_of(virtocid.pid) == "/system.slice/virtocid.service"


def test_machinectl_knows_it(virtocid: InstalledVirtocid) -> None:
    virtocid.run("web")
    machine = virtocid.scope("web").removesuffix(".scope")
    wait_until(lambda: machine in output("machinectl", "list", "--no-legend", "--full"), timeout_seconds=SECONDS)
    assert unit_property(virtocid.scope("web"), "ActiveState") == "active"
    status = output("machinectl", "show", machine)
    assert f"Leader={container_pid(virtocid, 'web')}" in status
    assert "Service=covirt" in status


@each_runtime
def test_stop_of_the_scope_is_told_as_it_was(virtocid: InstalledVirtocid, runtime: str) -> None:
    virtocid.run("web", ENDS_WITH_7, runtime=runtime)
    virtocid.wait_for_output("web", "serving")
    systemctl("stop", virtocid.scope("web"))
    wait_until(lambda: virtocid.state("web").startswith("shut off"), timeout_seconds=SECONDS)
    cause = virtocid.tell("metadata", "web", "https://covirt.org/xmlns/stop-cause/1.0")
    assert "7" in cause, cause
    assert virtocid.state("web") == "shut off (crashed)"


@each_runtime
def test_containers_outlive_the_daemon(virtocid: InstalledVirtocid, runtime: str) -> None:
    virtocid.run("web", SERVICE, runtime=runtime)
    virtocid.wait_for_output("web", "serving")
    pid, number = container_pid(virtocid, "web"), virtocid.tell("domid", "web")
    for interruption in (virtocid.restart, virtocid.kill):
        interruption()
        assert Path(f"/proc/{pid}").exists()
        assert virtocid.state("web").startswith("running")
        assert virtocid.tell("domid", "web") == number
    virtocid.virsh("shutdown", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")


def test_end_while_the_daemon_is_stopped(virtocid: InstalledVirtocid) -> None:
    virtocid.run("web", ENDS_WITH_7)
    virtocid.wait_for_output("web", "serving")
    pid, scope = container_pid(virtocid, "web"), virtocid.scope("web")
    systemctl("stop", "virtocid")
    assert Path(f"/proc/{pid}").exists()
    systemctl("stop", scope)
    virtocid.start()
    assert virtocid.state("web") == "shut off (crashed)"
    assert "7" in virtocid.tell("metadata", "web", "https://covirt.org/xmlns/stop-cause/1.0")


@only_v2
def test_slice_is_limited(virtocid: InstalledVirtocid) -> None:
    configuration = virtocid.root.config_dir / "virtocid.d/slice.toml"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    group = Path("/sys/fs/cgroup/machine.slice/machine-covirt.slice")
    virtocid.run("web")
    configuration.write_text("[slice]\nmemory_percent = 50\ncpu_percent = 50\npids_limit = 500\ncpu_shares = 512\n")
    try:
        virtocid.restart()
        bounded = limits(group)
        assert bounded["pids.max"] == "500"
        assert "max" not in bounded["memory.max"]
        assert "max" not in bounded["cpu.max"]
        assert virtocid.state("web") == "running (booted)"
    finally:
        configuration.unlink()
        virtocid.restart()
    free = limits(group)  # as the defaults have it
    assert int(free["memory.max"]) > int(bounded["memory.max"])
    assert free["cpu.max"].startswith("max ")
    assert int(free["pids.max"]) > 500
    assert free["cpu.weight"] == "100"


def limits(group: Path) -> dict[str, str]:
    return {name: (group / name).read_text().strip() for name in ("memory.max", "cpu.max", "pids.max", "cpu.weight")}


def test_daemon_says_stop_and_ready_to_systemd(virtocid: InstalledVirtocid) -> None:
    virtocid.restart()
    assert unit_property("virtocid", "Type") == "notify"
    assert unit_property("virtocid", "Result") == "success"
    assert unit_property("virtocid", "ExecMainStatus") == "0"


def test_apparmor_is_on(virtocid: InstalledVirtocid) -> None:
    """What Debian has switched on stays on, and containers run with it."""
    modules = Path("/sys/kernel/security/lsm")
    if not modules.exists() or "apparmor" not in modules.read_text():
        pytest.skip("this kernel runs without AppArmor")
    virtocid.run("web")
    assert Path(f"/proc/{container_pid(virtocid, 'web')}/attr/current").read_text().strip()
