# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""veth pairs between a container's network namespace and a Linux bridge."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.oci.interface import (
    VethRequest,
    free_host_name,
    linux_bridges,
    plug,
    set_link,
    unplug,
)
from covirt.oci.isolation_errors import (
    BadInterface,
    ForeignInterface,
    InterfaceFailed,
    InterfaceNameTaken,
    NoSuchBridge,
)
from tests.integration.oci.netns import ip_json, network_namespace
from tests.support.network import LinuxBridge
from tests.support.waiting import wait_until

MAC = "52:54:00:aa:bb:01"
OWNER = "abcdef:one-1"


@pytest.fixture
def namespace(open_dir: Path) -> Iterator[Path]:
    with network_namespace(open_dir / "ns") as path:
        yield path


def _request(bridge: LinuxBridge) -> VethRequest:
    return VethRequest(bridge=bridge.name, host_name="abcdef0", mac=MAC, owner=OWNER)


def _unplug(name: str) -> None:
    unplug(name, owner=OWNER, mac=MAC)


def _links() -> set[str]:
    return {link["ifname"] for link in ip_json("link")}


def test_everything_asked_for_is_configured(linux_bridge: LinuxBridge, namespace: Path) -> None:
    run(["ip", "link", "set", linux_bridge.name, "mtu", "1400"], timeout_seconds=10)
    before = ip_json("link", "show", linux_bridge.name)[0]["address"]
    request = replace(
        _request(linux_bridge),
        guest_name="lan0",
        addresses=(f"{linux_bridge.guest_address(5)}/24", "2001:db8::5/64"),
        routes=(("198.51.100.0/24", linux_bridge.guest_address(9)), ("2001:db8:1::/48", "2001:db8::9", 7)),
        gateway=linux_bridge.address,
    )
    plug(request, namespace)
    try:
        host_end = ip_json("-d", "link", "show", "abcdef0")[0]
        assert host_end["master"] == linux_bridge.name
        assert host_end["ifalias"] == "covirt:abcdef:one-1"
        assert host_end["address"] == "fe" + MAC[2:]
        assert ip_json("link", "show", linux_bridge.name)[0]["address"] in {before, host_end["address"]}
        guest = {link["ifname"]: link for link in ip_json("address", namespace=namespace)}
        assert guest["lan0"]["address"] == MAC
        assert guest["lan0"]["mtu"] == 1400
        assert "UP" in guest["lo"]["flags"]
        locals_ = {each["local"]: each for each in guest["lan0"]["addr_info"]}
        assert {linux_bridge.guest_address(5), "2001:db8::5"} <= set(locals_)
        assert "tentative" not in locals_["2001:db8::5"]
        routes = {route["dst"]: route for route in ip_json("route", namespace=namespace)}
        assert routes["default"]["gateway"] == linux_bridge.address
        assert routes["198.51.100.0/24"]["gateway"] == linux_bridge.guest_address(9)
        routes6 = {route["dst"]: route for route in ip_json("-6", "route", namespace=namespace)}
        assert routes6["2001:db8:1::/48"]["metric"] == 7
        ping = ["nsenter", f"--net={namespace}", "busybox", "ping", "-c1", "-W5", linux_bridge.address]
        assert b"1 packets received" in run(ping, timeout_seconds=20).stdout
    finally:
        _unplug("abcdef0")
    _unplug("abcdef0")
    assert "abcdef0" not in _links()
    assert {link["ifname"] for link in ip_json("link", namespace=namespace)} == {"lo"}


def test_several_interfaces_and_a_given_mtu(linux_bridge: LinuxBridge, namespace: Path) -> None:
    for number in range(2):
        request = replace(
            _request(linux_bridge),
            host_name=f"abcdef{number}",
            guest_name=f"eth{number}",
            mac=f"52:54:00:aa:bb:0{number}",
            mtu=1300,
        )
        plug(request, namespace)
    mtus = {link["ifname"]: link["mtu"] for link in ip_json("link", namespace=namespace)}
    assert (mtus["eth0"], mtus["eth1"]) == (1300, 1300)
    assert free_host_name("abcdef") == "abcdef2"
    assert free_host_name("abcdef", frozenset({"abcdef2"})) == "abcdef3"
    for number in range(2):
        unplug(f"abcdef{number}", owner=OWNER, mac=f"52:54:00:aa:bb:0{number}")


