# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From networks to interfaces: which there are to be, what is below what, and what each carries. No kernel here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from covirt.host.network.model import DEFAULT_MTU, NetworkConfig, NetworkSpec


class Kind(StrEnum):
    """The kernel's words, but for hardware it has none."""

    NIC = "nic"
    BOND = "bond"
    VLAN = "vlan"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An interface as it is to be. ``master``: the bridge or bond it is a port of; ``lower``: what a VLAN is on.

    ``gateways``: of the host's default routes, one for each IP version at most. ``dhcp``: then addresses and
    gateways beside these are the lease's.
    """

    name: str
    kind: Kind
    master: str | None = None
    lower: str | None = None
    vlan: int | None = None
    mtu: int | None = None  # None: as it is
    stp: bool = False
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    dhcp: bool = False
    dhcp_route: bool = False
    autoconf6: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    hwaddr: str | None = None

    @property
    def ours(self) -> bool:
        """Whether covirt makes and removes it."""
        return self.kind is not Kind.NIC


Layout = Mapping[str, Device]

_TARGETS = ("arp_ip_target", "ns_ip6_target")


def bond_targets(name: str, value: str) -> list[str] | None:
    """The addresses that an option lists (a bond takes them one by one); None: it is another option."""
    return value.replace(",", " ").split() if name in _TARGETS else None


def layout_of(config: NetworkConfig) -> dict[str, Device]:
    """Lower interfaces come before what is on them."""
    devices = [*_bases(config), *_vlans(config), *_bridges(config)]
    return {device.name: device for device in devices}


def without(layout: Layout, name: str) -> dict[str, Device]:
    """As if there were no such interface: VLANs on it go, too, and bridges and bonds do without it."""
    left = {}
    gone = []
    for device in layout.values():
        if device.kind is Kind.VLAN and device.lower == name:
            gone.append(device.name)
        if device.name != name:
            master, lower = (None if other == name else other for other in (device.master, device.lower))
            left[device.name] = replace(device, master=master, lower=lower)
    for vlan in gone:
        left = without(left, vlan)
    return left


def _bases(config: NetworkConfig) -> list[Device]:
    """NICs, then bonds."""
    bond_of = {nic: bond.name for bond in config.bonds.values() for nic in bond.nics}
    devices = []
    for nic in sorted(config.nics()):
        above = _direct(config, nic)
        mtu = _mtu(config, bond_of.get(nic, nic))
        device = Device(name=nic, kind=Kind.NIC, master=bond_of.get(nic) or _bridge(above), mtu=mtu)
        devices.append(_carrying(device, above))
    for bond in config.bonds.values():
        above = _direct(config, bond.name)
        device = Device(
            name=bond.name,
            kind=Kind.BOND,
            master=_bridge(above),
            mtu=_mtu(config, bond.name),
            options=bond.options,
            hwaddr=bond.hwaddr,
        )
        devices.append(_carrying(device, above))
    return devices


def _vlans(config: NetworkConfig) -> list[Device]:
    devices = []
    for spec in config.networks.values():
        if spec.vlan is not None and spec.lower is not None:
            device = Device(
                name=spec.lower, kind=Kind.VLAN, master=_bridge(spec), lower=spec.base, vlan=spec.vlan, mtu=spec.mtu
            )
            devices.append(_carrying(device, spec))
    return devices


def _bridges(config: NetworkConfig) -> list[Device]:
    return [
        _with_addresses(Device(name=spec.name, kind=Kind.BRIDGE, lower=spec.lower, mtu=spec.mtu, stp=spec.stp), spec)
        for spec in config.networks.values()
        if spec.bridged
    ]


def _direct(config: NetworkConfig, base: str) -> NetworkSpec | None:
    """The network that uses it without a VLAN; there is one at most."""
    return next((spec for spec in config.networks.values() if spec.base == base and spec.vlan is None), None)


def _bridge(spec: NetworkSpec | None) -> str | None:
    return spec.name if spec is not None and spec.bridged else None


def _mtu(config: NetworkConfig, base: str) -> int:
    """What is on an interface may not be larger than it."""
    return max((spec.mtu for spec in config.networks.values() if spec.base == base), default=DEFAULT_MTU)


def _carrying(device: Device, spec: NetworkSpec | None) -> Device:
    return device if spec is None or spec.bridged else _with_addresses(device, spec)


def _with_addresses(device: Device, spec: NetworkSpec) -> Device:
    gateways = (spec.gateway, spec.gateway6) if spec.default_route else ()
    return replace(
        device,
        addresses=tuple(text for text in (spec.address, spec.address6) if text),
        gateways=tuple(text for text in gateways if text),
        dhcp=spec.dhcp,
        dhcp_route=spec.dhcp and spec.default_route,
        autoconf6=spec.autoconf6,
    )
