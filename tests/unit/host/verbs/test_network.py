# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's words for networks, in all the ways that engines write them."""

from typing import Any

import pytest

from covirt.common.errors import Error
from covirt.host.network.errors import BadAddress, BadBonding, BadNetworkSetting, ConnectionLost, NetworkChangeRuns
from covirt.host.network.model import BondSpec, NetworkSpec
from covirt.host.verbs.faults import refusal_of
from covirt.host.verbs.network import change_of
from covirt.hostapi.network import SetupNetworksParams


def change(networks: dict[str, Any] | None = None, bondings: dict[str, Any] | None = None) -> Any:
    params = {"networks": networks or {}, "bondings": bondings or {}, "options": {"connectivityCheck": "true"}}
    return change_of(SetupNetworksParams.model_validate(params))


def test_what_an_engine_sends_for_its_management_network() -> None:
    sent = {
        "ipv6autoconf": False, "nic": "eth0", "bridged": "true", "defaultRoute": True, "dhcpv6": False, "STP": "no",
        "mtu": 1500, "switch": "legacy", "ipaddr": "192.0.2.5", "netmask": "255.255.255.0", "gateway": "192.0.2.1",
        "bootproto": "none", "vlan": "", "custom": {},
    }  # fmt: skip
    assert change({"ovirtmgmt": sent}).networks == {
        "ovirtmgmt": NetworkSpec(
            name="ovirtmgmt", nic="eth0", address="192.0.2.5/24", gateway="192.0.2.1", default_route=True
        )
    }


def test_other_ways_to_say_it() -> None:
    sent = {"nic": ["eth0"], "vlan": "12", "bridged": False, "bootproto": "dhcp", "mtu": "1400", "stp": "on"}
    assert change({"red": sent}).networks["red"] == NetworkSpec(
        name="red", nic="eth0", vlan=12, bridged=False, dhcp=True, mtu=1400, stp=True
    )
    found = change({"red": {"ipaddr": "192.0.2.5", "prefix": 24, "ipv6addr": "2001:DB8::0005/64"}}).networks["red"]
    assert (found.address, found.address6) == ("192.0.2.5/24", "2001:db8::5/64")


def test_removals_and_bonds() -> None:
    found = change(
        {"red": {"remove": True}},
        {"bond0": {"nics": ["eth0", "eth1"], "options": "mode=4 miimon=100"}, "bond1": {"remove": "true"}},
    )
    assert found.networks == {"red": None}
    assert found.bonds == {
        "bond0": BondSpec(name="bond0", nics=("eth0", "eth1"), options={"mode": "4", "miimon": "100"}),
        "bond1": None,
    }


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"switch": "ovs"}, BadNetworkSetting),
        ({"hostQos": {"out": {"ls": {"m2": 1}}}}, BadNetworkSetting),
        ({"dhcpv6": True}, BadNetworkSetting),
        ({"custom": {"bridge_opts": "ageing_time=0"}}, BadNetworkSetting),
        ({"nameservers": ["192.0.2.53", "192.0.2.54"]}, BadNetworkSetting),
        ({"ipaddr": "192.0.2.5"}, BadAddress),
        ({"ipaddr": "192.0.2.5", "netmask": "255.0.255.0"}, BadAddress),
        ({"ipaddr": "192.0.2.5", "netmask": "0.0.0.255"}, BadAddress),
        ({"ipaddr": "192.0.2.5", "prefix": 0}, BadAddress),
        ({"ipaddr": "192.0.2.5", "prefix": 33}, BadAddress),
        ({"ipaddr": "192.0.2.5/24", "prefix": 24}, BadAddress),
        ({"netmask": "255.255.255.0"}, BadAddress),
        ({"prefix": 24, "bootproto": "dhcp"}, BadAddress),
        ({"prefix": 24, "netmask": "255.255.255.0"}, BadNetworkSetting),
        ({"bootproto": "bananas"}, BadNetworkSetting),
        ({"ipv6addr": "2001:db8::1::/64"}, BadAddress),
    ],
)
def test_what_this_host_cannot_do_is_said(sent: dict[str, Any], error: type[Error]) -> None:
    with pytest.raises(error):
        change({"red": sent})


def test_bad_bonds_and_two_default_routes() -> None:
    with pytest.raises(BadBonding):
        change(bondings={"bond0": {"nics": ["eth0"], "options": "mode"}})
    with pytest.raises(BadNetworkSetting):
        change({"red": {"defaultRoute": True}, "blue": {"defaultRoute": True}})


def test_codes_are_vdsms() -> None:
    assert refusal_of(NetworkChangeRuns()).code == 40
    assert refusal_of(ConnectionLost(seconds=4)).code == 10
    assert refusal_of(BadAddress(network="red", value="x", what="address", reason="y")).code == 22
