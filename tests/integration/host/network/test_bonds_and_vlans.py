# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Networks on bonds and VLANs, where the kernel has modules for them (./dev vm)."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from covirt.common.process import run
from covirt.common.root import Root
from covirt.host.network.config import NetworkHostConfig
from covirt.host.network.errors import ConnectionLost, LinkChangeFailed
from covirt.host.network.model import BondSpec, NetworkChange, NetworkSpec
from covirt.host.network.networks import ChangeOptions, Networks
from tests.support.far_side import FarSide, addresses, ip_json, new_far_side
from tests.support.waiting import wait_until

AT_ONCE = ChangeOptions()
NET = "covlan"
BOND = "bond7"
TAG = 17


def _kernel_makes(kind: str, *words: str) -> bool:
    """Whether it can; asking loads the module."""
    made = run(["ip", "link", "add", "probe0", "type", "bridge"], timeout_seconds=10, check=False)
    argv = ["ip", "link", "add", *(["link", "probe0"] if words else []), "name", "probe1", "type", kind, *words]
    found = made.status == 0 and run(argv, timeout_seconds=10, check=False).status == 0
    for name in ("probe1", "probe0"):
        run(["ip", "link", "delete", name], timeout_seconds=10, check=False)
    return found


@pytest.fixture
def bonding() -> None:
    if not _kernel_makes("bond"):
        pytest.skip("this kernel has no bonds")


@pytest.fixture
def tagging() -> None:
    if not _kernel_makes("vlan", "id", "9"):
        pytest.skip("this kernel has no VLANs")


@pytest.fixture
def sides() -> Iterator[tuple[FarSide, FarSide]]:
    with ExitStack() as stack:
        yield stack.enter_context(new_far_side()), stack.enter_context(new_far_side())


@pytest.fixture
def networks(root_dir: Root) -> Iterator[Networks]:
    part = Networks(root_dir, NetworkHostConfig())
    part.start()
    try:
        yield part
    finally:
        everything = NetworkChange(
            networks=dict.fromkeys(part.networks()), bonds=dict.fromkeys(part.capabilities()["bondings"])  # type: ignore[arg-type]
        )  # fmt: skip
        part.change(everything, AT_ONCE)
        part.stop()


def change(
    *specs: NetworkSpec, bonds: tuple[BondSpec, ...] = (), remove: tuple[str, ...] = (), unbond: tuple[str, ...] = ()
) -> NetworkChange:
    return NetworkChange(
        networks={**{spec.name: spec for spec in specs}, **dict.fromkeys(remove)},
        bonds={**{bond.name: bond for bond in bonds}, **dict.fromkeys(unbond)},
    )


def bond(sides: tuple[FarSide, ...], **options: str) -> BondSpec:
    return BondSpec(name=BOND, nics=tuple(side.nic for side in sides), options={"mode": "1", **options})


def tag(side: FarSide, address: str) -> None:
    """The far end speaks on the VLAN too."""
    side.run("ip", "link", "add", "link", "up0", "name", "up0.17", "type", "vlan", "id", str(TAG))
    side.run("ip", "address", "add", address, "dev", "up0.17")
    side.run("ip", "link", "set", "up0.17", "up")


def link(name: str) -> Any:
    return ip_json("-d", "link", "show", name)[0]


