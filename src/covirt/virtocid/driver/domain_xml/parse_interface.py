# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read <interface>: a veth pair with its end in a Linux bridge."""

import ipaddress
from collections.abc import Callable
from typing import Final

from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_devices import (
    FAMILY_BITS,
    Family,
    Interface,
    InterfaceAddress,
    InterfaceType,
    Route,
)
from covirt.virtocid.driver.domain_xml.node import Node
from covirt.virtocid.driver.domain_xml.parse_devices import read_alias

_FAMILY: Final = values.member(Family)
_PREFIX: Final = values.integer(0, 128)
_MTU: Final = values.integer(68, 65535)  # the least IPv4 allows; the most a veth takes


def read_interface(node: Node, *, live: bool) -> Interface:
    kind = node.required("type", values.member(InterfaceType))
    source = node.child("source")
    if source is None:
        raise node.invalid(f"<source {kind}=…> is missing")
    if kind is InterfaceType.NETWORK:
        source.drop("bridge", "portid")  # where libvirt, or a run of ours, plugged it in last
    guest_name, guest_actual = _guest_names(node)
    return Interface(
        type=kind,
        source=source.required(kind, values.interface_name if kind is InterfaceType.BRIDGE else values.not_empty),
        mac=_child_attribute(node, "mac", "address", values.mac_address),
        target=_child_attribute(node, "target", "dev", values.interface_name),
        model=_child_attribute(node, "model", "type", values.word),
        addresses=tuple(_address(child) for child in node.children("ip")),
        routes=tuple(_route(child) for child in node.children("route")),
        link_up=_link_up(node),
        guest_name=guest_name,
        guest_actual=guest_actual if live else None,
        mtu=_mtu(node),
        filter_off=bool(node.attribute("trustGuestRxFilters", values.yes_no)),
        alias=read_alias(node, live=live),
        kept=node.kept(),
    )


def _child_attribute(node: Node, tag: str, attribute: str, read: Callable[[str], str]) -> str | None:
    child = node.child(tag)
    return child.attribute(attribute, read) if child else None


def _link_up(node: Node) -> bool:
    return _child_attribute(node, "link", "state", values.choice("up", "down")) != "down"


def _guest_names(node: Node) -> tuple[str | None, str | None]:
    guest = node.child("guest")
    if guest is None:
        return None, None
    actual = guest.attribute("actual", values.interface_name)
    return guest.attribute("dev", values.interface_name), actual


def _mtu(node: Node) -> int | None:
    child = node.child("mtu")
    return child.attribute("size", _MTU) if child else None


def _address(node: Node) -> InterfaceAddress:
    address = node.required("address", values.ip_address)
    family = _family(node, address)
    item = InterfaceAddress(
        family=family,
        address=address,
        prefix=_prefix(node, family),
        peer=node.attribute("peer", values.ip_address),
    )
    node.close()
    if item.peer is not None and _family_of(item.peer) != family:
        raise node.invalid(f"{item.peer} is not an {family} address", attribute="peer")
    if ipaddress.ip_address(address).is_unspecified or ipaddress.ip_address(address).is_multicast:
        raise node.invalid(f"{address} cannot be the address of an interface", attribute="address")
    if item.peer is not None:
        node.report("peer")  # a veth's end in a bridge has no single other side
    return item


def _route(node: Node) -> Route:
    address = node.required("address", values.ip_address)
    family = _family(node, address)
    netmask = node.attribute("netmask", values.netmask_prefix)
    prefix = _prefix(node, family)
    if netmask is not None and prefix is not None:
        raise node.invalid("netmask and prefix say the same thing twice; leave one away")
    if netmask is not None and family is Family.IPV6:
        raise node.invalid("an IPv6 route has a prefix, not a netmask", attribute="netmask")
    item = Route(
        family=family,
        address=address,
        gateway=node.required("gateway", values.ip_address),
        prefix=netmask if prefix is None else prefix,
        metric=node.attribute("metric", values.integer(1, 2**32 - 1)),
    )
    node.close()
    if _family_of(item.gateway) != family:
        raise node.invalid(f"{item.gateway} is not an {family} address", attribute="gateway")
    return item


def _family_of(address: str) -> Family:
    return Family.IPV6 if ipaddress.ip_address(address).version == 6 else Family.IPV4


def _family(node: Node, address: str) -> Family:
    """The address says its family; the attribute may only agree."""
    family = _family_of(address)
    written = node.attribute("family", _FAMILY)
    if written is not None and written != family:
        raise node.invalid(f"{address} is not an {written} address", attribute="family")
    return family


def _prefix(node: Node, family: Family) -> int | None:
    prefix = node.attribute("prefix", _PREFIX)
    if prefix is not None and prefix > FAMILY_BITS[family]:
        raise node.invalid(f"{prefix} is longer than an {family} address", attribute="prefix")
    return prefix
