# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses: by DHCP from a real server, static, both and none; kept, renewed, given back, told by every source."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest

from covirt.common.process import run
from tests.support.dhcp import DhcpServer, renew, serve_dhcp
from tests.support.network import LinuxBridge, fetch, new_linux_bridge
from tests.support.traces import traces_of_runs
from tests.support.virtocid import STUBBORN, Virtocid, bridge_device
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime

MAC = "52:54:00:dc:00:01"
SECOND_MAC = "52:54:00:dc:00:02"
_SECONDS = 60.0
_NAME = f"<mac address='{MAC}'/><target dev='dhcp0'/>"
_SHOWS_FILES = ("/bin/sh", "-c", "trap 'exit 0' TERM; while :; do cat /etc/resolv.conf /etc/hosts; sleep 0.1; done")


@pytest.fixture
def dhcp(linux_bridge: LinuxBridge, open_dir: Path) -> Iterator[DhcpServer]:
    with serve_dhcp(linux_bridge, open_dir) as server:
        yield server


def inside(virtocid: Virtocid, *words: str, name: str = "web") -> Any:
    """What ``ip -json`` of the machine says in the container's network namespace."""
    uuid = virtocid.tell("domuuid", name)
    namespace = virtocid.root.run_dir / "virtocid/runs" / uuid / "bundle/namespaces/network"
    command = ["nsenter", f"--net={namespace}", "ip", "-json", *words]
    return json.loads(run(command, timeout_seconds=30).stdout or b"[]")


def addresses(virtocid: Virtocid, link: str = "eth0", *, name: str = "web") -> list[str]:
    """The IPv4 addresses of an interface inside."""
    facts = [each for each in inside(virtocid, "address", name=name) if each["ifname"] == link]
    return [f"{one['local']}/{one['prefixlen']}" for one in facts[0]["addr_info"] if one["family"] == "inet"]


def wait_for_address(virtocid: Virtocid, address: str, link: str = "eth0", *, name: str = "web") -> None:
    wait_until(
        lambda: address in addresses(virtocid, link, name=name), timeout_seconds=_SECONDS, what=f"{address} inside"
    )


