# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of a running container, changed with stock virsh: in the kernel, in both of its XMLs, and felt inside."""

import os
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from tests.support.cgroup_files import cgroup_file, limit_files
from tests.support.hotplug import container_pid
from tests.support.listener import listening
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime

MIB = 1024 * 1024


def number(virtocid: Virtocid, xpath: str, *, inactive: bool) -> str | None:
    """The text or attribute at this place of one of the two XMLs."""
    text = virtocid.tell("dumpxml", "web", *(["--inactive"] if inactive else []))
    found = etree.fromstring(text).xpath(f"string({xpath})")
    return str(found) or None


def both(virtocid: Virtocid, xpath: str) -> tuple[str | None, str | None]:
    """The same place in the live XML and in that of the next start."""
    return number(virtocid, xpath, inactive=False), number(virtocid, xpath, inactive=True)


def lines(text: str) -> dict[str, str]:
    """What schedinfo, memtune and their kin print."""
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


# Each command, where its value stands in the XML, and the cgroup file (v1) that has it.
_CHANGES = {
    "setmem": (["setmem", "web", "96M"], "/domain/currentMemory", "98304", "memory.limit_in_bytes", str(96 * MIB)),
    "setvcpus": (["setvcpus", "web", "1"], "/domain/vcpu/@current", "1", "cpu.cfs_quota_us", "100000"),
    "vcpupin": (["vcpupin", "web", "0", "1"], "/domain/cputune/vcpupin[@vcpu='0']/@cpuset", "1", None, None),
    "shares": (["schedinfo", "web", "cpu_shares=300"], "/domain/cputune/shares", "300", "cpu.shares", "300"),
    "quota": (
        ["schedinfo", "web", "vcpu_quota=20000"], "/domain/cputune/quota", "20000", "cpu.cfs_quota_us", "20000",
    ),
    "global": (
        ["schedinfo", "web", "global_quota=30000"], "/domain/cputune/global_quota", "30000",
        "cpu.cfs_quota_us", "30000",
    ),
    "pids": (["schedinfo", "web", "pids_limit=77"], "//*[local-name()='processes']/@limit", "77", "pids.max", "77"),
    "memtune": (
        ["memtune", "web", "--hard-limit", "48M"], "/domain/memtune/hard_limit", "49152",
        "memory.limit_in_bytes", str(48 * MIB),
    ),
    "soft": (
        ["memtune", "web", "--soft-limit", "32M"], "/domain/memtune/soft_limit", "32768",
        "memory.soft_limit_in_bytes", str(32 * MIB),
    ),
    "swap": (
        ["memtune", "web", "--swap-hard-limit", "256M"], "/domain/memtune/swap_hard_limit", "262144",
        "memory.memsw.limit_in_bytes", str(256 * MIB),
    ),
    "weight": (["blkiotune", "web", "--weight", "200"], "/domain/blkiotune/weight", "200", "blkio.bfq.weight", "200"),
    "numatune": (["numatune", "web", "--nodeset", "0"], "/domain/numatune/memory/@nodeset", "0", "cpuset.mems", "0"),
}  # fmt: skip


def define(virtocid: Virtocid, *, runtime: str = "runc", more: str = "", **parts: str) -> None:
    virtocid.define("web", runtime=runtime, memory_mib=128, more=f"<vcpu>2</vcpu>{more}", **parts)  # type: ignore[arg-type]
    virtocid.virsh("setmem", "web", "64M", "--config")


def start(virtocid: Virtocid, *, runtime: str = "runc", more: str = "") -> None:
    define(virtocid, runtime=runtime, more=more)
    virtocid.virsh("start", "web")


@each_runtime
def test_every_limit_live_configured_and_both(virtocid: Virtocid, runtime: str) -> None:
    """One container for all of it: each change stands alone, so a runtime or kernel that resets others shows."""
    start(virtocid, runtime=runtime)
    files = limit_files(virtocid, "web")
    devices = files["devices.list"]
    expected = dict(files)
    for command, xpath, value, file, text in _CHANGES.values():
        before = number(virtocid, xpath, inactive=False)
        virtocid.virsh(*command, "--config")
        assert both(virtocid, xpath) == (before, value), command
        assert limit_files(virtocid, "web") == expected, command
        virtocid.virsh(*command, "--live")
        assert both(virtocid, xpath) == (value, value)
        now = limit_files(virtocid, "web")
        if file is not None and file in now:
            assert text is not None
            assert now[file].removeprefix("default ").split("\n")[0] == text, command
        expected = now
        virtocid.virsh(*command, "--live", "--config")
    assert limit_files(virtocid, "web")["devices.list"] == devices  # nothing let a device in
    live = limit_files(virtocid, "web")
    virtocid.restart()
    assert limit_files(virtocid, "web") == live
    for _, xpath, value, _, _ in _CHANGES.values():
        assert both(virtocid, xpath) == (value, value)
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert limit_files(virtocid, "web") == live


