# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether networks can be on this host: looked at before anything is changed."""

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, Protocol, TypeVar

from covirt.host.network.errors import (
    BadAddress,
    BadBonding,
    BadBridge,
    BadNetworkSetting,
    BadVlan,
    BondInUse,
    ForeignLink,
    GuestsOnNetwork,
    NicInUse,
    NoSuchNic,
)
from covirt.host.network.layout import Kind, Layout, layout_of
from covirt.host.network.links import Link
from covirt.host.network.model import BondSpec, NetworkChange, NetworkConfig, NetworkSpec

# Vdsm's rule, and the kernel's: IFNAMSIZ in bytes, and to it "%d" is a place for a number.
_NAME: Final = re.compile(r"(?!-)[!-~]{1,15}")
_NAME_SIGNS: Final = frozenset("%:./")
_KERNELS_NAMES: Final = ("all", "default", "bonding_masters")  # beside the interfaces in /proc/sys/net and /sys
_BOND_NAME: Final = re.compile(r"bond\w{1,11}", re.ASCII)
_MAC: Final = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)  # one interface's
_BOND_OPTION: Final = re.compile(r"[a-z_]+")
_MOST_VLANS: Final = 4094
_LEAST_MTU: Final = 68
_MOST_MTU: Final = 65_535


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


Parsed = TypeVar("Parsed", bound=_Versioned)


def nics_of(links: Mapping[str, Link], virtual: Sequence[str], hidden: Sequence[str]) -> dict[str, Link]:
    """Hardware, and the virtual interfaces that count as such by their names (a host may itself be a guest)."""

    def counts(link: Link) -> bool:
        if not link.ethernet or any(fnmatchcase(link.name, pattern) for pattern in hidden):
            return False
        if link.kind is None:
            return True
        return link.kind == "veth" and any(fnmatchcase(link.name, pattern) for pattern in virtual)

    return {name: link for name, link in links.items() if counts(link)}


def check_change(
    change: NetworkChange,
    config: NetworkConfig,
    *,
    links: Mapping[str, Link],
    nics: Mapping[str, Link],
    alias: str,
    known: Collection[str] = (),
) -> None:
    """Whether ``change`` may lead to ``config``; ``known`` as in check_ownership(). Raises this package's errors."""
    for spec in change.networks.values():
        if spec is not None:
            _check_network(spec, config, nics)
    for name, bond in change.bonds.items():
        if not _BOND_NAME.fullmatch(name):
            raise BadBonding(
                bond=repr(name), reason="its name is bond and 1 to 11 letters, digits or _; give it such a name"
            )
        if bond is not None:
            _check_bond(bond, nics)
    _check_bonds_left(change, config)
    _check_uses(config)
    check_ownership(layout_of(config), links, alias, known=known)


def _check_network(spec: NetworkSpec, config: NetworkConfig, nics: Mapping[str, Link]) -> None:
    if spec.bridged:
        _check_bridge_name(spec.name, config)
    if spec.nic and spec.bond:
        raise BadNetworkSetting(name=f"network {spec.name}", reason="it is on a NIC or on a bond, not on both")
    if spec.nic and spec.nic not in nics:
        raise NoSuchNic(nic=spec.nic, nics=", ".join(sorted(nics)) or "none")
    if spec.bond and spec.bond not in config.bonds:
        raise BadBonding(bond=spec.bond, reason="there is no bond of this name, and the call makes none")
    if spec.vlan is not None:
        _check_vlan(spec)
    if not spec.bridged and spec.base is None:
        raise BadNetworkSetting(name=f"network {spec.name}", reason="without a bridge it needs a NIC or a bond")
    if not _LEAST_MTU <= spec.mtu <= _MOST_MTU:
        raise BadNetworkSetting(name=f"network {spec.name}", reason=f"an MTU is {_LEAST_MTU} to {_MOST_MTU}")
    _check_addresses(spec)


def _check_bridge_name(name: str, config: NetworkConfig) -> None:
    def refuse(reason: str) -> None:
        raise BadBridge(network=repr(name), reason=f"{reason}; choose another one")

    if not _NAME.fullmatch(name) or _NAME_SIGNS & set(name):
        refuse("a bridge's name is 1 to 15 ASCII characters that do not begin with -, without space, % : . and /")
    if name in _KERNELS_NAMES:
        refuse("the kernel keeps this name to itself")
    if name in config.bonds:
        refuse("a bond has this name")


def _check_vlan(spec: NetworkSpec) -> None:
    if spec.base is None:
        raise BadVlan(network=spec.name, vlan=spec.vlan, reason="there is no NIC and no bond for it")
    if spec.vlan is None or not 0 < spec.vlan <= _MOST_VLANS:
        raise BadVlan(network=spec.name, vlan=spec.vlan, reason=f"it is 1 to {_MOST_VLANS}")
    if len(f"{spec.base}.{spec.vlan}") > 15:
        raise BadVlan(
            network=spec.name, vlan=spec.vlan, reason=f"{spec.base}.{spec.vlan} is longer than 15 characters"
        )


