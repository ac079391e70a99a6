# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs about the host's networks, answered; here an engine's attributes become covirt's words."""

import ipaddress
from collections.abc import Mapping
from typing import Final

from covirt.host.network.errors import BadAddress, BadBonding, BadNetworkSetting
from covirt.host.network.facts import nameservers
from covirt.host.network.model import DEFAULT_MTU, BondSpec, NetworkChange, NetworkSpec
from covirt.host.network.networks import ChangeOptions, Networks
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.hostapi.json import JsonValue
from covirt.hostapi.network import BondAttributes, NetworkAttributes, SetupNetworksParams
from covirt.hostapi.verb import Params

# By what an engine may write: Python takes more for masks, as 0 and masks the other way round.
_MASKS: Final[Mapping[str, int]] = {
    text: length
    for length in range(1, 33)
    for text in (str(length), str(ipaddress.IPv4Network(f"0.0.0.0/{length}").netmask))
}


class NetworkVerbs:
    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "Host.setupNetworks": self.setup_networks,
            "Host.confirmConnectivity": self.confirm_connectivity,
            "Host.setSafeNetworkConfig": self.set_safe_network_config,
        }

    def setup_networks(self, params: SetupNetworksParams, _context: CallContext) -> JsonValue:
        change = change_of(params)
        options = params.options
        self._networks.change(
            change,
            ChangeOptions(
                confirm_seconds=options.connectivity_timeout if options.connectivity_check else None,
                keep=options.commit_on_success,
            ),
        )
        return None

    def confirm_connectivity(self, _params: Params, _context: CallContext) -> JsonValue:
        self._networks.confirm()
        return None

    def set_safe_network_config(self, _params: Params, _context: CallContext) -> JsonValue:
        self._networks.make_safe()
        return None


def change_of(params: SetupNetworksParams) -> NetworkChange:
    """Raises BadNetworkSetting, BadAddress, BadBonding."""
    networks = {name: None if one.remove else _network(name, one) for name, one in params.networks.items()}
    asked = [name for name, spec in networks.items() if spec is not None and spec.default_route]
    if len(asked) > 1:
        raise BadNetworkSetting(name="default route", reason=f"only one of {' and '.join(asked)} can have it")
    bonds = {name: None if one.remove else _bond(name, one) for name, one in params.bondings.items()}
    return NetworkChange(networks=networks, bonds=bonds)


def _network(name: str, asked: NetworkAttributes) -> NetworkSpec:
    _refuse_what_is_absent(name, asked)
    return NetworkSpec(
        name=name,
        nic=asked.nic,
        bond=asked.bonding,
        vlan=asked.vlan,
        bridged=asked.bridged,
        mtu=DEFAULT_MTU if asked.mtu is None else asked.mtu,
        stp=asked.stp,
        dhcp=_asks_dhcp(name, asked.bootproto),
        address=_address(name, asked),
        gateway=asked.gateway,
        address6=_address6(name, asked.ipv6addr),
        gateway6=asked.ipv6gateway,
        autoconf6=asked.ipv6autoconf,
        default_route=asked.default_route,
    )


def _refuse_what_is_absent(name: str, asked: NetworkAttributes) -> None:
    def refuse(reason: str) -> None:
        raise BadNetworkSetting(name=f"network {name}", reason=reason)

    if asked.switch not in {None, "legacy"}:
        refuse(f"this host has Linux bridges only, and no switch of type {asked.switch!r}")
    if asked.host_qos:
        refuse("this host limits no traffic of a network; leave hostQos out")
    if asked.dhcpv6:
        refuse("this host has no DHCPv6 client; use ipv6autoconf or an address")
    if asked.custom and asked.custom.get("bridge_opts"):
        refuse("this host sets no bridge_opts")
    if asked.nameservers and sorted(asked.nameservers) != sorted(nameservers()):
        refuse("this host's DNS servers are the administrator's; change /etc/resolv.conf, or leave nameservers out")


def _asks_dhcp(name: str, protocol: str | None) -> bool:
    if protocol not in {None, "none", "dhcp"}:
        raise BadNetworkSetting(name=f"network {name}", reason=f"its bootproto is none or dhcp, and not {protocol!r}")
    return protocol == "dhcp"


def _address(name: str, asked: NetworkAttributes) -> str | None:
    if asked.netmask is not None and asked.prefix is not None:
        raise BadNetworkSetting(name=f"network {name}", reason="it has a netmask and a prefix; give one of them")
    what, mask = ("netmask", asked.netmask) if asked.prefix is None else ("prefix", asked.prefix)
    if asked.ipaddr is None:
        if mask is not None:
            raise BadAddress(network=name, value=mask, what=what, reason="there is no ipaddr beside it")
        return None
    if mask is None:
        raise BadAddress(network=name, value=asked.ipaddr, what="ipaddr", reason="there is no netmask beside it")
    try:
        address = ipaddress.IPv4Address(asked.ipaddr)
    except ValueError as error:
        raise BadAddress(network=name, value=asked.ipaddr, what="ipaddr", reason="it is no IPv4 address") from error
    length = _MASKS.get(str(mask))
    if length is None:
        raise BadAddress(network=name, value=mask, what=what, reason="it is no netmask, as 255.255.255.0 or 24")
    return f"{address}/{length}"


def _address6(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ipaddress.IPv6Interface(text))
    except ValueError as error:
        reason = "it is no IPv6 address with its prefix, as 2001:db8::5/64"
        raise BadAddress(network=name, value=text, what="ipv6addr", reason=reason) from error


def _bond(name: str, asked: BondAttributes) -> BondSpec:
    if asked.switch not in {None, "legacy"}:
        raise BadBonding(bond=name, reason=f"this host has no switch of type {asked.switch!r}")
    options = {}
    for pair in (asked.options or "").split():
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadBonding(bond=name, reason=f"the option {pair!r} has no value")
        options[key] = value
    return BondSpec(name=name, nics=asked.nics, options=options, hwaddr=asked.hwaddr)
