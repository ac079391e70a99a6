# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host's networks on real interfaces: made, confirmed or taken back, and there again after a kill and a reboot."""

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covirt.common.errors import Error
from covirt.common.process import PIPE, run, spawn
from covirt.common.root import Root
from covirt.host.network.config import NetworkHostConfig
from covirt.host.network.errors import (
    ConnectionLost,
    ForeignLink,
    GuestsOnNetwork,
    LinkChangeFailed,
    NetworkChangeRuns,
    NicInUse,
)
from covirt.host.network.model import NetworkChange, NetworkSpec
from covirt.host.network.networks import ChangeOptions, Networks
from covirt.host.network.store import NetworkStore
from tests.support.dhcp import serve_dhcp
from tests.support.far_side import FarSide, addresses, default_routes, ip_json, new_far_side
from tests.support.network import LinuxBridge
from tests.support.waiting import wait_until

AT_ONCE = ChangeOptions()
NET = "covlan"


@pytest.fixture
def far() -> Iterator[FarSide]:
    with new_far_side() as side:
        yield side


@pytest.fixture
def networks(root_dir: Root) -> Iterator[Networks]:
    part = Networks(root_dir, NetworkHostConfig())
    part.start()
    try:
        yield part
    finally:
        names = part.networks()
        part.change(NetworkChange(networks=dict.fromkeys(names)), AT_ONCE)
        part.stop()


def network(far: FarSide, **more: Any) -> NetworkSpec:
    return NetworkSpec(name=NET, nic=far.nic, address=f"{far.host_address()}/24", **more)


def change(*specs: NetworkSpec, remove: tuple[str, ...] = ()) -> NetworkChange:
    return NetworkChange(networks={**{spec.name: spec for spec in specs}, **dict.fromkeys(remove)})


def give_nic_an_address(far: FarSide) -> None:
    run(["ip", "address", "add", f"{far.host_address()}/24", "dev", far.nic], timeout_seconds=10)
    run(["ip", "route", "add", "default", "via", far.address], timeout_seconds=10)


def test_a_bridge_takes_over_what_its_nic_had(networks: Networks, far: FarSide) -> None:
    give_nic_an_address(far)
    networks.change(change(network(far, mtu=1400, gateway=far.address, default_route=True)), AT_ONCE)
    assert addresses(NET) == {f"{far.host_address()}/24"}
    assert addresses(far.nic) == set()
    assert default_routes() == {(far.address, NET)}
    assert far.reaches(far.host_address())
    nic, bridge = ip_json("link", "show", far.nic)[0], ip_json("-d", "link", "show", NET)[0]
    assert (nic["master"], nic["mtu"], bridge["mtu"]) == (NET, 1400, 1400)
    # Otherwise a guest with a lower address would change it.
    assert bridge["address"] == nic["address"]
    assert bridge["linkinfo"]["info_data"]["forward_delay"] == 0

    facts: Any = networks.capabilities()
    told = facts["networks"][NET]
    assert told["ports"] == [far.nic]
    assert (told["addr"], told["netmask"], told["gateway"]) == (far.host_address(), "255.255.255.0", far.address)
    assert (told["mtu"], told["stp"], told["bridged"], told["iface"], told["southbound"]) == (
        1400, "off", True, NET, far.nic
    )  # fmt: skip
    assert told["ipv4defaultroute"] is True
    assert (told["dhcpv4"], told["ipv6gateway"], told["switch"]) == (False, "::", "legacy")
    assert facts["nics"][far.nic]["addr"] == ""
    assert facts["bridges"][NET]["opts"]["stp_state"] == "0"
    assert facts["netConfigDirty"] == "True"
    networks.make_safe()
    assert networks.capabilities()["netConfigDirty"] == "False"
    statistics: Any = networks.statistics()
    assert {"rx", "tx", "state", "speed", "rxErrors", "sampleTime"} <= set(statistics["network"][NET])


def test_a_network_without_a_nic_keeps_its_address(networks: Networks) -> None:
    networks.change(change(NetworkSpec(name=NET)), AT_ONCE)
    before = ip_json("link", "show", NET)[0]["address"]
    run(
        ["ip", "link", "add", "low0", "address", "02:00:00:00:00:01", "type", "veth", "peer", "low1"],
        timeout_seconds=9,
    )
    try:
        run(["ip", "link", "set", "low0", "master", NET], timeout_seconds=9)
        assert ip_json("link", "show", NET)[0]["address"] == before
    finally:
        run(["ip", "link", "delete", "low0"], timeout_seconds=9)
    assert networks.capabilities()["networks"][NET]["southbound"] is None  # type: ignore[index, call-overload]


