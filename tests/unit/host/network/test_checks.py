# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a host refuses before it changes anything."""

import pytest

from covirt.common.errors import Error
from covirt.host.network.checks import check_change, nics_of
from covirt.host.network.errors import (
    BadAddress,
    BadBonding,
    BadBridge,
    BadNetworkSetting,
    BadVlan,
    BondInUse,
    ForeignLink,
    NicInUse,
    NoSuchNic,
)
from covirt.host.network.links import Link
from covirt.host.network.model import BondSpec, NetworkChange, NetworkConfig, NetworkSpec

ALIAS = "covirt-network:abcdef"
LINKS = {
    link.name: link
    for link in (
        Link(name="eth0", index=2),
        Link(name="eth1", index=3, master="br9"),
        Link(name="br9", index=4, kind="bridge", ports=("eth1",)),
        Link(name="wlan0", index=5),
        Link(name="vnet0", index=6, kind="tun"),
        Link(name="veth1", index=7, kind="veth"),
        Link(name="eth7", index=8, kind="veth"),
        Link(name="tunl0", index=9, ethernet=False),
    )
}
NICS = nics_of(LINKS, ("eth*",), ("w*",))


def test_hardware_is_a_nic_and_what_is_named_like_one() -> None:
    assert set(NICS) == {"eth0", "eth1", "eth7"}


def network(**more: object) -> NetworkSpec:
    values: dict[str, object] = {"name": "lan", "nic": "eth0", **more}
    return NetworkSpec(**values)  # type: ignore[arg-type]  # a test's own keywords


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (network(name="a name too long for it"), BadBridge),
        (network(name="a.b"), BadBridge),
        (network(name="-a"), BadBridge),
        (network(name=""), BadBridge),
        (network(name="%d"), BadBridge),
        (network(name="lan%d"), BadBridge),
        (network(name="all"), BadBridge),
        (network(name="default"), BadBridge),
        (network(name=".."), BadBridge),
        (network(name="a/b"), BadBridge),
        (network(name="a:b"), BadBridge),
        (network(name="a\tb"), BadBridge),
        (network(name="a\n"), BadBridge),
        (network(name="éééééééé"), BadBridge),  # 8 letters, and 16 bytes
        (network(name="x" * 16), BadBridge),
        (network(nic="eth5"), NoSuchNic),
        (network(nic="vnet0"), NoSuchNic),
        (network(nic="eth1"), NicInUse),
        (network(name="br9"), ForeignLink),
        (network(nic=None, bond="bond3"), BadBonding),
        (network(bond="bond3"), BadNetworkSetting),
        (network(nic=None, bridged=False), BadNetworkSetting),
        (network(nic=None, vlan=3), BadVlan),
        (network(vlan=4095), BadVlan),
        (network(vlan=0), BadVlan),
        (network(mtu=20), BadNetworkSetting),
        (network(address="300.1.1.1/24"), BadAddress),
        (network(address="2001:db8::1/64"), BadAddress),
        (network(address="0.0.0.0/24"), BadAddress),
        (network(address="224.0.0.1/24"), BadAddress),
        (network(address="127.0.0.1/8"), BadAddress),
        (network(address="192.0.2.0/24"), BadAddress),
        (network(address="192.0.2.255/24"), BadAddress),
        (network(address6="fe80::1%eth0/64"), BadAddress),
        (network(address6="2001:db8::5/64", gateway6="fe80::1%eth0"), BadAddress),
        (network(address="192.0.2.5/24", gateway="192.0.2.5"), BadAddress),
        (network(address="192.0.2.5/24", gateway="bananas"), BadAddress),
        (network(gateway="192.0.2.1"), BadAddress),
        (network(address="192.0.2.5/24", gateway="198.51.100.1"), BadAddress),
        (network(address="192.0.2.5/24", dhcp=True), BadAddress),
    ],
)
def test_a_network_that_cannot_be(spec: NetworkSpec, error: type[Error]) -> None:
    with pytest.raises(error):
        check(NetworkChange(networks={spec.name: spec}))


def check(change: NetworkChange, present: NetworkConfig | None = None) -> None:
    config = change.applied_to(present or NetworkConfig())
    check_change(change, config, links=LINKS, nics=NICS, alias=ALIAS)


@pytest.mark.parametrize("name", ["ovirtmgmt", "a_b-c", "on1a2b3c4d5e6f7", "x" * 15])
def test_names_that_may_be(name: str) -> None:
    check(NetworkChange(networks={name: network(name=name, address="192.0.2.5/31", gateway="192.0.2.4")}))


def test_two_networks_on_one_nic_need_vlans() -> None:
    present = NetworkConfig(networks={"one": network(name="one")})
    with pytest.raises(BadNetworkSetting, match="lan and one"):
        check(NetworkChange(networks={"lan": network()}), present)
    check(NetworkChange(networks={"lan": network(vlan=5)}), present)


def test_bonds_that_cannot_be() -> None:
    good = BondSpec(name="bond0", nics=("eth0",), options={"mode": "4"})
    check(NetworkChange(bonds={"bond0": good}))
    for bond, error in (
        (BondSpec(name="team0", nics=("eth0",)), BadBonding),
        (BondSpec(name="bond%d", nics=("eth0",)), BadBonding),
        (BondSpec(name="bond0", nics=("eth0",), hwaddr="bananas"), BadBonding),
        (BondSpec(name="bond0", nics=()), BadNetworkSetting),
        (BondSpec(name="bond0", nics=("eth9",)), NoSuchNic),
        (BondSpec(name="bond0", nics=("eth0",), options={"../mode": "4"}), BadBonding),
    ):
        with pytest.raises(error):
            check(NetworkChange(bonds={bond.name: bond}))
    with pytest.raises(BadBonding):
        check(NetworkChange(bonds={"team0": None}))
    check(NetworkChange(bonds={"bond7": None}))  # as Vdsm does
    with pytest.raises(BadBridge, match="a bond has this name"):
        check(NetworkChange(networks={"bond0": network(name="bond0", nic=None, bond="bond0")}, bonds={"bond0": good}))
    present = NetworkConfig(networks={"lan": network(nic=None, bond="bond0")}, bonds={"bond0": good})
    with pytest.raises(BondInUse):
        check(NetworkChange(bonds={"bond0": None}), present)
    with pytest.raises(NicInUse):
        check(NetworkChange(networks={"other": network(name="other")}), present)
