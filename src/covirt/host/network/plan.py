# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The steps from the interfaces that are to those that are to be: nothing done, only told.

A plan is made from what the kernel has at that moment, so the way back after a failure, the way on after a kill, and
the way from nothing after a reboot are plans too. What covirt did not make is changed only where a network names it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from covirt.host.network.layout import Device, Kind, Layout, bond_targets
from covirt.host.network.links import Link, Route

_ALIAS: Final = "covirt-network:"  # every interface that we made carries it, with the root's id


class Action(StrEnum):
    DELETE = "delete"
    CREATE = "create"
    DETACH = "detach"
    ATTACH = "attach"  # value: the master
    MTU = "mtu"
    MAC = "mac"  # value: the interface whose address it gets; without one its own is made to last
    STP = "stp"  # value: on or off
    UP = "up"
    DOWN = "down"
    IPV6 = "ipv6"  # value: see Ipv6
    DROP_ADDRESS = "drop address"
    ADD_ADDRESS = "add address"
    DROP_GATEWAY = "drop gateway"
    ADD_GATEWAY = "add gateway"
    DROP_ROUTE = "drop route"
    ADD_ROUTE = "add route"


class Ipv6(StrEnum):
    """What an interface does with it."""

    OFF = "off"
    STATIC = "static"  # what we give it, nothing that a router says
    AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    action: Action
    name: str
    value: str = ""
    device: Device | None = None  # of CREATE
    route: Route | None = None  # of ADD_ROUTE and DROP_ROUTE

    def __str__(self) -> str:
        return f"{self.name}: {self.action} {self.value}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What a NIC had before a network took it."""

    mtu: int
    up: bool
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    ipv6: Ipv6 = Ipv6.AUTO

    @classmethod
    def of(cls, link: Link, ipv6: Ipv6) -> "Original":
        stable = tuple(text for text in link.addresses if text not in link.learnt)
        return cls(mtu=link.mtu, up=link.up, addresses=stable, gateways=link.gateways, routes=link.routes, ipv6=ipv6)

    def without_addresses(self) -> "Original":
        """As a NIC is left that a network gives up: the addresses were the network's."""
        return replace(self, addresses=(), gateways=(), routes=())

    @classmethod
    def from_record(cls, value: Mapping[str, Any]) -> "Original":
        lists = {name: tuple(value[name]) for name in ("addresses", "gateways")}
        routes = tuple(Route(**one) for one in value.get("routes", ()))
        return cls(**{**value, **lists, "routes": routes, "ipv6": Ipv6(value["ipv6"])})

    def record(self) -> dict[str, Any]:
        return asdict(self)


def alias_of(root_id: str) -> str:
    return f"{_ALIAS}{root_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a plan starts from. ``alias`` marks our interfaces. ``released``: NICs that go back to what they had.

    ``leased``: addresses and gateways by interface that DHCP gave, which are kept where DHCP stays.
    """

    links: Mapping[str, Link]
    alias: str
    released: Mapping[str, Original]
    leased: Mapping[str, tuple[str, ...]]


def plan(situation: Situation, wanted: Layout) -> list[Step]:
    """What to do, in order; where all is as wanted, only settings that may be written again."""
    links = situation.links
    doomed = _doomed(situation, wanted)
    steps = [step for device in wanted.values() for step in _losses(situation, device, doomed)]
    # What is on top goes first.
    order = {"bridge": 0, "vlan": 1}
    doomed.sort(key=lambda link: order.get(link.kind or "", 2))
    steps += [Step(action=Action.DELETE, name=link.name) for link in doomed]
    remaining = {
        name: _detached(link, situation, doomed, wanted) for name, link in links.items() if link not in doomed
    }
    for name, original in situation.released.items():
        if name in remaining and not _is_somebody_elses(remaining[name], situation):
            steps += _restored(remaining[name], original, remaining)
    for device in wanted.values():
        steps += _made(device, remaining.get(device.name))
    for device in wanted.values():
        if device.kind is Kind.BRIDGE:
            steps += _bridge_mac(device, remaining, wanted)
        steps += _gains(device, remaining.get(device.name))
    return steps


def _doomed(situation: Situation, wanted: Layout) -> list[Link]:
    """What we made and is to be no more, or not as it is; the kernel takes VLANs along with what they are on."""
    found = [link for link in situation.links.values() if link.alias == situation.alias and not _fits(link, wanted)]
    names = {link.name for link in found}
    found += [link for link in situation.links.values() if link.lower in names and link not in found]
    return found


def _is_somebody_elses(link: Link, situation: Situation) -> bool:
    """A port of a bridge or bond that we did not make."""
    master = situation.links.get(link.master or "")
    return master is not None and master.alias != situation.alias


def _detached(link: Link, situation: Situation, doomed: list[Link], wanted: Layout) -> Link:
    """As it is once it has left what it leaves."""
    master = situation.links.get(link.master or "")
    device = wanted.get(link.name)
    if master is None or (master not in doomed and (device is None or device.master == master.name)):
        return link
    return _out_of(link, master)


def _out_of(link: Link, master: Link) -> Link:
    if master.kind != "bond":
        return replace(link, master=None)
    # The kernel closes what leaves a bond, and gives it the address and the MTU that it came with.
    return replace(link, master=None, up=False, mtu=0, mac="")


def _fits(link: Link, wanted: Layout) -> bool:
    device = wanted.get(link.name)
    if device is None or link.kind != device.kind:
        return False
    if device.kind is Kind.BOND:
        # Most options are taken only before there are NICs in it.
        return all(_is_set(link.options.get(name, "").split(), name, value) for name, value in device.options.items())
    return device.kind is not Kind.VLAN or (link.lower, link.vlan) == (device.lower, device.vlan)


def _is_set(words: list[str], name: str, value: str) -> bool:
    """``words``: sysfs's, as "802.3ad 4", which are names of one value."""
    targets = bond_targets(name, value)
    return value in words if targets is None else set(targets) == set(words)