def test_without_a_bridge_the_nic_has_the_address(networks: Networks, far: FarSide) -> None:
    networks.change(change(network(far, bridged=False)), AT_ONCE)
    assert addresses(far.nic) == {f"{far.host_address()}/24"}
    told: Any = networks.capabilities()["networks"]
    assert (told[NET]["bridged"], told[NET]["interface"]) == (False, far.nic)
    networks.change(change(network(far)), AT_ONCE)
    assert (addresses(far.nic), addresses(NET)) == (set(), {f"{far.host_address()}/24"})
    assert far.reaches(far.host_address())


def test_an_edit_leaves_guests_connected(networks: Networks, far: FarSide) -> None:
    networks.change(change(network(far)), AT_ONCE)
    run(["ip", "link", "add", "guest0", "type", "veth", "peer", "guest1"], timeout_seconds=9)
    try:
        run(["ip", "link", "set", "guest0", "master", NET], timeout_seconds=9)
        index = ip_json("link", "show", NET)[0]["ifindex"]
        networks.change(change(NetworkSpec(name=NET, mtu=1300)), AT_ONCE)
        assert ip_json("link", "show", "guest0")[0]["master"] == NET
        assert "master" not in ip_json("link", "show", far.nic)[0]
        assert ip_json("link", "show", NET)[0]["ifindex"] == index
        assert addresses(NET) == set()
        with pytest.raises(GuestsOnNetwork, match="guest0"):
            networks.change(change(remove=(NET,)), AT_ONCE)
    finally:
        run(["ip", "link", "delete", "guest0"], timeout_seconds=9)


def test_removing_gives_the_nic_back(networks: Networks, far: FarSide) -> None:
    networks.change(change(network(far, mtu=1400)), AT_ONCE)
    networks.change(change(remove=(NET,)), AT_ONCE)
    nic = ip_json("link", "show", far.nic)[0]
    assert ("master" not in nic, nic["mtu"]) == (True, 1500)
    assert networks.capabilities()["networks"] == {}


def test_what_nobody_confirms_is_taken_back(networks: Networks, far: FarSide) -> None:
    give_nic_an_address(far)
    before = (addresses(far.nic), default_routes(), ip_json("link", "show", far.nic)[0]["mtu"])
    with pytest.raises(ConnectionLost):
        networks.change(change(network(far, mtu=1400)), ChangeOptions(confirm_seconds=0.2))
    assert (addresses(far.nic), default_routes(), ip_json("link", "show", far.nic)[0]["mtu"]) == before
    assert far.reaches(far.host_address())
    assert networks.capabilities()["networks"] == {}


def test_taking_back_keeps_the_routes_that_an_administrator_set(networks: Networks, far: FarSide) -> None:
    """A backup network behind another router, and a default route that is worse than one of another NIC."""
    run(["ip", "address", "add", f"{far.host_address()}/24", "dev", far.nic], timeout_seconds=10)
    run(["ip", "address", "add", "fd00:78::2/64", "dev", far.nic, "nodad"], timeout_seconds=10)
    router = far.host_address(9)
    for words in (
        ["default", "via", far.address, "metric", "300"],
        ["10.99.0.0/16", "via", router],
        ["10.98.0.0/16", "dev", far.nic, "metric", "7"],
        ["10.97.0.0/16", "via", "10.98.0.1"],
        ["fd00:99::/32", "via", "fd00:78::9"],
    ):
        run(["ip", "route", "add", *words], timeout_seconds=10)
    before = _routes_of(far.nic)
    assert len(before) >= 7
    with pytest.raises(ConnectionLost):
        networks.change(change(network(far)), ChangeOptions(confirm_seconds=0.2))
    assert _routes_of(far.nic) == before


def _routes_of(nic: str) -> set[tuple[str, str, int]]:
    found = [*ip_json("route", "show", "dev", nic), *ip_json("-6", "route", "show", "dev", nic)]
    return {(one["dst"], one.get("gateway", ""), one.get("metric", 0)) for one in found}