def test_memory_is_enforced(virtocid: Virtocid) -> None:
    """What is in use stays: a limit below it is refused, and nothing has changed."""
    fill = "dd if=/dev/zero of=/dev/shm/file bs=1M count=20 && echo filled; sleep 1000"
    virtocid.define("web", ("/bin/sh", "-c", fill), memory_mib=128)
    virtocid.virsh("setmem", "web", "64M", "--config")
    virtocid.virsh("start", "web")
    virtocid.wait_for_output("web", "filled")
    words = virtocid.refusal("setmem", "web", "16M", "--live")
    assert "more than the new limit of 16384 KiB" in words
    assert both(virtocid, "/domain/currentMemory") == ("65536", "65536")
    assert limit_files(virtocid, "web")["memory.limit_in_bytes"] == str(64 * MIB)
    assert limit_files(virtocid, "web")["memory.memsw.limit_in_bytes"] == str(64 * MIB)
    with listening(virtocid) as listener:
        virtocid.virsh("setmem", "web", "32M", "--live")
        assert listener.until("balloon web 32768")
    assert "Used memory:    32768 KiB" in virtocid.tell("dominfo", "web")
    assert "actual 32768" in virtocid.tell("dommemstat", "web")
    assert lines(virtocid.tell("memtune", "web", "--live"))["hard_limit"] == "32768"
    assert lines(virtocid.tell("memtune", "web", "--config"))["hard_limit"] == "unlimited"
    assert virtocid.state("web") == "running (booted)"
    virtocid.virsh("setmem", "web", "64M", "--live")
    assert limit_files(virtocid, "web")["memory.limit_in_bytes"] == str(64 * MIB)


def test_memory_beyond_a_new_limit_ends_a_process(virtocid: Virtocid) -> None:
    script = (
        "while [ ! -e /tmp/go ]; do sleep 0.05; done; "
        "dd if=/dev/zero of=/dev/null bs=48M count=1 && echo enough; echo tried; sleep 1000"
    )
    virtocid.run("web", ("/bin/sh", "-c", script), memory_mib=128)
    virtocid.virsh("setmem", "web", "24M", "--live")
    Path(f"/proc/{container_pid(virtocid, 'web')}/root/tmp/go").touch()
    virtocid.wait_for_output("web", "tried")
    assert "enough" not in virtocid.console_log("web")
    assert "vm.oom_kills.sum=1" in virtocid.tell("domstats", "web", "--vm")


def test_cpu_time_is_enforced(virtocid: Virtocid) -> None:
    """The kernel counts the periods in which the container was held back."""
    virtocid.run("web", ("/bin/sh", "-c", "while :; do :; done"), more="<vcpu>2</vcpu>")

    def throttled() -> int:
        return int(lines(cgroup_file(virtocid, "web", "cpu.stat").replace(" ", ":"))["nr_throttled"])

    assert throttled() == 0
    virtocid.virsh("schedinfo", "web", "--live", "vcpu_quota=5000")
    wait_until(lambda: throttled() >= 3, timeout_seconds=SECONDS, what="a container that is held back")


def test_processes_are_enforced(virtocid: Virtocid) -> None:
    script = (
        "while [ ! -e /tmp/go ]; do sleep 0.05; done; "
        "(for n in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done); echo tried; sleep 1000"
    )
    virtocid.run("web", ("/bin/sh", "-c", script))
    virtocid.virsh("schedinfo", "web", "--live", "pids_limit=6")
    Path(f"/proc/{container_pid(virtocid, 'web')}/root/tmp/go").touch()
    virtocid.wait_for_output("web", "fork")
    assert "vm.pids.max=6" in virtocid.tell("domstats", "web", "--vm")
    virtocid.virsh("schedinfo", "web", "--live", "pids_limit=0")
    assert "vm.pids.max=2048" in virtocid.tell("domstats", "web", "--vm")