def test_the_link_can_be_down_and_comes_up(linux_bridge: LinuxBridge, namespace: Path) -> None:
    def carrier() -> bool:
        flags = ip_json("link", "show", "eth0", namespace=namespace)[0]["flags"]
        return "LOWER_UP" in flags

    plug(replace(_request(linux_bridge), link_up=False), namespace)
    assert not carrier()
    set_link("abcdef0", up=True)
    wait_until(carrier, what="the carrier")
    set_link("abcdef0", up=False)
    wait_until(lambda: not carrier(), what="the carrier to go")
    _unplug("abcdef0")
    with pytest.raises(InterfaceFailed, match="no such interface"):
        set_link("abcdef0", up=True)


def test_the_end_of_the_namespace_is_the_end_of_the_pair(linux_bridge: LinuxBridge, open_dir: Path) -> None:
    with network_namespace(open_dir / "ns") as path:
        plug(_request(linux_bridge), path)
    wait_until(lambda: "abcdef0" not in _links(), what="the host end to go")
    _unplug("abcdef0")


def test_an_unknown_bridge_is_named_with_those_there_are(linux_bridge: LinuxBridge, namespace: Path) -> None:
    assert linux_bridge.name in linux_bridges()
    for name in ("absent0", "lo"):
        with pytest.raises(NoSuchBridge, match=f"{name}.*{linux_bridge.name}"):
            plug(replace(_request(linux_bridge), bridge=name), namespace)


def test_a_taken_name_is_told_apart(linux_bridge: LinuxBridge, namespace: Path) -> None:
    plug(_request(linux_bridge), namespace)
    try:
        with pytest.raises(InterfaceNameTaken, match="'abcdef0' exists already on this host"):
            plug(replace(_request(linux_bridge), guest_name="eth1"), namespace)
        with pytest.raises(InterfaceNameTaken, match="'eth0' exists already in the container"):
            plug(replace(_request(linux_bridge), host_name="abcdef1"), namespace)
        assert "abcdef0" in _links()
        assert "abcdef1" not in _links()
    finally:
        _unplug("abcdef0")


@pytest.mark.parametrize(
    "change",
    [
        {"routes": (("198.51.100.0/24", "203.0.113.1"),)},
        {"gateway": "203.0.113.1"},
        {"addresses": ("10.0.0.1/24", "10.0.0.1/24")},
    ],
)
def test_a_step_that_fails_leaves_nothing(
    linux_bridge: LinuxBridge, namespace: Path, change: dict[str, object]
) -> None:
    with pytest.raises(InterfaceFailed):
        plug(replace(_request(linux_bridge), **change), namespace)  # type: ignore[arg-type]  # fields by name
    assert "abcdef0" not in _links()
    assert {link["ifname"] for link in ip_json("link", namespace=namespace)} == {"lo"}


@pytest.mark.parametrize("owner", ["ghijkl:one-1", "abcdef:two-1", "abcdef:one-11"])
def test_an_interface_of_another_container_is_left_alone(
    linux_bridge: LinuxBridge, namespace: Path, owner: str
) -> None:
    plug(_request(linux_bridge), namespace)
    with pytest.raises(ForeignInterface):
        unplug("abcdef0", owner=owner, mac=MAC)
    assert "abcdef0" in _links()
    _unplug("abcdef0")


def test_an_interface_whose_making_was_cut_short_is_known_by_its_address(
    linux_bridge: LinuxBridge, namespace: Path
) -> None:
    plug(_request(linux_bridge), namespace)
    run(["ip", "link", "set", "abcdef0", "alias", ""], timeout_seconds=10)
    with pytest.raises(ForeignInterface):
        unplug("abcdef0", owner=OWNER, mac="52:54:00:aa:bb:02")
    _unplug("abcdef0")
    assert "abcdef0" not in _links()


def test_an_interface_of_somebody_else_is_left_alone(linux_bridge: LinuxBridge) -> None:
    run(["ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1"], timeout_seconds=10)
    try:
        for name in ("other0", linux_bridge.name):
            with pytest.raises(ForeignInterface):
                unplug(name, owner=OWNER, mac=MAC)
        assert {"other0", linux_bridge.name} <= _links()
    finally:
        run(["ip", "link", "delete", "other0"], timeout_seconds=10)


@pytest.mark.parametrize(
    "change",
    [
        {"host_name": "a" * 16},
        {"host_name": "a/b"},
        {"host_name": ".."},
        {"guest_name": "lo"},
        {"mac": "52:54:00:aa:bb"},
        {"mac": "53:54:00:aa:bb:01"},
        {"mtu": 10},
        {"addresses": ("10.0.0.300/24",)},
        {"routes": (("everywhere", "10.0.0.1"),)},
        {"gateway": "router"},
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(
    linux_bridge: LinuxBridge, namespace: Path, change: dict[str, object]
) -> None:
    with pytest.raises(BadInterface):
        plug(replace(_request(linux_bridge), **change), namespace)  # type: ignore[arg-type]  # fields by name
