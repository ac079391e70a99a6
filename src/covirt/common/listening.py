# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where a daemon's clients come in: one TCP socket for both families of addresses."""

import ipaddress
import re
import socket
from typing import Final

_LABEL: Final = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z)({_LABEL}\.)*(?!\d+\Z){_LABEL}", re.ASCII | re.IGNORECASE)


def check_address(text: str) -> None:
    """An IP address or a host's name; raises ValueError with the reason in words, as a setting's check."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _HOST_NAME.fullmatch(text):
            raise ValueError(f"must be an IP address or a host name, and is {text!r}") from None


def usual_address(address: str) -> str:
    """A client's, as people and firewalls know it: what IPv4 is on a socket of both families is IPv4 again."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped) if mapped else address


def tcp_listener(address: str, port: int, *, backlog: int) -> socket.socket:
    """Of both families for "::", and of IPv4 alone where there is no IPv6. Raises OSError."""
    if address == "::" and not socket.has_dualstack_ipv6():
        address = "0.0.0.0"  # noqa: S104 - every address is what was asked for
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, dualstack_ipv6=address == "::", backlog=backlog)
    # What is accepted inherits it. asyncio sets it only where it knows the protocol's number, which is 0 here; and
    # without it what is sent in two parts waits 40 ms for the first to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