def _check_addresses(spec: NetworkSpec) -> None:
    for what, text, version in (("address", spec.address, 4), ("IPv6 address", spec.address6, 6)):
        if text is not None:
            reason = _no_hosts(_parsed(spec.name, what, text, version, ipaddress.ip_interface))
            if reason:
                raise BadAddress(network=spec.name, value=text, what=what, reason=reason)
    for what, text, own, version in (
        ("gateway", spec.gateway, spec.address, 4), ("IPv6 gateway", spec.gateway6, spec.address6, 6)
    ):  # fmt: skip
        if text is None:
            continue
        gateway = _parsed(spec.name, what, text, version, ipaddress.ip_address)
        if own is None:
            raise BadAddress(network=spec.name, value=text, what=what, reason="there is no address beside it")
        interface = ipaddress.ip_interface(own)
        if version == 4 and gateway not in interface.network:
            raise BadAddress(network=spec.name, value=text, what=what, reason=f"it is not in the network of {own}")
        if gateway == interface.ip:
            raise BadAddress(network=spec.name, value=text, what=what, reason="it is this host's own address")
    if spec.dhcp and spec.address:
        raise BadAddress(network=spec.name, value=spec.address, what="address", reason="it asks for DHCP too")


def _no_hosts(address: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> str:
    """Why no host can have it; empty: one can."""
    network = address.network
    if address.ip.is_unspecified or address.ip.is_multicast or address.ip.is_loopback:
        return "it is not an address that one host has on a network"
    if network.version == 4 and network.num_addresses > 2:
        if address.ip == network.network_address:
            return "it is the network's own address"
        if address.ip == network.broadcast_address:
            return "it is the network's broadcast address"
    return ""


def _parsed(network: str, what: str, text: str, version: int, parse: Callable[[str], Parsed]) -> Parsed:
    try:
        found = parse(text)
    except ValueError as error:
        raise BadAddress(network=network, value=text, what=what, reason="it is no address") from error
    if "%" in text:
        raise BadAddress(
            network=network, value=text, what=what, reason="it names an interface; leave out what is from %"
        )
    if found.version != version:
        raise BadAddress(network=network, value=text, what=what, reason=f"it is not of IP version {version}")
    return found


def _check_bond(bond: BondSpec, nics: Mapping[str, Link]) -> None:
    if not bond.nics:
        raise BadNetworkSetting(name=f"bond {bond.name}", reason="it needs a NIC")
    for nic in bond.nics:
        if nic not in nics:
            raise NoSuchNic(nic=nic, nics=", ".join(sorted(nics)) or "none")
    if bond.hwaddr is not None and not _MAC.fullmatch(bond.hwaddr):
        raise BadBonding(bond=bond.name, reason=f"{bond.hwaddr!r} is no address of one network interface")
    for name, value in bond.options.items():
        # They become file names and contents.
        if not _BOND_OPTION.fullmatch(name) or not value.isprintable():
            raise BadBonding(bond=bond.name, reason=f"{name!r} is no option of a bond")


def _check_bonds_left(change: NetworkChange, config: NetworkConfig) -> None:
    for name, bond in change.bonds.items():
        users = sorted(spec.name for spec in config.networks.values() if spec.bond == name)
        if bond is None and users:
            raise BondInUse(bond=name, networks=", ".join(users))


def _check_uses(config: NetworkConfig) -> None:
    users: dict[tuple[str, int | None], list[str]] = {}
    for spec in config.networks.values():
        if spec.base:
            users.setdefault((spec.base, spec.vlan), []).append(spec.name)
    for (base, _vlan), names in users.items():
        if len(names) > 1:
            raise BadNetworkSetting(name=base, reason=f"{' and '.join(sorted(names))} cannot both be on it alike")
    slaves: dict[str, list[str]] = {}
    for bond in config.bonds.values():
        for nic in bond.nics:
            slaves.setdefault(nic, []).append(bond.name)
    for nic, bonds in slaves.items():
        uses = [*bonds, *(spec.name for spec in config.networks.values() if spec.nic == nic)]
        if len(uses) > 1:
            raise NicInUse(nic=nic, users=" and ".join(sorted(uses)))
    if sum(spec.default_route for spec in config.networks.values()) > 1:
        raise BadNetworkSetting(name="default route", reason="only one network can have it")


def check_ownership(wanted: Layout, links: Mapping[str, Link], alias: str, *, known: Collection[str]) -> None:
    """``known``: the interfaces of networks so far; other ports of our bridges are guests'.

    Raises ForeignLink, NicInUse, GuestsOnNetwork where somebody else's interface would be touched.
    """
    for device in wanted.values():
        link = links.get(device.name)
        if link is None:
            continue
        if device.ours and link.alias != alias:
            raise ForeignLink(name=device.name)
        if device.kind is Kind.NIC and link.master is not None and links[link.master].alias != alias:
            raise NicInUse(nic=device.name, users=link.master)
    for link in links.values():
        if link.alias == alias and link.kind == "bridge" and link.name not in wanted:
            others = [name for name in link.ports if name not in known and links[name].alias != alias]
            if others:
                raise GuestsOnNetwork(network=link.name, ports=", ".join(others))