def test_what_is_confirmed_stays_and_another_change_waits_its_turn(networks: Networks, far: FarSide) -> None:
    options = ChangeOptions(confirm_seconds=60, keep=True)
    caller = threading.Thread(target=lambda: networks.change(change(network(far)), options), name="caller")
    caller.start()
    wait_until(lambda: far.reaches(far.host_address()), timeout_seconds=30, what="an answer on the new network")
    with pytest.raises(NetworkChangeRuns):
        networks.make_safe()

    def confirmed() -> bool:
        networks.confirm()  # again and again, as an engine does
        return not caller.is_alive()

    wait_until(confirmed, timeout_seconds=30, what="the end of the change")
    caller.join()
    assert list(networks.networks()) == [NET]
    assert networks.capabilities()["netConfigDirty"] == "False"


def test_a_step_that_fails_takes_all_back(networks: Networks, far: FarSide, linux_bridge: LinuxBridge) -> None:
    run(["ip", "route", "add", "default", "via", linux_bridge.guest_address(9)], timeout_seconds=10)
    give_nic = f"{far.host_address()}/24"
    run(["ip", "address", "add", give_nic, "dev", far.nic], timeout_seconds=10)
    with pytest.raises(LinkChangeFailed, match="add gateway"):
        networks.change(change(network(far, gateway=far.address, default_route=True)), AT_ONCE)
    assert addresses(far.nic) == {give_nic}
    assert default_routes() == {(linux_bridge.guest_address(9), linux_bridge.name)}
    assert not Path("/sys/class/net", NET).exists()


def test_what_cannot_be_written_down_is_taken_back(networks: Networks, far: FarSide, root_dir: Root) -> None:
    """Otherwise the client is told of a failure, and has the networks until the next start takes them away."""
    record = root_dir.run_dir / "host/networks.json"
    record.unlink()
    record.mkdir()
    with pytest.raises(OSError, match="directory"):
        networks.change(change(network(far)), AT_ONCE)
    assert networks.networks() == {}
    assert not Path("/sys/class/net", NET).exists()
    record.rmdir()
    networks.change(change(network(far)), AT_ONCE)
    assert networks.networks() == {NET: NET}


def test_what_is_not_ours_is_left_alone(networks: Networks, far: FarSide, linux_bridge: LinuxBridge) -> None:
    with pytest.raises(ForeignLink):
        networks.change(change(NetworkSpec(name=linux_bridge.name, nic=far.nic)), AT_ONCE)
    run(["ip", "link", "set", far.nic, "master", linux_bridge.name], timeout_seconds=10)
    with pytest.raises(NicInUse, match=linux_bridge.name):
        networks.change(change(network(far)), AT_ONCE)
    assert ip_json("link", "show", far.nic)[0]["master"] == linux_bridge.name
    assert addresses(linux_bridge.name) == {f"{linux_bridge.address}/24"}


_CHANGE = """
import sys
from covirt.common.root import Root
from covirt.host.network.config import NetworkHostConfig
from covirt.host.network.model import NetworkChange, NetworkSpec
from covirt.host.network.networks import ChangeOptions, Networks
networks = Networks(Root(sys.argv[1]), NetworkHostConfig())
networks.start()
spec = NetworkSpec(name=sys.argv[2], nic=sys.argv[3], address=sys.argv[4], mtu=1400)
networks.change(NetworkChange(networks={spec.name: spec}), ChangeOptions(confirm_seconds=600))
"""


def test_a_change_that_a_kill_cut_short_is_taken_back(root_dir: Root, far: FarSide) -> None:
    give_nic_an_address(far)
    before = (addresses(far.nic), default_routes())
    argv = [sys.executable, "-c", _CHANGE, str(root_dir.path), NET, far.nic, f"{far.host_address()}/24"]
    with spawn(argv, stderr=PIPE) as child:
        wait_until(lambda: far.reaches(far.host_address()) and Path("/sys/class/net", NET).exists(),
                   timeout_seconds=90, what="the new bridge")  # fmt: skip
        child.signal(signal.SIGKILL)
    assert addresses(far.nic) != before[0]
    networks = Networks(root_dir, NetworkHostConfig())
    networks.start()
    networks.stop()
    assert (addresses(far.nic), default_routes()) == before
    assert ip_json("link", "show", far.nic)[0]["mtu"] == 1500
    assert not Path("/sys/class/net", NET).exists()


