# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which steps lead from the interfaces of a host to those of its networks, with VLANs and bonds on any kernel."""

from collections.abc import Mapping

import pytest

from covirt.host.network.layout import layout_of, without
from covirt.host.network.links import Link
from covirt.host.network.model import BondSpec, NetworkChange, NetworkConfig, NetworkSpec
from covirt.host.network.plan import Action, Ipv6, Original, Situation, Step, alias_of, plan

ALIAS = alias_of("abcdef")
MAC = "52:54:00:00:00:01"


def nic(name: str, **more: object) -> Link:
    values: dict[str, object] = {"name": name, "index": 1, "mac": MAC, "up": True, **more}
    return Link(**values)  # type: ignore[arg-type]  # a test's own keywords


def ours(name: str, kind: str, **more: object) -> Link:
    return nic(name, kind=kind, alias=ALIAS, **more)


def config(*specs: NetworkSpec, bonds: tuple[BondSpec, ...] = ()) -> NetworkConfig:
    return NetworkConfig(
        networks={spec.name: spec for spec in specs},
        bonds={bond.name: bond for bond in bonds},
    )


def steps(
    links: list[Link],
    wanted: NetworkConfig,
    *,
    released: Mapping[str, Original] | None = None,
    leased: Mapping[str, tuple[str, ...]] | None = None,
) -> list[str]:
    """As texts, without those of IPv6."""
    situation = Situation(
        links={link.name: link for link in links}, alias=ALIAS, released=released or {}, leased=leased or {}
    )
    return [str(step) for step in plan(situation, layout_of(wanted)) if step.action is not Action.IPV6]


def test_an_address_leaves_the_nic_before_the_bridge_has_it() -> None:
    spec = NetworkSpec(name="lan", nic="eth0", address="192.0.2.5/24", gateway="192.0.2.1", default_route=True)
    found = steps([nic("eth0", addresses=("192.0.2.5/24",), gateways=("192.0.2.1",))], config(spec))
    assert found == [
        "eth0: drop gateway 192.0.2.1",
        "eth0: drop address 192.0.2.5/24",
        "lan: create",
        "lan: mtu 1500",
        "eth0: attach lan",
        "lan: mac eth0",
        "lan: up",
        "lan: add address 192.0.2.5/24",
        "lan: add gateway 192.0.2.1",
    ]


def test_what_is_as_wanted_takes_no_step() -> None:
    spec = NetworkSpec(name="lan", nic="eth0", address="192.0.2.5/24")
    links = [nic("eth0", master="lan"), ours("lan", "bridge", addresses=("192.0.2.5/24",), ports=("eth0", "vnet0"))]
    assert steps(links, config(spec)) == []


def test_vlans_of_one_nic() -> None:
    wanted = config(
        NetworkSpec(name="red", nic="eth0", vlan=10, mtu=9000),
        NetworkSpec(name="blue", nic="eth0", vlan=20, bridged=False, address="198.51.100.2/24"),
    )
    assert steps([nic("eth0")], wanted) == [
        "eth0: mtu 9000",
        "eth0.10: create",
        "eth0.10: mtu 9000",
        "eth0.20: create",
        "eth0.20: mtu 1500",
        "red: create",
        "red: mtu 9000",
        "eth0.10: attach red",
        "eth0.10: up",
        "eth0.20: up",
        "eth0.20: add address 198.51.100.2/24",
        "red: mac eth0",
        "red: up",
    ]


def test_another_vlan_leaves_the_bridge_and_its_guests() -> None:
    links = [
        nic("eth0"),
        ours("eth0.10", "vlan", lower="eth0", vlan=10, master="red"),
        ours("red", "bridge", ports=("eth0.10", "vnet0")),
    ]
    assert steps(links, config(NetworkSpec(name="red", nic="eth0", vlan=11))) == [
        "eth0.10: delete",
        "eth0.11: create",
        "eth0.11: mtu 1500",
        "eth0.11: attach red",
        "eth0.11: up",
    ]


def test_a_bond_is_made_before_its_nics_join() -> None:
    bond = BondSpec(name="bond0", nics=("eth0", "eth1"), options={"mode": "4"})
    found = steps([nic("eth0"), nic("eth1")], config(NetworkSpec(name="lan", bond="bond0"), bonds=(bond,)))
    assert found.index("bond0: create") < found.index("eth0: attach bond0") < found.index("eth1: attach bond0")
    assert found.index("lan: create") < found.index("bond0: attach lan")


@pytest.mark.parametrize(("mode", "made_anew"), [("active-backup", False), ("1", False), ("802.3ad", True)])
def test_a_bond_whose_mode_changes_is_made_anew(mode: str, *, made_anew: bool) -> None:
    links = [
        nic("eth0", master="bond0"),
        ours("bond0", "bond", master="lan", options={"mode": "active-backup 1"}),
        ours("lan", "bridge", ports=("bond0",)),
    ]
    bond = BondSpec(name="bond0", nics=("eth0",), options={"mode": mode})
    found = steps(links, config(NetworkSpec(name="lan", bond="bond0"), bonds=(bond,)))
    assert ("bond0: delete" in found, "bond0: create" in found) == (made_anew, made_anew)
    assert "lan: delete" not in found


