# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virsh about what a container uses: the numbers must be those of the kernel, and grow when it works."""

from collections.abc import Callable

import pytest

from tests.support.network import LinuxBridge, fetch
from tests.support.virtocid import Virtocid, bridge_device
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime

_WORK = ("/bin/sh", "-c", "while :; do :; done")


def pairs(text: str) -> dict[str, str]:
    """``name=value`` lines of domstats."""
    return dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)


def grows(read: Callable[[], float]) -> None:
    first = read()
    wait_until(lambda: read() > first, what="a number that grows")


@each_runtime
def test_cpu_time(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("busy", _WORK, runtime=runtime)

    def total() -> int:
        return int(pairs(virtocid.tell("domstats", "busy", "--cpu-total"))["cpu.time"])

    grows(total)
    lines = virtocid.tell("cpu-stats", "busy", "--total").splitlines()
    assert lines[0] == "Total:"
    assert {line.split()[0] for line in lines[1:]} == {"cpu_time", "user_time", "system_time"}
    assert float(lines[1].split()[1]) * 10**9 > 0
    assert float(virtocid.tell("dominfo", "busy").split("CPU time:")[1].split()[0].rstrip("s")) >= 0
    assert int(pairs(virtocid.tell("domstats", "busy", "--vcpu"))["vcpu.0.time"]) > 0
    virtocid.virsh("destroy", "busy")
    assert "cpu.time" not in virtocid.tell("domstats", "busy")


@each_runtime
def test_memory(virtocid: Virtocid, runtime: str) -> None:
    script = "dd if=/dev/zero of=/dev/shm/filled bs=1M count=20; echo filled; sleep 1000"
    virtocid.run("fat", ("/bin/sh", "-c", script), runtime=runtime)
    virtocid.wait_for_output("fat", "filled")
    stats = {name: int(value) for name, value in map(str.split, virtocid.tell("dommemstat", "fat").splitlines())}
    assert stats["actual"] == stats["available"] == 64 * 1024
    assert stats["unused"] <= 44 * 1024
    assert stats["unused"] <= stats["usable"] <= stats["available"]
    assert stats["minor_fault"] > 0
    bulk = pairs(virtocid.tell("domstats", "fat", "--balloon"))
    assert (bulk["balloon.current"], bulk["balloon.maximum"]) == ("65536", "65536")
    assert int(bulk["balloon.unused"]) <= 44 * 1024


def test_what_only_a_container_has(virtocid: Virtocid) -> None:
    """libvirt leaves the names of this group to the hypervisor."""
    virtocid.run(
        "few", ("/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait"), settings="<covirt:processes limit='50'/>"
    )
    wait_until(lambda: pairs(virtocid.tell("domstats", "few", "--vm"))["vm.pids.cur"] == "3", what="three processes")
    stats = {name: int(value) for name, value in pairs(virtocid.tell("domstats", "few", "--vm")).items()}
    assert stats["vm.pids.max"] == 50
    assert stats["vm.oom_kills.sum"] == 0
    assert {name.removeprefix("vm.") for name in stats} <= {
        "pids.cur", "pids.max", "oom_kills.sum",
        "read_bytes.sum", "write_bytes.sum", "read_requests.sum", "write_requests.sum",
    }  # fmt: skip
    virtocid.virsh("destroy", "few")
    assert pairs(virtocid.tell("domstats", "few", "--vm")) == {}


def test_network(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    """The container sends a lot and receives little, which also tells the two directions apart."""
    address = linux_bridge.guest_address(2)
    script = "dd if=/dev/zero of=/tmp/page bs=1k count=200; echo ready; exec httpd -f -p 80 -h /tmp"
    virtocid.run("web", ("/bin/sh", "-c", script), devices=bridge_device(linux_bridge.name, f"{address}/24"))
    assert len(fetch(f"http://{address}/page")) == 200 * 1024
    name, mac = (virtocid.tell("domiflist", "web").split()[column] for column in (0, 4))
    counters = {
        line.split()[1]: int(line.split()[2]) for line in virtocid.tell("domifstat", "web", name).splitlines()
    }
    assert counters["tx_bytes"] > 200 * 1024 > counters["rx_bytes"] > 0
    assert counters["tx_packets"] > 0
    assert counters["rx_errs"] == counters["tx_errs"] == 0
    bulk = pairs(virtocid.tell("domstats", "web", "--interface"))
    assert (bulk["net.count"], bulk["net.0.name"]) == ("1", name)
    assert int(bulk["net.0.tx.bytes"]) >= counters["tx_bytes"]
    assert int(bulk["net.0.rx.pkts"]) >= counters["rx_packets"]
    assert virtocid.tell("domifstat", "web", mac).startswith(mac)
    assert "has no interface 'eth9'" in virtocid.refusal("domifstat", "web", "eth9")


def test_block_numbers(virtocid: Virtocid) -> None:
    disk = f"<disk type='file' device='cdrom'><source file='{virtocid.image}'/><target dev='sda'/><readonly/></disk>"
    virtocid.run("web", image="", devices=disk)
    bulk = pairs(virtocid.tell("domstats", "web", "--block"))
    assert bulk["block.count"] == "1"
    assert bulk["block.0.name"] == "sda"
    assert int(bulk["block.0.capacity"]) == virtocid.image.stat().st_size
    assert "rd_req" in virtocid.tell("domblkstat", "web")


def test_domstats_of_all(virtocid: Virtocid) -> None:
    virtocid.run("one")
    virtocid.define("two")
    text = virtocid.tell("domstats")
    assert text.count("Domain:") == 2
    assert pairs(virtocid.tell("domstats", "two")) == {
        "state.state": "5",
        "state.reason": "0",
        "balloon.current": "65536",
        "balloon.maximum": "65536",
        "vcpu.current": "1",
        "vcpu.maximum": "1",
        "block.count": "0",
    }
    assert virtocid.tell("domstats", "--list-active").count("Domain:") == 1
    assert "not supported" in virtocid.refusal("domstats", "--perf", "--enforce")


@pytest.mark.parametrize("command", ["dommemstat", "cpu-stats", "domifaddr", "domcontrol"])
def test_numbers_of_a_domain_that_does_not_run(virtocid: Virtocid, command: str) -> None:
    virtocid.define("idle")
    assert "is not running" in virtocid.refusal(command, "idle")