def test_networks_survive_a_restart_and_safe_ones_a_reboot(root_dir: Root, far: FarSide) -> None:
    first = Networks(root_dir, NetworkHostConfig())
    first.start()
    first.change(change(network(far)), ChangeOptions(keep=True))
    first.change(change(NetworkSpec(name="unsafe0")), AT_ONCE)
    first.stop()
    index = ip_json("link", "show", NET)[0]["ifindex"]

    second = Networks(root_dir, NetworkHostConfig())
    second.start()
    assert set(second.networks()) == {NET, "unsafe0"}
    assert ip_json("link", "show", NET)[0]["ifindex"] == index
    second.stop()

    for name in (NET, "unsafe0"):
        run(["ip", "link", "delete", name], timeout_seconds=10)
    shutil.rmtree(root_dir.run_dir)
    third = Networks(root_dir, NetworkHostConfig())
    third.start()
    assert set(third.networks()) == {NET}
    assert far.reaches(far.host_address())
    third.change(change(remove=(NET,)), AT_ONCE)
    third.stop()


@pytest.mark.parametrize("what", ["died", "is in a bridge of somebody else's", "has its bridge's name taken"])
def test_a_nic_that_is_lost_takes_no_other_network_along(root_dir: Root, far: FarSide, what: str) -> None:
    """After a reboot nobody could reach the host: its steps come in the order of names, and the first one failed."""
    foreign = "deadlan" if "name" in what else "foreign0"
    first = Networks(root_dir, NetworkHostConfig())
    first.start()
    run(["ip", "link", "add", "eth0dead", "type", "veth", "peer", "eth0peer"], timeout_seconds=10)
    dead = NetworkSpec(name="deadlan", nic="eth0dead", address="10.79.1.2/24")
    first.change(change(dead, network(far)), ChangeOptions(keep=True))
    first.stop()
    for name in (NET, "deadlan", *(["eth0dead"] if what == "died" else [])):
        run(["ip", "link", "delete", name], timeout_seconds=10)
    shutil.rmtree(root_dir.run_dir)
    if what != "died":
        run(["ip", "link", "add", foreign, "type", "bridge"], timeout_seconds=10)
        run(["ip", "link", "set", "eth0dead", "master", foreign], timeout_seconds=10)

    second = Networks(root_dir, NetworkHostConfig())
    second.start()
    try:
        assert far.reaches(far.host_address())
        facts: Any = second.capabilities()["networks"]
        if foreign == "deadlan":
            assert addresses("deadlan") == set()  # it is not ours
        else:
            assert addresses("deadlan") == {"10.79.1.2/24"}  # guests of this host reach each other
            assert facts["deadlan"]["ports"] == []
            second.change(change(remove=("deadlan",)), AT_ONCE)
            assert not Path("/sys/class/net/deadlan").exists()
        assert what == "died" or ip_json("link", "show", "eth0dead")[0]["master"] == foreign
        assert NetworkStore(state_dir=root_dir.state_dir / "host", run_dir=root_dir.run_dir / "host").running()
    finally:
        second.change(change(remove=(NET, "deadlan")) if foreign == "deadlan" else change(remove=(NET,)), AT_ONCE)
        second.stop()
        for name in (foreign, "eth0dead"):
            run(["ip", "link", "delete", name], timeout_seconds=10, check=False)


def test_a_nic_that_dies_meanwhile_keeps_back_nothing_that_is_taken_back(networks: Networks, far: FarSide) -> None:
    run(["ip", "link", "add", "eth0dead", "type", "veth", "peer", "eth0peer"], timeout_seconds=10)
    networks.change(change(NetworkSpec(name="deadlan", nic="eth0dead"), network(far)), AT_ONCE)
    moved = NetworkSpec(name=NET, nic=far.nic, address="10.79.2.2/24", mtu=1400)
    more = NetworkSpec(name="deadlan", nic="eth0dead", mtu=1400)
    refusals: list[Error] = []

    def asked() -> None:
        try:
            networks.change(change(moved, more), ChangeOptions(confirm_seconds=2.0))
        except Error as error:
            refusals.append(error)

    thread = threading.Thread(target=asked)
    thread.start()
    wait_until(lambda: addresses(NET) == {"10.79.2.2/24"})
    run(["ip", "link", "delete", "eth0dead"], timeout_seconds=10)
    thread.join(30)
    assert [type(error) for error in refusals] == [ConnectionLost]
    assert far.reaches(far.host_address())