def _losses(situation: Situation, device: Device, doomed: list[Link]) -> Iterator[Step]:
    """Routes and addresses first: the same ones may be wanted elsewhere."""
    link = situation.links.get(device.name)
    if link is None or link in doomed:
        return
    kept = {*device.addresses, *device.gateways, *(situation.leased.get(device.name, ()) if device.dhcp else ())}
    if device.autoconf6:
        kept |= {*link.learnt, *(text for text in link.gateways if ":" in text)}
    for gateway in link.gateways:
        if gateway not in kept:
            yield Step(action=Action.DROP_GATEWAY, name=device.name, value=gateway)
    for address in link.addresses:
        if address not in kept:
            yield Step(action=Action.DROP_ADDRESS, name=device.name, value=address)
    if link.master is not None and link.master != device.master:
        yield Step(action=Action.DETACH, name=device.name)


def _restored(link: Link, original: Original, links: Mapping[str, Link]) -> Iterator[Step]:
    if link.master is not None:
        yield Step(action=Action.DETACH, name=link.name)
        link = _out_of(link, links[link.master])
    if link.mtu != original.mtu:
        yield Step(action=Action.MTU, name=link.name, value=str(original.mtu))
    yield Step(action=Action.IPV6, name=link.name, value=original.ipv6)
    if link.up != original.up:
        yield Step(action=Action.UP if original.up else Action.DOWN, name=link.name)
    yield from _exchanged(link, original)


def _exchanged(link: Link, original: Original) -> Iterator[Step]:
    for gateway in link.gateways:
        if gateway not in original.gateways:
            yield Step(action=Action.DROP_GATEWAY, name=link.name, value=gateway)
    for address in link.addresses:
        if address not in original.addresses and address not in link.learnt:
            yield Step(action=Action.DROP_ADDRESS, name=link.name, value=address)
    for address in original.addresses:
        if address not in link.addresses:
            yield Step(action=Action.ADD_ADDRESS, name=link.name, value=address)
    yield from _put_back(link, original)


def _put_back(link: Link, original: Original) -> Iterator[Step]:
    """A gateway may be behind a route of its own, so those without one come first."""
    for route in sorted(original.routes, key=lambda one: (one.gateway is not None, one.is_default)):
        if route not in link.routes:
            yield Step(action=Action.ADD_ROUTE, name=link.name, value=str(route), route=route)
    known = {*link.gateways, *(route.gateway for route in original.routes if route.is_default)}
    for gateway in original.gateways:
        if gateway not in known:
            yield Step(action=Action.ADD_GATEWAY, name=link.name, value=gateway)


def _made(device: Device, link: Link | None) -> Iterator[Step]:
    if link is None and device.ours:
        yield Step(action=Action.CREATE, name=device.name, device=device)
    if device.mtu is not None and (link is None or link.mtu != device.mtu):
        yield Step(action=Action.MTU, name=device.name, value=str(device.mtu))
    if device.kind is Kind.BRIDGE and link is not None and link.stp != device.stp:
        yield Step(action=Action.STP, name=device.name, value="on" if device.stp else "off")


def _bridge_mac(device: Device, links: Mapping[str, Link], wanted: Layout) -> Iterator[Step]:
    """A bridge without an address of its own takes the lowest of its ports', and so changes it with its guests.

    A new bond has one only with its first NIC.
    """
    link = links.get(device.name)
    base = device.lower
    while base is not None and base in wanted and wanted[base].kind is Kind.VLAN:
        base = wanted[base].lower
    if base is not None:
        if link is None or base not in links or link.mac != links[base].mac:
            yield Step(action=Action.MAC, name=device.name, value=base)
    elif link is None:
        yield Step(action=Action.MAC, name=device.name)  # the one that it was born with


def _gains(device: Device, link: Link | None) -> Iterator[Step]:
    if device.master is not None and (link is None or link.master != device.master):
        yield Step(action=Action.ATTACH, name=device.name, value=device.master)
    mode = Ipv6.AUTO if device.autoconf6 else Ipv6.STATIC if any(":" in a for a in device.addresses) else Ipv6.OFF
    yield Step(action=Action.IPV6, name=device.name, value=mode)
    if link is None or not link.up:
        yield Step(action=Action.UP, name=device.name)
    for address in device.addresses:
        if link is None or address not in link.addresses:
            yield Step(action=Action.ADD_ADDRESS, name=device.name, value=address)
    for gateway in device.gateways:
        if link is None or gateway not in link.gateways:
            yield Step(action=Action.ADD_GATEWAY, name=device.name, value=gateway)
