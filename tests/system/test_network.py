# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Containers on Linux bridges: they reach each other, may not pretend to be another, and leave nothing behind."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from covirt.common.errors import CommandFailed
from covirt.common.process import run
from tests.support.network import LinuxBridge, fetch, new_linux_bridge
from tests.support.traces import traces_of_runs
from tests.support.virtocid import Virtocid, bridge_device, domain_xml
from tests.support.xml_facts import fact
from tests.system.test_virsh_lifecycle import each_runtime

_SERVER = ("/bin/httpd", "-f", "-h", "/www")


def inside(virtocid: Virtocid, name: str, *command: str) -> str:
    """Run the machine's own program in the container's network namespace."""
    uuid = virtocid.tell("domuuid", name)
    namespace = virtocid.root.run_dir / "virtocid/runs" / uuid / "bundle/namespaces/network"
    return run(["nsenter", f"--net={namespace}", *command], timeout_seconds=30).stdout.decode()


def links(virtocid: Virtocid, name: str) -> dict[str, Any]:
    """The interfaces inside by name, as iproute2 tells them."""
    return {link["ifname"]: link for link in json.loads(inside(virtocid, name, "ip", "-json", "address"))}


@each_runtime
def test_two_containers_reach_each_other(virtocid: Virtocid, linux_bridge: LinuxBridge, runtime: str) -> None:
    first, second = linux_bridge.guest_address(2), linux_bridge.guest_address(3)
    virtocid.run("server", _SERVER, runtime=runtime, devices=bridge_device(linux_bridge.name, f"{first}/24"))
    assert fetch(f"http://{first}/index.html") == b"hello from a container\n"
    virtocid.run(
        "client",
        ("/bin/wget", "-O", "-", f"http://{first}/index.html"),
        runtime=runtime,
        devices=bridge_device(linux_bridge.name, f"{second}/24"),
    )
    virtocid.wait_for_output("client", "hello from a container")


def test_without_an_interface_there_is_only_loopback(virtocid: Virtocid) -> None:
    virtocid.run("alone", ("/bin/sh", "-c", "ip -o link | wc -l; ip -o link; sleep 1000"))
    virtocid.wait_for_output("alone", "lo:")
    assert set(links(virtocid, "alone")) == {"lo"}