def allowed(virtocid: Virtocid, what: str) -> str:
    status = Path(f"/proc/{container_pid(virtocid, 'web')}/status").read_text()
    return lines(status)[f"{what}_allowed_list"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this kernel has one CPU only")
def test_pinning_is_enforced(virtocid: Virtocid) -> None:
    virtocid.run("web", more="<vcpu>2</vcpu>")
    everywhere = allowed(virtocid, "Cpus")
    virtocid.virsh("vcpupin", "web", "0", "1", "--live")
    assert allowed(virtocid, "Cpus") == everywhere  # the other CPU is bound to nothing
    with listening(virtocid) as listener:
        virtocid.virsh("vcpupin", "web", "1", "1", "--live")
        assert listener.until("tunable web cputune.vcpupin1=1")
    assert allowed(virtocid, "Cpus") == "1"
    assert virtocid.tell("vcpupin", "web", "--live").split() == ["0", "1", "1", "1"]
    assert virtocid.tell("vcpupin", "web", "--config").split() == ["0", everywhere, "1", everywhere]
    assert virtocid.tell("vcpuinfo", "web").splitlines()[-1].split()[-1].startswith("-y")
    assert "no CPU 7" in virtocid.refusal("vcpupin", "web", "7", "0", "--live")
    virtocid.virsh("vcpupin", "web", "0", everywhere, "--live")
    assert allowed(virtocid, "Cpus") == everywhere
    assert number(virtocid, "/domain/cputune/vcpupin[@vcpu='0']/@cpuset", inactive=False) is None


def test_numa_nodes(virtocid: Virtocid) -> None:
    virtocid.run("web", more="<numatune><memory mode='strict' nodeset='0'/></numatune>")
    assert lines(virtocid.tell("numatune", "web")) == {"numa_mode": "strict", "numa_nodeset": "0"}
    assert allowed(virtocid, "Mems") == "0"
    assert "no NUMA node 60" in virtocid.refusal("numatune", "web", "--nodeset", "60", "--live")
    assert "does not prefer" in virtocid.refusal("numatune", "web", "--mode", "preferred", "--live")
    virtocid.virsh("numatune", "web", "--nodeset", "60", "--config")
    assert lines(virtocid.tell("numatune", "web", "--config"))["numa_nodeset"] == "60"
    virtocid.virsh("destroy", "web")
    assert "no NUMA node 60" in virtocid.refusal("start", "web")


def test_disks_are_throttled(virtocid: Virtocid) -> None:
    disk = next(path for path in (Path("/dev/vda"), Path("/dev/sda"), Path("/dev/loop0")) if path.exists())
    numbers = f"{os.major(disk.stat().st_rdev)}:{os.minor(disk.stat().st_rdev)}"
    virtocid.run("web")
    virtocid.virsh("blkiotune", "web", "--live", "--device-read-bytes-sec", f"{disk},1000000")
    virtocid.virsh("blkiotune", "web", "--live", "--config", "--device-write-iops-sec", f"{disk},50")
    files = limit_files(virtocid, "web")
    assert files["blkio.throttle.read_bps_device"] == f"{numbers} 1000000"
    assert files["blkio.throttle.write_iops_device"] == f"{numbers} 50"
    told = lines(virtocid.tell("blkiotune", "web", "--live"))
    assert told["device_read_bytes_sec"] == f"{disk},1000000"
    assert told["device_write_iops_sec"] == f"{disk},50"
    assert lines(virtocid.tell("blkiotune", "web", "--config"))["device_read_bytes_sec"] == ""
    virtocid.virsh("blkiotune", "web", "--live", "--device-read-bytes-sec", f"{disk},0")
    files = limit_files(virtocid, "web")
    assert files["blkio.throttle.read_bps_device"] == ""
    assert files["blkio.throttle.write_iops_device"] == f"{numbers} 50"
    refusal = virtocid.refusal("blkiotune", "web", "--live", "--device-read-bytes-sec", "/dev/null,5")
    assert "no block device" in refusal


def code(call: object, *arguments: object) -> int:
    assert callable(call)
    with pytest.raises(libvirt.libvirtError) as caught:
        call(*arguments)
    return int(caught.value.get_error_code())


def test_errors_are_libvirts(virtocid: Virtocid) -> None:
    define(virtocid)
    live, config, maximum = 1, 2, 4
    with virtocid.connect() as connection:
        domain = connection.lookupByName("web")
        for call, argument in (
            (domain.setMemoryFlags, 32768),
            (domain.setVcpusFlags, 1),
            (domain.setSchedulerParametersFlags, {"cpu_shares": 5}),
            (domain.setMemoryParameters, {"hard_limit": 65536}),
            (domain.setBlkioParameters, {"weight": 100}),
            (domain.setNumaParameters, {"numa_nodeset": "0"}),
        ):
            assert code(call, argument, live) == libvirt.VIR_ERR_OPERATION_INVALID, call
        assert code(domain.setMemory, 32768) == libvirt.VIR_ERR_OPERATION_INVALID
        assert code(domain.setMemoryFlags, 999999, config) == libvirt.VIR_ERR_INVALID_ARG
        assert code(domain.setVcpusFlags, 3, config) == libvirt.VIR_ERR_INVALID_ARG
        assert code(domain.setSchedulerParametersFlags, {"vcpu_period": 5}, config) == libvirt.VIR_ERR_INVALID_ARG
        domain.setMemoryFlags(256 * 1024, maximum | config)
        domain.setVcpusFlags(3, maximum | config)
        assert (domain.maxMemory(), domain.maxVcpus()) == (256 * 1024, 3)
        domain.create()
        assert code(domain.setMaxMemory, 512 * 1024) == libvirt.VIR_ERR_OPERATION_INVALID
        assert code(domain.setMemoryFlags, 512 * 1024, maximum | live) == libvirt.VIR_ERR_OPERATION_INVALID
        assert code(domain.setVcpusFlags, 1, 8) == libvirt.VIR_ERR_NO_SUPPORT
        domain.undefine()
        assert code(domain.setMemoryFlags, 32768, config) == libvirt.VIR_ERR_OPERATION_INVALID
        domain.setMemoryFlags(32768, live)
        domain.destroy()


def test_as_vdsm_calls_it(virtocid: Virtocid) -> None:
    start(virtocid)
    with virtocid.connect() as connection, listening(virtocid, readonly=True) as listener:
        domain = connection.lookupByName("web")
        domain.setSchedulerParameters({"vcpu_quota": 12500, "vcpu_period": 25000})
        told = domain.schedulerParameters()
        assert (told["vcpu_quota"], told["vcpu_period"]) == (12500, 25000)
        assert listener.until("tunable web cputune.vcpu_period=25000,cputune.vcpu_quota=12500")
        files = limit_files(virtocid, "web")
        assert (files["cpu.cfs_period_us"], files["cpu.cfs_quota_us"]) == ("25000", "25000")
        domain.setVcpusFlags(1, 0)
        assert limit_files(virtocid, "web")["cpu.cfs_quota_us"] == "12500"
        domain.setSchedulerParameters({"vcpu_quota": -1, "vcpu_period": 100000})
        assert domain.schedulerParameters()["vcpu_quota"] == -1
        assert limit_files(virtocid, "web")["cpu.cfs_quota_us"] == "-1"
        domain.pinVcpu(0, (True, False))
        assert allowed(virtocid, "Cpus") == "0"
        domain.setMemory(32 * 1024)
        assert domain.info()[2] == 32 * 1024


def test_single_cpus(virtocid: Virtocid) -> None:
    start(virtocid)
    virtocid.virsh("setvcpu", "web", "1", "--disable", "--live")
    assert virtocid.tell("vcpucount", "web", "--current", "--live") == "1"
    assert "no gap" in virtocid.refusal("setvcpu", "web", "0", "--disable", "--config")
    virtocid.virsh("setvcpu", "web", "1", "--enable", "--live")
    assert virtocid.tell("vcpucount", "web", "--current", "--live") == "2"


def test_a_paused_container_stays_paused(virtocid: Virtocid) -> None:
    start(virtocid)
    virtocid.virsh("suspend", "web")
    virtocid.virsh("schedinfo", "web", "cpu_shares=77", "pids_limit=50", "--live")
    virtocid.virsh("setmem", "web", "32M", "--live")
    assert virtocid.state("web") == "paused (user)"
    assert limit_files(virtocid, "web")["freezer.state"] == "FROZEN"
    virtocid.virsh("resume", "web")
    assert limit_files(virtocid, "web")["cpu.shares"] == "77"


def test_readonly_clients_change_nothing(virtocid: Virtocid) -> None:
    start(virtocid)
    before = limit_files(virtocid, "web")
    for command, *_ in _CHANGES.values():
        assert "read only" in virtocid.refusal(*command, "--live", readonly=True), command
    assert limit_files(virtocid, "web") == before