def clients(virtocid: Virtocid) -> list[int]:
    """The DHCP clients of this daemon's containers; other tests, at the same time, have theirs."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            place = Path(f"/proc/{pid}/cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0] == b"udhcpc" and f"covirt-{virtocid.root.id}" in place:
            found.append(int(pid))
    return found


def client(virtocid: Virtocid) -> int:
    wait_until(lambda: len(clients(virtocid)) == 1, timeout_seconds=_SECONDS, what="one DHCP client")
    return clients(virtocid)[0]


def told(virtocid: Virtocid, *arguments: str, name: str = "web") -> list[list[str]]:
    return [line.split() for line in virtocid.tell("domifaddr", name, *arguments).splitlines()]


@each_runtime
def test_an_interface_without_an_address_asks_for_one(virtocid: Virtocid, dhcp: DhcpServer, runtime: str) -> None:
    virtocid.run("web", runtime=runtime, devices=bridge_device(dhcp.bridge.name, more=_NAME))
    address = f"{dhcp.wait_for('DHCPACK', MAC)}/24"
    wait_for_address(virtocid, address)
    wait_until(
        lambda: told(virtocid) == [["dhcp0", MAC, "ipv4", address]], timeout_seconds=_SECONDS, what="the lease told"
    )
    routes = inside(virtocid, "route", "show", "default")
    assert [(one["gateway"], one["protocol"], one["metric"]) for one in routes] == [
        (dhcp.bridge.address, "dhcp", 100)
    ]
    assert " web" in next(line for line in dhcp.log.splitlines() if "DHCPACK" in line)  # the name it gave
    virtocid.virsh("destroy", "web")
    assert dhcp.wait_for("DHCPRELEASE", MAC) == address.partition("/")[0]
    assert clients(virtocid) == []
    assert traces_of_runs(virtocid.root) == []


def test_the_client_may_do_little(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    """It reads what strangers send: it is nobody, sees no file but programs, and can write nowhere."""
    virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
    dhcp.wait_for("DHCPACK", MAC)
    pid = client(virtocid)
    status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    uids = set(status["Uid"].split())
    assert len(uids) == 1
    assert int(uids.pop()) > 65_535
    assert status["NoNewPrivs"] == "1"
    assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {f"{1 << 13 | 1 << 10:016x}"}
    assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
    mounts = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    places = {words[4] for words in mounts}
    assert {"/", "/usr", "/proc", "/dev/null"} <= places
    assert places <= {"/", "/usr", "/proc", "/dev/null", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
    assert all("ro" in words[5].split(",") for words in mounts)
    own = {line.partition("\t")[0] for line in Path(f"/proc/{pid}/cgroup").read_text().split() if "covirt" in line}
    assert own
    assert all(line.endswith("/supervisor") for line in own)


def test_the_lease_outlives_the_daemon(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
    address = f"{dhcp.wait_for('DHCPACK', MAC)}/24"
    wait_for_address(virtocid, address)
    pid = client(virtocid)
    virtocid.kill()
    renew(pid)  # nobody of ours is there, and it is renewed
    assert dhcp.wait_for("DHCPACK", MAC, times=2) == address.partition("/")[0]
    virtocid.start()
    assert clients(virtocid) == [pid]
    assert addresses(virtocid) == [address]
    assert told(virtocid) == [["dhcp0", MAC, "ipv4", address]]
    assert dhcp.log.count("DHCPDISCOVER") == 1
    virtocid.virsh("destroy", "web")
    dhcp.wait_for("DHCPRELEASE", MAC)
    assert clients(virtocid) == []


def test_a_lease_that_came_while_the_daemon_was_dead(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    dhcp.pause()
    virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
    client(virtocid)
    virtocid.kill()
    dhcp.resume()
    address = f"{dhcp.wait_for('DHCPACK', MAC)}/24"
    virtocid.start()
    wait_for_address(virtocid, address)


def test_killed_with_a_container_that_ends_meanwhile(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    """The next daemon cleans up, and gives the lease back."""
    virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
    wait_for_address(virtocid, f"{dhcp.wait_for('DHCPACK', MAC)}/24")
    uuid = virtocid.tell("domuuid", "web")
    pid = int((virtocid.root.run_dir / "virtocid/runs" / uuid / "monitor/pid").read_text())
    virtocid.kill()
    os.kill(pid, signal.SIGKILL)
    virtocid.start()
    virtocid.wait_for_state("web", "shut off (crashed)")
    dhcp.wait_for("DHCPRELEASE", MAC)
    assert clients(virtocid) == []
    assert traces_of_runs(virtocid.root) == []


@pytest.mark.parametrize("by_surprise", [True, False])
def test_a_client_that_ends_is_followed_by_another(
    virtocid: Virtocid, dhcp: DhcpServer, *, by_surprise: bool
) -> None:
    """Also when it was asked to end, as systemd does when it stops the scope, and gave its lease back."""
    virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
    address = dhcp.wait_for("DHCPACK", MAC)
    wait_for_address(virtocid, f"{address}/24")
    number = signal.SIGKILL if by_surprise else signal.SIGTERM
    os.kill(client(virtocid), number)
    wait_until(
        lambda: addresses(virtocid) != [f"{address}/24"] or len(dhcp.heard("DHCPACK", MAC)) > 1,
        timeout_seconds=_SECONDS,
        what="another client",
    )
    assert addresses(virtocid) == [f"{address}/24"]  # all the time
    assert dhcp.heard("DHCPACK", MAC)[1:] == [address]


def test_reboot_keeps_the_address_and_gives_nothing_back(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
    address = dhcp.wait_for("DHCPACK", MAC)
    wait_for_address(virtocid, f"{address}/24")
    virtocid.virsh("reset", "web")
    assert dhcp.wait_for("DHCPACK", MAC, times=2) == address
    wait_for_address(virtocid, f"{address}/24")
    assert "DHCPRELEASE" not in dhcp.log


def test_without_a_server(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.run("web", devices=bridge_device(linux_bridge.name, more=_NAME))
    client(virtocid)
    assert addresses(virtocid) == []
    assert told(virtocid) == [["dhcp0", MAC, "N/A", "N/A"]]
    virtocid.virsh("shutdown", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")
    assert clients(virtocid) == []
    assert traces_of_runs(virtocid.root) == []


def test_an_end_waits_for_no_server(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    """The server answers nothing any more, not even ARP; the lease is given back to nobody, and the run is over."""
    virtocid.run("web", STUBBORN, devices=bridge_device(dhcp.bridge.name, more=_NAME))
    wait_for_address(virtocid, f"{dhcp.wait_for('DHCPACK', MAC)}/24")
    run(["ip", "link", "set", dhcp.bridge.name, "down"], timeout_seconds=10)
    virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"
    assert clients(virtocid) == []
    assert traces_of_runs(virtocid.root) == []


def test_names_reach_the_container(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    """resolv.conf and hosts are written anew in place: the running container sees them."""
    virtocid.run("web", _SHOWS_FILES, devices=bridge_device(dhcp.bridge.name, more=_NAME))
    address = dhcp.wait_for("DHCPACK", MAC)
    virtocid.wait_for_output("web", f"nameserver {dhcp.bridge.address}")
    virtocid.wait_for_output("web", "search test.example")
    virtocid.wait_for_output("web", f"{address} web")


def test_names_of_the_definition_count_more(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    settings = (
        "<covirt:hostname>shop.example.org</covirt:hostname><covirt:dns><covirt:nameserver address='192.0.2.53'/>"
    )
    settings += "<covirt:search domain='example.org'/><covirt:option name='ndots:2'/></covirt:dns>"
    device = bridge_device(dhcp.bridge.name, more=_NAME)
    virtocid.run("web", _SHOWS_FILES, settings=settings, devices=device)
    address = dhcp.wait_for("DHCPACK", MAC)
    virtocid.wait_for_output("web", f"{address} shop.example.org shop")
    log = virtocid.console_log("web")
    assert "nameserver 192.0.2.53" in log
    assert f"nameserver {dhcp.bridge.address}" not in log
    assert "test.example" not in log


def test_static_and_leased_together(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    settings = f"<covirt:interface mac='{MAC}' dhcp='yes'/>"
    static = f"{dhcp.bridge.guest_address(5)}/24"
    virtocid.run("web", settings=settings, devices=bridge_device(dhcp.bridge.name, static, more=_NAME))
    leased = f"{dhcp.wait_for('DHCPACK', MAC)}/24"
    wait_for_address(virtocid, leased)
    assert set(addresses(virtocid)) == {static, leased}
    assert {words[3] for words in told(virtocid, "--full")} == {static, leased}
    assert fetchable(virtocid, static)


def fetchable(virtocid: Virtocid, address: str) -> bool:
    """Whether the host reaches the container at an address, past the spoof filter."""
    run(["ip", "neigh", "flush", "all"], timeout_seconds=10)
    words = ["busybox", "ping", "-c", "3", "-W", "2", address.partition("/")[0]]
    return run(words, timeout_seconds=30, check=False).status == 0


def test_dhcp_that_is_not_wanted(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    virtocid.run("web", settings="<covirt:interface dhcp='no'/>", devices=bridge_device(dhcp.bridge.name, more=_NAME))
    virtocid.run("static", devices=bridge_device(dhcp.bridge.name, f"{dhcp.bridge.guest_address(5)}/24"))
    virtocid.run("other", devices=bridge_device(dhcp.bridge.name, more=f"<mac address='{SECOND_MAC}'/>"))
    dhcp.wait_for("DHCPACK", SECOND_MAC)  # whoever asks, asks at once: the others would have been heard
    assert len(clients(virtocid)) == 1
    assert MAC not in dhcp.log
    assert addresses(virtocid) == []


def test_several_interfaces(virtocid: Virtocid, dhcp: DhcpServer, open_dir: Path) -> None:
    """Each gets its own address; the first one's gateway wins, and one whose gateway is unwanted gives none."""
    third_mac = "52:54:00:dc:00:03"
    with new_linux_bridge() as second, new_linux_bridge() as third:
        routes = "--dhcp-option=121,198.51.100.0/24,{0},0.0.0.0/0,{0}".format(third.guest_address(9))
        with serve_dhcp(second, open_dir) as other, serve_dhcp(third, open_dir, routes) as storage:
            devices = bridge_device(dhcp.bridge.name, more=_NAME)
            devices += bridge_device(second.name, more=f"<mac address='{SECOND_MAC}'/>")
            devices += bridge_device(third.name, more=f"<mac address='{third_mac}'/>")
            settings = f"<covirt:interface mac='{third_mac}' gateway='no'/>"
            virtocid.run("web", settings=settings, devices=devices)
            wait_for_address(virtocid, f"{dhcp.wait_for('DHCPACK', MAC)}/24")
            wait_for_address(virtocid, f"{other.wait_for('DHCPACK', SECOND_MAC)}/24", "eth1")
            wait_for_address(virtocid, f"{storage.wait_for('DHCPACK', third_mac)}/24", "eth2")
            wait_until(lambda: len(told(virtocid)) == 3, timeout_seconds=_SECONDS)
            wait_until(
                lambda: all(words[2] == "ipv4" for words in told(virtocid)), timeout_seconds=_SECONDS, what="leases"
            )
            found = inside(virtocid, "route")
            defaults = [(one["dev"], one["metric"]) for one in found if one["dst"] == "default"]
            assert sorted(defaults) == [("eth0", 100), ("eth1", 101)]
            assert [one["gateway"] for one in found if one["dst"] == "198.51.100.0/24"] == [third.guest_address(9)]
            assert fetch_route(virtocid) == "eth0"
            virtocid.virsh("destroy", "web")
            for server, mac in ((dhcp, MAC), (other, SECOND_MAC), (storage, third_mac)):
                server.wait_for("DHCPRELEASE", mac)


