# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The host's interfaces, addresses and routes as the kernel has them, read at one moment."""

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_IFF_UP: Final = 1
_ETHERNET: Final = 1  # ARPHRD_ETHER
LINK_SCOPE: Final = 253
_INET: Final = 2
_MAIN_TABLE: Final = 254
_UNICAST: Final = 1
_AUTOMATIC: Final = frozenset({1, 2, 9})  # RTPROT_REDIRECT, _KERNEL, _RA: they come with addresses and advertisements
_STABLE: Final = 0x80  # IFA_F_PERMANENT: not learnt from a router's advertisement


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """To a network by an interface. ``metric``: 0 where it has none."""

    target: str
    gateway: str | None = None
    metric: int = 0

    @property
    def is_default(self) -> bool:
        return self.target.endswith("/0")

    def __str__(self) -> str:
        return f"{self.target} via {self.gateway}" if self.gateway else self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One interface. ``kind``: the kernel's word for a virtual one, None for hardware. ``ports`` of a bridge or a
    bond. ``addresses`` with prefix length, without the automatic ones of the link. ``gateways``: of default routes.
    ``routes``: all that somebody has set, default ones too.
    """

    name: str
    index: int
    kind: str | None = None
    ethernet: bool = True
    mac: str = ""
    mtu: int = 1500
    up: bool = False
    alias: str = ""
    master: str | None = None
    lower: str | None = None
    vlan: int | None = None
    stp: bool = False
    ports: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    learnt: tuple[str, ...] = ()  # of the addresses: those a router's advertisement gave
    gateways: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)  # of a bond, as sysfs has them

    def gateway(self, version: int) -> str | None:
        """Of its default route, when there is exactly one of this IP version."""
        found = {text for text in self.gateways if ipaddress.ip_address(text).version == version}
        return next(iter(found)) if len(found) == 1 else None


@contextlib.contextmanager
def netlink() -> Iterator[Any]:
    """A connection to the kernel for this thread; pyroute2 takes long to import (0.2 s), so it comes late."""
    from pyroute2 import IPRoute

    with IPRoute() as route:
        yield route


def read_links() -> dict[str, Link]:
    """All interfaces by name; about 0.3 ms each."""
    with netlink() as route:
        raw = {link["index"]: link for link in route.get_links()}
        names = {index: str(link.get("ifname")) for index, link in raw.items()}
        addresses, learnt = _addresses(route)
        gateways, routes = _routes(route)
    ports: dict[int, list[str]] = {}
    for index, link in raw.items():
        if link.get("master"):
            ports.setdefault(link.get("master"), []).append(names[index])
    found = {}
    for index, link in raw.items():
        data = link.get(("linkinfo", "data")) or {}
        found[names[index]] = Link(
            name=names[index],
            index=index,
            kind=link.get(("linkinfo", "kind")),
            ethernet=link["ifi_type"] == _ETHERNET,
            mac=link.get("address") or "",
            mtu=link.get("mtu") or 0,
            up=bool(link["flags"] & _IFF_UP),
            alias=link.get("ifalias") or "",
            master=names.get(link.get("master")),
            lower=None if link.get("link_netnsid") is not None else names.get(link.get("link")),
            vlan=data.get("vlan_id") if data else None,
            stp=bool(data and data.get("br_stp_state")),
            ports=tuple(sorted(ports.get(index, ()))),
            addresses=tuple(addresses.get(index, ())),
            learnt=tuple(learnt.get(index, ())),
            gateways=tuple(gateways.get(index, ())),
            routes=tuple(routes.get(index, ())),
            options=_bond_options(names[index]) if link.get(("linkinfo", "kind")) == "bond" else {},
        )
    return found


def _bond_options(name: str) -> dict[str, str]:
    found = {}
    for path in Path("/sys/class/net", name, "bonding").iterdir():
        with contextlib.suppress(OSError):  # a few can only be written
            found[path.name] = path.read_text().strip()
    return found


def _addresses(route: Any) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    found: dict[int, list[str]] = {}
    learnt: dict[int, list[str]] = {}
    for entry in route.get_addr():
        if entry["scope"] == LINK_SCOPE:
            continue
        # IFA_LOCAL is the interface's own where IFA_ADDRESS is its peer's.
        text = f"{entry.get('local') or entry.get('address')}/{entry['prefixlen']}"
        found.setdefault(entry["index"], []).append(text)
        if entry["family"] != _INET and not (entry.get("flags") or 0) & _STABLE:
            learnt.setdefault(entry["index"], []).append(text)
    return found, learnt


def _routes(route: Any) -> tuple[dict[int, list[str]], dict[int, list[Route]]]:
    """The gateways of default routes, and all routes that are set; those over several interfaces are left alone."""
    gateways: dict[int, list[str]] = {}
    found: dict[int, list[Route]] = {}
    for entry in route.get_routes(table=_MAIN_TABLE):
        index, gateway = entry.get("oif"), entry.get("gateway")
        if not index:
            continue
        if entry["dst_len"] == 0 and gateway:
            gateways.setdefault(index, []).append(gateway)
        if entry["type"] == _UNICAST and entry["proto"] not in _AUTOMATIC:
            target = entry.get("dst") or ("0.0.0.0" if entry["family"] == _INET else "::")  # noqa: S104 - no listener
            one = Route(target=f"{target}/{entry['dst_len']}", gateway=gateway, metric=entry.get("priority") or 0)
            found.setdefault(index, []).append(one)
    return gateways, found
