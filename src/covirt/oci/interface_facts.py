# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of the interfaces inside a container: names, addresses, counters; and whom the host hears.

Asked from outside by netlink, so nothing of the container runs for it and nothing in it can lie.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from covirt.oci.cgroup import NetworkCounters
from covirt.oci.interface import explained, in_network_namespace
from covirt.oci.isolation_errors import InterfaceFailed

# A container with NET_ADMIN may make as many as it likes; libvirt's protocol carries 2048 of each.
_MOST_INTERFACES: Final = 1024
_MOST_ADDRESSES: Final = 1024
_FAMILIES: Final = {2: 4, 10: 6}  # AF_INET, AF_INET6
_UP: Final = 1  # IFF_UP
_COMPLETE: Final = 0x2  # ATF_COM


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFacts:
    """``version`` is 4 or 6."""

    version: int
    address: str
    prefix: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceFacts:
    """One interface inside, loopback too. ``mac`` is lower case; counters are as the container sees them."""

    name: str
    index: int
    mac: str | None
    mtu: int
    up: bool
    addresses: tuple[AddressFacts, ...]
    counters: NetworkCounters


def read_interfaces(network_namespace: Path) -> tuple[InterfaceFacts, ...]:
    """The interfaces of a network namespace, by index. Takes some milliseconds. Raises InterfaceFailed."""
    try:
        namespace = os.open(network_namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InterfaceFailed(name="*", step="looking into the container", reason=error.strerror) from error
    try:
        return in_network_namespace(namespace, _read)
    finally:
        os.close(namespace)


def addresses_heard(mac: str, bridge: str) -> tuple[str, ...]:
    """IPv4 addresses that the host's neighbour table has for a MAC address on a bridge."""
    found = []
    with open("/proc/net/arp", encoding="ascii", errors="replace") as stream:
        for line in stream.readlines()[1:]:
            # IP address, HW type, Flags, HW address, Mask, Device
            words = line.split()
            if len(words) == 6 and words[3] == mac.lower() and words[5] == bridge and int(words[2], 16) & _COMPLETE:
                found.append(words[0])
    return tuple(found)


def _read(inside: Any) -> tuple[InterfaceFacts, ...]:
    with explained("*", "listing the container's interfaces"):
        links = list(inside.link("dump"))[:_MOST_INTERFACES]
        addresses: dict[int, list[AddressFacts]] = {}
        for number, message in enumerate(inside.addr("dump")):
            if message["family"] in _FAMILIES and number < _MOST_ADDRESSES:
                addresses.setdefault(message["index"], []).append(_address(message))
    return tuple(_interface(link, addresses.get(link["index"], ())) for link in sorted(links, key=_index))


def _index(link: Any) -> int:
    return int(link["index"])


def _address(message: Any) -> AddressFacts:
    # IFA_LOCAL is the own one where the other end of a point-to-point link is IFA_ADDRESS.
    address = message.get("local") or message.get("address")
    return AddressFacts(version=_FAMILIES[message["family"]], address=address, prefix=message["prefixlen"])


def _interface(link: Any, addresses: "list[AddressFacts] | tuple[()]") -> InterfaceFacts:
    name, stats = link.get("ifname"), link.get("stats64") or {}
    return InterfaceFacts(
        # The container may have named it; a name that is no text must not break whoever prints it.
        name=name if isinstance(name, str) else bytes(name).decode(errors="replace"),
        index=link["index"],
        mac=link.get("address"),
        mtu=link.get("mtu") or 0,
        up=bool(link["flags"] & _UP),
        addresses=tuple(addresses),
        counters=NetworkCounters(
            *(
                stats.get(f"{way}_{what}", 0)
                for way in ("rx", "tx")
                for what in ("bytes", "packets", "errors", "dropped")
            )
        ),
    )