def fetch_route(virtocid: Virtocid) -> str:
    """The interface by which the container reaches the world."""
    return str(inside(virtocid, "route", "get", "203.0.113.1")[0]["dev"])


def test_mtu_of_the_server(virtocid: Virtocid, linux_bridge: LinuxBridge, open_dir: Path) -> None:
    with serve_dhcp(linux_bridge, open_dir, "--dhcp-option=26,1280") as server:
        virtocid.run("web", devices=bridge_device(linux_bridge.name, more=_NAME))
        virtocid.run(
            "own", devices=bridge_device(linux_bridge.name, more=f"<mac address='{SECOND_MAC}'/><mtu size='1400'/>")
        )
        wait_for_address(virtocid, f"{server.wait_for('DHCPACK', MAC)}/24")
        wait_for_address(virtocid, f"{server.wait_for('DHCPACK', SECOND_MAC)}/24", name="own")
        assert next(one["mtu"] for one in inside(virtocid, "link") if one["ifname"] == "eth0") == 1280
        assert next(one["mtu"] for one in inside(virtocid, "link", name="own") if one["ifname"] == "eth0") == 1400


def test_another_address_from_the_server_is_followed(
    virtocid: Virtocid, linux_bridge: LinuxBridge, open_dir: Path
) -> None:
    """The server forgets the lease and refuses to renew it; filter, address and hosts follow the new one."""
    with serve_dhcp(linux_bridge, open_dir) as server:
        virtocid.run("web", _SHOWS_FILES, devices=bridge_device(linux_bridge.name, more=_NAME))
        old = f"{server.wait_for('DHCPACK', MAC)}/24"
        wait_for_address(virtocid, old)
    with serve_dhcp(linux_bridge, open_dir, first=180) as server:
        renew(client(virtocid))
        server.wait_for("DHCPNAK", MAC)
        new = f"{server.wait_for('DHCPACK', MAC)}/24"
        assert new != old
        wait_for_address(virtocid, new)
        wait_until(lambda: addresses(virtocid) == [new], timeout_seconds=_SECONDS, what="the old address gone")
        wait_until(
            lambda: told(virtocid) == [["dhcp0", MAC, "ipv4", new]], timeout_seconds=_SECONDS, what="the new lease"
        )
        virtocid.wait_for_output("web", f"{new.partition('/')[0]} web")
        assert fetchable(virtocid, new)