def test_a_bond_goes_on_when_a_cable_is_cut(
    bonding: None, networks: Networks, sides: tuple[FarSide, FarSide]
) -> None:
    first, second = sides
    # Alphabetical order would set the delays before what they are multiples of, which the kernel refuses.
    made = bond(sides, miimon="50", updelay="100", downdelay="50", primary=first.nic)
    spec = NetworkSpec(name=NET, bond=BOND, address=f"{first.host_address()}/24")
    networks.change(change(spec, bonds=(made,)), AT_ONCE)
    second.run("ip", "address", "add", f"{first.host_address(9)}/24", "dev", "up0")
    assert [link(side.nic)["master"] for side in sides] == [BOND, BOND]
    assert link(BOND)["master"] == NET
    # The bridge has the address of the bond from the beginning, so no later change gives it another one.
    assert link(NET)["address"] == link(BOND)["address"]
    wait_until(lambda: first.reaches(first.host_address()), timeout_seconds=30)
    facts: Any = networks.capabilities()
    told = facts["bondings"][BOND]
    assert sorted(told["slaves"]) == sorted(side.nic for side in sides)
    assert told["active_slave"] == first.nic
    assert (told["opts"]["mode"], told["opts"]["miimon"], told["opts"]["updelay"]) == ("1", "50", "100")
    assert facts["networks"][NET]["southbound"] == BOND
    assert {side.nic for side in sides} <= set(facts["nics"])

    first.run("ip", "link", "set", "up0", "down")
    wait_until(lambda: second.reaches(first.host_address()), timeout_seconds=30, what="the other cable")
    index = link(BOND)["ifindex"]
    networks.change(change(spec), AT_ONCE)
    assert link(BOND)["ifindex"] == index, "a bond that is as wanted is made anew"


def test_removing_a_bond_gives_its_nics_back(
    bonding: None, networks: Networks, sides: tuple[FarSide, FarSide]
) -> None:
    before = [(link(side.nic)["address"], link(side.nic)["mtu"]) for side in sides]
    spec = NetworkSpec(name=NET, bond=BOND, mtu=1400)
    networks.change(change(spec, bonds=(bond(sides),)), AT_ONCE)
    assert {link(name)["mtu"] for name in (BOND, NET, sides[0].nic)} == {1400}
    networks.change(change(remove=(NET,), unbond=(BOND,)), AT_ONCE)
    for side, (address, mtu) in zip(sides, before, strict=True):
        found = link(side.nic)
        assert "master" not in found
        assert "UP" in found["flags"], "the kernel closes what leaves a bond"
        assert (found["address"], found["mtu"]) == (address, mtu)
    assert not ip_json("link", "show", "type", "bond")


def test_a_nic_leaves_its_bond(bonding: None, networks: Networks, sides: tuple[FarSide, FarSide]) -> None:
    first, second = sides
    spec = NetworkSpec(name=NET, bond=BOND, address=f"{first.host_address()}/24")
    networks.change(change(spec, bonds=(bond(sides),)), AT_ONCE)
    networks.change(change(bonds=(bond((first,)),)), AT_ONCE)
    assert "master" not in link(second.nic)
    assert "UP" in link(second.nic)["flags"]
    assert first.reaches(first.host_address())
    direct = NetworkSpec(name="other", nic=second.nic, address=f"{second.host_address()}/24")
    networks.change(change(direct), AT_ONCE)
    assert second.reaches(second.host_address())


def test_other_options_make_a_bond_anew(bonding: None, networks: Networks, sides: tuple[FarSide, FarSide]) -> None:
    spec = NetworkSpec(name=NET, bond=BOND, address=f"{sides[0].host_address()}/24")
    networks.change(change(spec, bonds=(bond(sides, miimon="100"),)), AT_ONCE)
    made = bond(sides, mode="802.3ad", lacp_rate="fast", xmit_hash_policy="2", miimon="100")
    networks.change(change(bonds=(made,)), AT_ONCE)
    told: Any = networks.capabilities()["bondings"]
    assert (told[BOND]["opts"]["mode"], told[BOND]["opts"]["lacp_rate"]) == ("4", "1")
    assert link(BOND)["master"] == NET
    assert addresses(NET) == {f"{sides[0].host_address()}/24"}
    made = bond(sides, arp_interval="100", arp_ip_target=f"{sides[0].address},{sides[1].address}")
    networks.change(change(bonds=(made,)), AT_ONCE)
    assert networks.capabilities()["bondings"][BOND]["opts"]["arp_interval"] == "100"  # type: ignore[index, call-overload]
    index = link(BOND)["ifindex"]
    networks.change(change(spec), AT_ONCE)
    assert link(BOND)["ifindex"] == index


