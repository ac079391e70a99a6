# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a DHCP server said, read strictly from the lease file that the DHCP client's events are appended to.

The file holds one record for each event: the event's environment as the kernel shows it (``NAME=VALUE``, each ended
by a NUL byte), then the hook's own one line, which begins with ``#!`` and so is no variable. Whatever a server sends
stays inside one VALUE; here it becomes an address, a route or a name, or nothing.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from covirt.common.errors import InvalidRequest

_DOMAIN: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?")
_MOST_ROUTES: Final = 64
_MOST_NAMESERVERS: Final = 3  # resolv.conf(5), MAXNS
_MOST_DOMAINS: Final = 6
_LEAST_MTU: Final = 576  # RFC 791: what every host must take; less than that only hurts
_EVERYTHING: Final = "0.0.0.0/0"


class BadLease(InvalidRequest):
    template = "the DHCP server's answer is of no use: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An address with what came with it. ``routes``: destination and gateway, the default route among them; a gateway
    None means that the destination is on the link. Two are equal when the same is to be configured for them.
    """

    address: str
    prefix: int
    routes: tuple[tuple[str, str | None], ...] = ()
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    mtu: int | None = None
    server: str | None = None
    seconds: int | None = field(default=None, compare=False)

    @property
    def cidr(self) -> str:
        return f"{self.address}/{self.prefix}"

    @classmethod
    def from_record(cls, value: Mapping[str, Any]) -> "Lease":
        """What dataclasses.asdict() gave, after a way through JSON. Raises KeyError, TypeError."""
        lists: dict[str, Any] = {name: tuple(value[name]) for name in ("nameservers", "search")}
        lists["routes"] = tuple((target, gateway) for target, gateway in value["routes"])
        return cls(**{**value, **lists})


def last_event(data: bytes) -> Mapping[str, str] | None:
    """The variables of the newest complete record; None when there is none."""
    newest = None
    for variables in _records(data):
        if "interface" in variables:  # else the head of it was cut off with an older part of the file
            newest = variables
    return newest


def _records(data: bytes) -> Iterator[dict[str, str]]:
    variables: dict[str, str] = {}
    for token in data.split(b"\0"):
        text = token
        if token.startswith(b"#!"):
            _, newline, text = token.partition(b"\n")
            if not newline:
                return
            yield variables
            variables = {}
        name, equals, value = text.partition(b"=")
        if equals:
            variables[name.decode("ascii", "replace")] = value.decode("ascii", "replace")


def lease_of(event: Mapping[str, str]) -> Lease | None:
    """The lease that an event tells of; None: the client has none (now, or any more). Raises BadLease.

    Names are busybox's. Only an acknowledged lease has a time.
    """
    if "ip" not in event or "lease" not in event:
        return None
    address = _address(event["ip"])
    if address is None:
        raise BadLease(reason=f"{event['ip']!r} cannot be a host's address")
    prefix = _prefix(event)
    return Lease(
        address=str(address),
        prefix=prefix,
        routes=_routes(event),
        nameservers=tuple(_addresses(event.get("dns", "")))[:_MOST_NAMESERVERS],
        search=_domains(event.get("search") or event.get("domain", "")),
        mtu=_number(event.get("mtu", ""), least=_LEAST_MTU, most=65_535),
        server=next(_addresses(event.get("serverid", "")), None),
        seconds=_number(event["lease"], least=1, most=2**32 - 1),
    )


def _prefix(event: Mapping[str, str]) -> int:
    try:
        prefix = ipaddress.IPv4Network(f"0.0.0.0/{event.get('subnet', '')}").prefixlen
    except ValueError as error:
        raise BadLease(reason=f"the netmask {event.get('subnet')!r} is none") from error
    if prefix == 0:
        raise BadLease(reason="its network is the whole Internet")
    return prefix


def _routes(event: Mapping[str, str]) -> tuple[tuple[str, str | None], ...]:
    """RFC 3442: a server that sends classless routes sends the default route among them, and no other counts."""
    words = event.get("staticroutes", "").split()
    routes: list[tuple[str, str | None]] = []
    for target, gateway in zip(words[::2], words[1::2], strict=False):
        try:
            network = ipaddress.IPv4Network(target)
            direct = ipaddress.IPv4Address(gateway).is_unspecified
        except ValueError:
            continue
        if direct or _address(gateway) is not None:
            routes.append((str(network), None if direct else gateway))
    if words:
        return tuple(dict(routes).items())[:_MOST_ROUTES]
    router = next(_addresses(event.get("router", "")), None)
    return () if router is None else ((_EVERYTHING, router),)


def _address(text: str) -> ipaddress.IPv4Address | None:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return None
    odd = address.is_unspecified or address.is_multicast or address.is_loopback or address.is_reserved
    return None if odd else address


def _addresses(text: str) -> Iterator[str]:
    for word in dict.fromkeys(text.split()):
        address = _address(word)
        if address is not None:
            yield str(address)


def _domains(text: str) -> tuple[str, ...]:
    return tuple(word for word in dict.fromkeys(text.split()) if _DOMAIN.fullmatch(word))[:_MOST_DOMAINS]


def _number(text: str, *, least: int, most: int) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) and least <= int(text) <= most else None