def test_a_bond_that_is_made_anew_gets_its_nics_and_vlans_again() -> None:
    """The kernel takes a bond's VLANs along, and closes its NICs."""
    links = [
        nic("eth0", master="bond0"),
        ours("bond0", "bond", options={"mode": "active-backup 1"}),
        ours("bond0.7", "vlan", lower="bond0", vlan=7, master="lan"),
        ours("lan", "bridge", ports=("bond0.7",)),
    ]
    bond = BondSpec(name="bond0", nics=("eth0",), options={"mode": "4"})
    found = steps(links, config(NetworkSpec(name="lan", bond="bond0", vlan=7), bonds=(bond,)))
    assert found == [
        "bond0.7: delete",
        "bond0: delete",
        "eth0: mtu 1500",
        "bond0: create",
        "bond0: mtu 1500",
        "bond0.7: create",
        "bond0.7: mtu 1500",
        "eth0: attach bond0",
        "eth0: up",
        "bond0: up",
        "bond0.7: attach lan",
        "bond0.7: up",
        "lan: mac bond0",
    ]


@pytest.mark.parametrize("bond_stays", [True, False])
def test_a_nic_that_leaves_a_bond_is_opened_again(*, bond_stays: bool) -> None:
    links = [nic("eth0", master="bond0"), nic("eth1", master="bond0"), ours("bond0", "bond")]
    left = config(bonds=(BondSpec(name="bond0", nics=("eth0",)),)) if bond_stays else config()
    found = steps(links, left, released={"eth1": Original(mtu=1500, up=True)})
    assert [step for step in found if step.startswith("eth1")] == [
        *(["eth1: detach"] if bond_stays else []),
        "eth1: mtu 1500",
        "eth1: up",
    ]


def test_a_nic_goes_from_a_bond_to_a_network() -> None:
    links = [nic("eth0", master="bond0"), nic("eth1", master="bond0"), ours("bond0", "bond")]
    bond = BondSpec(name="bond0", nics=("eth0",))
    found = steps(links, config(NetworkSpec(name="lan", nic="eth1"), bonds=(bond,)))
    assert [step for step in found if step.startswith(("eth1", "lan: mac"))] == [
        "eth1: detach",
        "eth1: mtu 1500",
        "eth1: attach lan",
        "eth1: up",
        "lan: mac eth1",
    ]


def test_a_nic_that_is_given_up_loses_the_networks_address_and_has_its_mtu_again() -> None:
    links = [nic("eth0", mtu=9000, addresses=("192.0.2.5/24",))]
    before = Original(mtu=1500, up=True, addresses=("203.0.113.1/24",))
    assert steps(links, config(), released={"eth0": before.without_addresses()}) == [
        "eth0: mtu 1500",
        "eth0: drop address 192.0.2.5/24",
    ]
    assert steps(links, config(), released={"eth0": before})[-1] == "eth0: add address 203.0.113.1/24"


def test_a_lease_is_kept_where_dhcp_stays() -> None:
    links = [
        nic("eth0", master="lan"),
        ours("lan", "bridge", addresses=("192.0.2.77/24",), gateways=("192.0.2.1",), ports=("eth0",)),
    ]
    leased = {"lan": ("192.0.2.77/24", "192.0.2.1")}
    dhcp = NetworkSpec(name="lan", nic="eth0", dhcp=True, default_route=True)
    assert steps(links, config(dhcp), leased=leased) == []
    static = NetworkSpec(name="lan", nic="eth0")
    assert steps(links, config(static), leased=leased) == [
        "lan: drop gateway 192.0.2.1",
        "lan: drop address 192.0.2.77/24",
    ]


def test_a_host_speaks_no_ipv6_on_a_network_where_it_was_given_none() -> None:
    situation = Situation(links={}, alias=ALIAS, released={}, leased={})

    def mode(spec: NetworkSpec) -> list[Step]:
        return [step for step in plan(situation, layout_of(config(spec))) if step.action is Action.IPV6]

    assert [step.value for step in mode(NetworkSpec(name="lan"))] == [Ipv6.OFF]
    assert [step.value for step in mode(NetworkSpec(name="lan", address6="2001:db8::1/64"))] == [Ipv6.STATIC]
    assert [step.value for step in mode(NetworkSpec(name="lan", autoconf6=True))] == [Ipv6.AUTO]


def test_a_bridge_that_somebody_else_made_is_never_a_step() -> None:
    assert steps([nic("docker0", kind="bridge")], config()) == []


def test_the_default_route_moves_to_the_network_that_asks_for_it() -> None:
    present = config(NetworkSpec(name="old", nic="eth0", default_route=True))
    change = NetworkChange(networks={"new": NetworkSpec(name="new", nic="eth1", default_route=True)})
    after = change.applied_to(present)
    assert {name: spec.default_route for name, spec in after.networks.items()} == {"old": False, "new": True}


def test_a_config_survives_its_way_through_json() -> None:
    bond = BondSpec(name="bond0", nics=("eth0", "eth1"), options={"mode": "4"})
    one = config(NetworkSpec(name="lan", bond="bond0", vlan=7), bonds=(bond,))
    assert NetworkConfig.from_record(one.record()) == one


def test_without_an_interface_its_vlans_go_and_bridges_and_bonds_stay() -> None:
    layout = layout_of(
        config(
            NetworkSpec(name="lan", bond="bond0"),
            NetworkSpec(name="red", nic="eth2", vlan=10),
            NetworkSpec(name="plain", nic="eth2", vlan=20, bridged=False),
            bonds=(BondSpec(name="bond0", nics=("eth0", "eth1")),),
        )
    )
    assert {(one.name, one.master, one.lower) for one in without(layout, "eth2").values()} == {
        ("eth0", "bond0", None), ("eth1", "bond0", None), ("bond0", "lan", None), ("lan", None, "bond0"),
        ("red", None, None),
    }  # fmt: skip
    left = without(layout, "bond0")
    assert (left["eth0"].master, left["lan"].lower, left["eth2.10"].master) == (None, None, "red")