def test_an_address_by_dhcp(root_dir: Root, far: FarSide, open_dir: Path) -> None:
    hook = root_dir.state_dir / "host/dhcp-event"
    hook.parent.mkdir(parents=True)
    hook.touch()  # as a kill or a power cut leaves a file that was just being made
    networks = Networks(root_dir, NetworkHostConfig())
    networks.start()
    try:
        with serve_dhcp(LinuxBridge(name="up0", address=far.address), open_dir, namespace=far.namespace) as server:
            networks.change(change(NetworkSpec(name=NET, nic=far.nic, dhcp=True, default_route=True)), AT_ONCE)
            given = server.wait_for("DHCPACK")
            assert addresses(NET) == {f"{given}/24"}
            assert default_routes() == {(far.address, NET)}
            told: Any = networks.capabilities()["networks"]
            assert told[NET]["dhcpv4"] is True

            networks.stop()
            assert addresses(NET) == {f"{given}/24"}
            networks = Networks(root_dir, NetworkHostConfig())
            networks.start()
            # A change waits for leases; a client that has none yet has nothing to give back.
            networks.change(change(NetworkSpec(name="more0")), AT_ONCE)
            assert server.heard("DHCPACK") == [given, given]

            networks.change(change(NetworkSpec(name=NET, nic=far.nic), remove=("more0",)), AT_ONCE)
            assert server.wait_for("DHCPRELEASE") == given
            assert (addresses(NET), default_routes()) == (set(), set())
            networks.change(change(remove=(NET,)), AT_ONCE)
    finally:
        networks.stop()


def test_routes_by_dhcp(root_dir: Root, far: FarSide, open_dir: Path) -> None:
    """A server that sends classless routes means them, and the host asked for them; the router may be behind one."""
    router = "10.95.0.1"
    routes = f"10.96.0.0/16,{far.host_address(9)},10.95.0.1/32,0.0.0.0,0.0.0.0/0,{router}"
    networks = Networks(root_dir, NetworkHostConfig())
    networks.start()
    network = NetworkSpec(name=NET, nic=far.nic, dhcp=True, default_route=True)
    bridge = LinuxBridge(name="up0", address=far.address)
    try:
        with serve_dhcp(bridge, open_dir, f"--dhcp-option=121,{routes}", namespace=far.namespace):
            networks.change(change(network), AT_ONCE)
            found = {(to, by) for to, by, _ in _routes_of(NET)}
            assert {("10.96.0.0/16", far.host_address(9)), (router, ""), ("default", router)} <= found
            networks.change(change(replace(network, default_route=False)), AT_ONCE)
            found = {(to, by) for to, by, _ in _routes_of(NET)}
            assert ("10.96.0.0/16", far.host_address(9)) in found
            assert not [to for to, _ in found if to == "default"]
    finally:
        networks.change(change(remove=(NET,)), AT_ONCE)
        networks.stop()
    assert not [route for route in ip_json("route", "show") if route["dst"] == "10.96.0.0/16"]


def test_a_dhcp_client_that_ends_by_itself_is_begun_anew(root_dir: Root, far: FarSide, open_dir: Path) -> None:
    networks = Networks(root_dir, NetworkHostConfig())
    networks.start()
    record = root_dir.run_dir / f"host/dhcp/dhcp-{NET}.json"
    try:
        with serve_dhcp(LinuxBridge(name="up0", address=far.address), open_dir, namespace=far.namespace) as server:
            networks.change(change(NetworkSpec(name=NET, nic=far.nic, dhcp=True)), AT_ONCE)
            given = server.wait_for("DHCPACK")
            before = json.loads(record.read_text())
            os.kill(before["pid"], signal.SIGKILL)
            assert server.wait_for("DHCPACK", times=2) == given
            # What the server sent, its client need not have read: one without a lease has none to give back.
            wait_until(lambda: json.loads(record.read_text())["until"] > before["until"], what="the client's lease")
            assert addresses(NET) == {f"{given}/24"}
            networks.change(change(remove=(NET,)), AT_ONCE)
            assert server.wait_for("DHCPRELEASE") == given
    finally:
        networks.stop()
    assert not record.exists()


def test_a_lease_outlives_an_agent_whose_server_is_silent(root_dir: Root, far: FarSide, open_dir: Path) -> None:
    networks = Networks(root_dir, NetworkHostConfig())
    networks.start()
    try:
        with serve_dhcp(LinuxBridge(name="up0", address=far.address), open_dir, namespace=far.namespace) as server:
            networks.change(change(NetworkSpec(name=NET, nic=far.nic, dhcp=True)), AT_ONCE)
            given = server.wait_for("DHCPACK")
            server.pause()
            networks.stop()
            networks = Networks(root_dir, NetworkHostConfig())
            networks.start()
            # The wait for its lease is as long as the client's first words.
            networks.change(change(NetworkSpec(name="more0")), AT_ONCE)
            assert addresses(NET) == {f"{given}/24"}
            server.resume()
            networks.change(change(remove=(NET, "more0")), AT_ONCE)
    finally:
        networks.stop()