def test_everything_that_is_said_of_an_interface(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    address, gateway = linux_bridge.guest_address(2), linux_bridge.address
    more = (
        "<mac address='52:54:00:12:34:56'/><target dev='shop0'/><guest dev='front'/><mtu size='1400'/>"
        f"<route address='0.0.0.0' prefix='0' gateway='{gateway}'/>"
        f"<route address='192.0.2.0' netmask='255.255.255.0' gateway='{linux_bridge.guest_address(9)}' metric='7'/>"
    )
    virtocid.run("web", devices=bridge_device(linux_bridge.name, f"{address}/24", "2001:db8::2/64", more=more))
    link = links(virtocid, "web")["front"]
    assert (link["address"], link["mtu"], link["operstate"]) == ("52:54:00:12:34:56", 1400, "UP")
    assert {(one["local"], one["prefixlen"]) for one in link["addr_info"] if one["scope"] == "global"} == {
        (address, 24),
        ("2001:db8::2", 64),
    }
    routes = json.loads(inside(virtocid, "web", "ip", "-json", "route"))
    assert {(one["dst"], one["gateway"], one.get("metric")) for one in routes if "gateway" in one} == {
        ("default", gateway, None),
        ("192.0.2.0/24", linux_bridge.guest_address(9), 7),
    }
    host = Path("/sys/class/net/shop0")
    assert (host / "mtu").read_text().strip() == "1400"
    assert os.readlink(host / "master").endswith(f"/{linux_bridge.name}")


def test_link_that_is_down(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    address = linux_bridge.guest_address(2)
    more = "<target dev='down0'/><link state='down'/>"
    virtocid.run("web", _SERVER, devices=bridge_device(linux_bridge.name, f"{address}/24", more=more))
    assert Path("/sys/class/net/down0/operstate").read_text().strip() != "up"
    assert links(virtocid, "web")["eth0"]["operstate"] != "UP"
    assert virtocid.tell("domif-getlink", "web", "down0") == "down0 down"


def test_generated_names_and_macs_differ_and_macs_stay(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    device = bridge_device(linux_bridge.name)
    for name in ("one", "two"):
        virtocid.run(name, devices=device + device)
    seen = [line.split() for name in ("one", "two") for line in virtocid.tell("domiflist", name).splitlines()]
    assert len({words[0] for words in seen}) == len({words[4] for words in seen}) == 4
    assert all(words[4].startswith("52:54:00:") for words in seen)
    virtocid.virsh("destroy", "one")
    virtocid.virsh("start", "one")
    again = [line.split()[4] for line in virtocid.tell("domiflist", "one").splitlines()]
    assert again == [words[4] for words in seen[:2]]


def test_a_network_of_the_container_is_not_the_hosts(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.run("web", devices=bridge_device(linux_bridge.name))
    assert linux_bridge.name not in links(virtocid, "web")
    assert linux_bridge.address not in inside(virtocid, "web", "ip", "address")


class TestSpoofing:
    """What a container may not say on the wire, sent with more rights than a container has."""

    def arrived(self, virtocid: Virtocid, bridge: LinuxBridge, *changes: str) -> bool:
        """Whether the host still hears the container after these changes of its interface."""
        for change in changes:
            inside(virtocid, "web", "ip", *change.split())
        run(["ip", "neigh", "flush", "all"], timeout_seconds=10)
        words = ["busybox", "ping", "-c", "2", "-W", "1", bridge.address]
        try:
            inside(virtocid, "web", *words)
        except CommandFailed:
            return False
        return True

    @pytest.fixture
    def web(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> Virtocid:
        device = bridge_device(linux_bridge.name, f"{linux_bridge.guest_address(2)}/24")
        virtocid.run("web", devices=device)
        return virtocid

    def test_as_given(self, web: Virtocid, linux_bridge: LinuxBridge) -> None:
        assert self.arrived(web, linux_bridge)

    def test_another_mac(self, web: Virtocid, linux_bridge: LinuxBridge) -> None:
        assert not self.arrived(
            web, linux_bridge, "link set eth0 down", "link set eth0 address 52:54:00:00:00:99", "link set eth0 up"
        )

    def test_another_address(self, web: Virtocid, linux_bridge: LinuxBridge) -> None:
        """It cannot make the host believe by ARP that a neighbour's address is its own."""
        own, other = linux_bridge.guest_address(2), linux_bridge.guest_address(77)
        assert not self.arrived(
            web, linux_bridge, f"address del {own}/24 dev eth0", f"address add {other}/24 dev eth0"
        )

    def test_filter_off_by_the_definition(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        device = bridge_device(linux_bridge.name, f"{linux_bridge.guest_address(2)}/24")
        virtocid.run("web", devices=device.replace("type='bridge'", "type='bridge' trustGuestRxFilters='yes'"))
        assert self.arrived(
            virtocid,
            linux_bridge,
            "link set eth0 down",
            "link set eth0 address 52:54:00:00:00:99",
            "link set eth0 up",
        )
        assert "The spoof filter is off" in virtocid.log

    def test_filter_holds_after_a_restart_of_the_daemon(self, web: Virtocid, linux_bridge: LinuxBridge) -> None:
        web.restart()
        assert self.arrived(web, linux_bridge)
        assert not self.arrived(
            web, linux_bridge, "link set eth0 down", "link set eth0 address 52:54:00:00:00:99", "link set eth0 up"
        )


def test_start_that_fails_half_way_leaves_nothing(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    """The first interface is plugged when the second finds no bridge; bridges may come after a definition."""
    virtocid.define("web", devices=bridge_device(linux_bridge.name) + bridge_device("nobridge0"))
    text = virtocid.refusal("start", "web")
    assert "nobridge0" in text
    assert linux_bridge.name in text  # those there are
    assert traces_of_runs(virtocid.root) == []
    assert virtocid.state("web") == "shut off (failed)"


def test_name_that_is_taken(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    device = bridge_device(linux_bridge.name, more="<target dev='same0'/>")
    virtocid.run("one", devices=device)
    with virtocid.xml_file(domain_xml("two", devices=device)) as path:
        assert "'same0' is used by domain 'one'" in virtocid.refusal("define", str(path))
    taken = device.replace("same0", "taken0")
    run(["ip", "link", "add", "taken0", "type", "bridge"], timeout_seconds=10)
    try:
        virtocid.define("three", devices=taken)
        assert "taken0" in virtocid.refusal("start", "three")
        assert Path("/sys/class/net/taken0").exists()  # it is not ours to remove
        assert Path("/sys/class/net/same0").exists()
    finally:
        run(["ip", "link", "delete", "taken0"], timeout_seconds=10)
    virtocid.virsh("start", "three")


def test_nothing_is_left_after_a_stop(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    with new_linux_bridge() as second:
        virtocid.run("web", devices=bridge_device(linux_bridge.name) + bridge_device(second.name))
        virtocid.virsh("destroy", "web")
        assert traces_of_runs(virtocid.root) == []


def test_bridge_that_went_away_while_it_ran(virtocid: Virtocid) -> None:
    with new_linux_bridge() as gone:
        virtocid.run("web", devices=bridge_device(gone.name))
    virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"
    assert traces_of_runs(virtocid.root) == []
    assert gone.name in virtocid.refusal("start", "web")


def test_live_xml_names_what_was_chosen(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.run("web", devices=bridge_device(linux_bridge.name))
    text = virtocid.tell("dumpxml", "web")
    name = fact(text, "devices/interface/target/@dev")
    assert Path("/sys/class/net", name).exists()
    assert fact(text, "devices/interface/mac/@address") == links(virtocid, "web")["eth0"]["address"]