class TestSpoofing:
    """With DHCP, what the server gave is all that a container may claim."""

    def claims(self, virtocid: Virtocid, bridge: LinuxBridge, address: str) -> bool:
        """Whether the host believes the container that this address is its own."""
        uuid = virtocid.tell("domuuid", "web")
        namespace = virtocid.root.run_dir / "virtocid/runs" / uuid / "bundle/namespaces/network"
        enter = ["nsenter", f"--net={namespace}"]
        run([*enter, "ip", "address", "add", f"{address}/24", "dev", "eth0"], timeout_seconds=10, check=False)
        run(["ip", "neigh", "flush", "all"], timeout_seconds=10)
        ping = [*enter, "busybox", "ping", "-c", "2", "-W", "1", "-I", address, bridge.address]
        return run(ping, timeout_seconds=20, check=False).status == 0

    def test_after_the_lease(self, virtocid: Virtocid, dhcp: DhcpServer) -> None:
        virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
        address = dhcp.wait_for("DHCPACK", MAC)
        wait_for_address(virtocid, f"{address}/24")
        assert fetchable(virtocid, address)
        assert not self.claims(virtocid, dhcp.bridge, dhcp.bridge.guest_address(77))
        virtocid.restart()
        assert fetchable(virtocid, address)
        assert not self.claims(virtocid, dhcp.bridge, dhcp.bridge.guest_address(77))

    def test_before_the_lease(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        virtocid.run("web", devices=bridge_device(linux_bridge.name, more=_NAME))
        assert not self.claims(virtocid, linux_bridge, linux_bridge.guest_address(77))

    def test_who_asks_nobody_may_choose(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        settings = "<covirt:interface dhcp='no'/>"
        virtocid.run("web", settings=settings, devices=bridge_device(linux_bridge.name, more=_NAME))
        assert self.claims(virtocid, linux_bridge, linux_bridge.guest_address(77))


def test_every_source(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=f"{_NAME}<guest dev='lan0'/>"))
    address = dhcp.wait_for("DHCPACK", MAC)
    wait_for_address(virtocid, f"{address}/24", "lan0")
    assert fetchable(virtocid, address)
    assert told(virtocid, "--source", "arp") == [["dhcp0", MAC, "ipv4", f"{address}/0"]]
    assert told(virtocid, "--source", "lease", "--interface", "dhcp0")[0][3] == f"{address}/24"
    agent = told(virtocid, "--source", "agent", "--full")
    assert ["lo", "00:00:00:00:00:00", "ipv4", "127.0.0.1/8"] in agent
    assert ["lan0", MAC, "ipv4", f"{address}/24"] in agent
    assert any(words[:3] == ["lan0", MAC, "ipv6"] and words[3].startswith("fe80::") for words in agent)
    with virtocid.connect() as connection:
        domain = connection.lookupByName("web")
        for source, name in (
            (libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, "dhcp0"),
            (libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, "lan0"),
            (libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, "dhcp0"),
        ):
            assert domain.interfaceAddresses(source)[name]["addrs"][0]["addr"] == address


def test_a_container_serves_at_its_leased_address(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    device = bridge_device(dhcp.bridge.name, more=_NAME)
    virtocid.run("web", ("/bin/httpd", "-f", "-h", "/www"), devices=device)
    address = dhcp.wait_for("DHCPACK", MAC)
    assert fetch(f"http://{address}/index.html") == b"hello from a container\n"


def test_interfaces_that_come_go_and_move(virtocid: Virtocid, dhcp: DhcpServer, open_dir: Path) -> None:
    """A hot-plugged interface asks, one that goes gives its lease back, one on another bridge asks there."""
    with new_linux_bridge() as second, serve_dhcp(second, open_dir, first=180) as other:
        virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
        wait_for_address(virtocid, f"{dhcp.wait_for('DHCPACK', MAC)}/24")
        device = bridge_device(dhcp.bridge.name, more=f"<mac address='{SECOND_MAC}'/>")
        with virtocid.xml_file(device) as path:
            virtocid.virsh("attach-device", "web", str(path), "--live")
        old = dhcp.wait_for("DHCPACK", SECOND_MAC)
        wait_for_address(virtocid, f"{old}/24", "eth1")
        with virtocid.xml_file(bridge_device(second.name, more=f"<mac address='{SECOND_MAC}'/>")) as path:
            virtocid.virsh("update-device", "web", str(path), "--live")
        new = other.wait_for("DHCPACK", SECOND_MAC)
        wait_until(
            lambda: addresses(virtocid, "eth1") == [f"{new}/24"],
            timeout_seconds=_SECONDS,
            what="the new address only",
        )
        assert fetchable(virtocid, new)
        virtocid.virsh("detach-interface", "web", "bridge", SECOND_MAC, "--live")
        other.wait_for("DHCPRELEASE", SECOND_MAC)
        assert len(clients(virtocid)) == 1
        assert len(told(virtocid)) == 1


def test_killed_while_an_address_is_exchanged(virtocid: Virtocid, dhcp: DhcpServer) -> None:
    """What may have been given is on record before it is given: the next daemon takes the old one away."""
    virtocid.run("web", devices=bridge_device(dhcp.bridge.name, more=_NAME))
    address, old = f"{dhcp.wait_for('DHCPACK', MAC)}/24", f"{dhcp.bridge.guest_address(77)}/24"
    wait_until(lambda: told(virtocid)[0][3] == address, timeout_seconds=_SECONDS, what="the lease told")
    uuid = virtocid.tell("domuuid", "web")
    virtocid.kill()
    record = virtocid.root.run_dir / "virtocid/runs" / uuid / "dhcp/dhcp0.json"
    record.write_text(json.dumps({"version": 1, "lease": None, "addresses": [old, address]}))
    namespace = record.parents[1] / "bundle/namespaces/network"
    run(["nsenter", f"--net={namespace}", "ip", "address", "add", old, "dev", "eth0"], timeout_seconds=10)
    virtocid.start()
    wait_until(lambda: addresses(virtocid) == [address], timeout_seconds=_SECONDS, what="the old address gone")
    wait_until(lambda: told(virtocid)[0][3] == address, timeout_seconds=_SECONDS, what="the lease told")


def test_router_advertisements_reach_the_container(
    virtocid: Virtocid, linux_bridge: LinuxBridge, open_dir: Path
) -> None:
    """IPv6 is the kernel's own affair inside, as it is in a machine."""
    run(["ip", "address", "add", "2001:db8:7::1/64", "dev", linux_bridge.name, "nodad"], timeout_seconds=10)
    options = ("--enable-ra", f"--dhcp-range=::,constructor:{linux_bridge.name},ra-only")
    with serve_dhcp(linux_bridge, open_dir, *options):
        virtocid.run("web", devices=bridge_device(linux_bridge.name, more=_NAME))
        wait_until(
            lambda: any(words[3].startswith("2001:db8:7:") for words in told(virtocid, "--source", "agent")),
            timeout_seconds=_SECONDS,
            what="an address by router advertisement",
        )
        assert inside(virtocid, "-6", "route", "show", "default")