def test_a_refused_option_takes_all_back(bonding: None, networks: Networks, sides: tuple[FarSide, FarSide]) -> None:
    first = sides[0]
    own = f"{first.host_address()}/24"
    run(["ip", "address", "add", own, "dev", first.nic], timeout_seconds=10)
    spec = NetworkSpec(name=NET, bond=BOND, address=own)
    for options in ({"mode": "nonsense"}, {"no_such": "1"}):
        with pytest.raises(LinkChangeFailed, match=BOND):
            networks.change(change(spec, bonds=(bond(sides, **options),)), AT_ONCE)
        assert not ip_json("link", "show", "type", "bond")
        assert addresses(first.nic) == {own}
        assert first.reaches(first.host_address())
    with pytest.raises(ConnectionLost):
        networks.change(change(spec, bonds=(bond(sides),)), ChangeOptions(confirm_seconds=0.2))
    assert addresses(first.nic) == {own}
    assert first.reaches(first.host_address())


def test_a_bridge_on_a_vlan_beside_one_without(
    tagging: None, networks: Networks, sides: tuple[FarSide, FarSide]
) -> None:
    far = sides[0]
    tagged, plain = "10.79.1.2", far.host_address()
    tag(far, "10.79.1.1/24")
    networks.change(change(
        NetworkSpec(name=NET, nic=far.nic, vlan=TAG, address=f"{tagged}/24", mtu=1400),
        NetworkSpec(name="plain", nic=far.nic, address=f"{plain}/24"),
    ), AT_ONCE)  # fmt: skip
    assert far.reaches(tagged)
    assert far.reaches(plain)
    name = f"{far.nic}.{TAG}"
    assert (link(name)["mtu"], link(NET)["mtu"], link(far.nic)["mtu"]) == (1400, 1400, 1500)
    facts: Any = networks.capabilities()
    assert (facts["vlans"][name]["iface"], facts["vlans"][name]["vlanid"]) == (far.nic, TAG)
    assert (facts["networks"][NET]["vlanid"], facts["networks"][NET]["ports"]) == (TAG, [name])
    networks.change(change(remove=(NET,)), AT_ONCE)
    assert not ip_json("link", "show", "type", "vlan")
    assert far.reaches(plain)


def test_a_vlan_without_a_bridge_has_the_address(
    tagging: None, networks: Networks, sides: tuple[FarSide, FarSide]
) -> None:
    far = sides[0]
    tag(far, "10.79.1.1/24")
    spec = NetworkSpec(name=NET, nic=far.nic, vlan=TAG, bridged=False, address="10.79.1.2/24")
    networks.change(change(spec), AT_ONCE)
    assert far.reaches("10.79.1.2")
    assert networks.networks() == {NET: f"{far.nic}.{TAG}"}


def test_a_vlan_on_a_bond_after_a_restart_and_a_reboot(
    bonding: None, tagging: None, root_dir: Root, sides: tuple[FarSide, FarSide]
) -> None:
    far = sides[0]
    tag(far, "10.79.1.1/24")
    made = bond(sides, miimon="50", primary=far.nic)
    spec = NetworkSpec(name=NET, bond=BOND, vlan=TAG, address="10.79.1.2/24")
    first = Networks(root_dir, NetworkHostConfig())
    first.start()
    first.change(change(spec, bonds=(made,)), ChangeOptions(keep=True))
    wait_until(lambda: far.reaches("10.79.1.2"), timeout_seconds=30)
    first.stop()
    names = (NET, f"{BOND}.{TAG}", BOND)
    indexes = [link(name)["ifindex"] for name in names]

    second = Networks(root_dir, NetworkHostConfig())
    second.start()
    assert [link(name)["ifindex"] for name in names] == indexes
    second.stop()

    for name in names:
        run(["ip", "link", "delete", name], timeout_seconds=10)
    for side in sides:
        run(["ip", "link", "set", side.nic, "down"], timeout_seconds=10)
    shutil.rmtree(root_dir.run_dir)
    third = Networks(root_dir, NetworkHostConfig())
    third.start()
    wait_until(lambda: far.reaches("10.79.1.2"), timeout_seconds=30)
    assert link(NET)["address"] == link(BOND)["address"]
    third.change(change(remove=(NET,), unbond=(BOND,)), AT_ONCE)
    assert not ip_json("link", "show", "type", "bond")
    third.stop()
