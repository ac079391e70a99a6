# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""rtnetlink(7), as much of it as a container's interfaces need: one request, one answer, no state.

Numbers and layouts are those of linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h. The library
for it, pyroute2, took 0.2 s and 34 MB to import, and 0.5 ms of processor time for each request (these take 0.05 ms
beside the kernel's work); a start makes ten, while the runtime would like to have the processor for itself.
"""

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AddressOfInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Destination = ipaddress.IPv4Network | ipaddress.IPv6Network

_TIMEOUT_SECONDS: Final = 20.0
_RECEIVE_BYTES: Final = 1 << 16  # the kernel fills at most 32 KiB at a time
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11

_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_LINK: Final = struct.Struct("=BxHiII")  # family, device type, index, flags, change
_ADDRESS: Final = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index
_ROUTE: Final = struct.Struct(
    "=BBBBBBBBI"
)  # family, destination and source length, tos, table, protocol, scope, type
_U32: Final = struct.Struct("=I")
_TYPE_MASK: Final = 0x3FFF  # without the flags for nested and for network byte order

_ERROR, _DONE = 2, 3  # NLMSG_*
_NEWLINK, _DELLINK, _GETLINK, _SETLINK, _NEWADDR, _NEWROUTE = 16, 17, 18, 19, 20, 24  # RTM_*
_REQUEST, _ACK, _EXCL, _CREATE, _LIST = 0x1, 0x4, 0x200, 0x400, 0x300  # NLM_F_*; the last is NLM_F_DUMP
_NEW: Final = _ACK | _CREATE | _EXCL
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 10, 18
_IFLA_IFALIAS, _IFLA_AF_SPEC, _IFLA_NET_NS_FD = 20, 26, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_INET6_ADDR_GEN_MODE, _ADDR_GEN_NONE = 8, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_F_NODAD = 1, 2, 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_TABLE_MAIN, _PROTOCOL_STATIC, _SCOPE_UNIVERSE, _UNICAST = 254, 4, 0, 1
_IFF_UP: Final = 0x1
_ERROR_TEXT: Final = 1  # NLMSGERR_ATTR_MSG


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An interface. ``kind``: "veth", "bridge", …, None for hardware and loopback."""

    index: int
    name: str
    kind: str | None
    mtu: int
    address: str
    alias: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnd:
    """One end of a pair to be made."""

    name: str
    address: str


class Netlink:
    """A connection to the network namespace of the thread that makes it. Every method raises OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.settimeout(_TIMEOUT_SECONDS)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def link(self, index: int) -> Link:
        return _read_link(self._ask(_GETLINK, _ACK, _link(index))[0])

    def links_of_kind(self, kind: str) -> list[Link]:
        """The kernel picks them: with hundreds of others a list of all takes long."""
        info = _attribute(_IFLA_LINKINFO, _attribute(_INFO_KIND, kind.encode()))
        links = map(_read_link, self._ask(_GETLINK, _LIST, _link(0) + info))
        return [link for link in links if link.kind == kind]

    def add_veth(self, host: LinkEnd, guest: LinkEnd, *, mtu: int, master: int, namespace: int) -> None:
        """Make a pair, both ends down: the host's in the bridge ``master``, the other in the network namespace."""
        peer = _link(0) + _end(guest, mtu) + _attribute(_IFLA_NET_NS_FD, _U32.pack(namespace))
        kind = _attribute(_INFO_KIND, b"veth") + _attribute(_INFO_DATA, _attribute(_VETH_PEER, peer))
        body = _link(0) + _end(host, mtu) + _attribute(_IFLA_MASTER, _U32.pack(master))
        self._ask(_NEWLINK, _NEW, body + _attribute(_IFLA_LINKINFO, kind))

    def set_up(self, index: int, *, up: bool = True) -> None:
        self._ask(_SETLINK, _ACK, _LINK.pack(0, 0, index, _IFF_UP if up else 0, _IFF_UP))

    def mark(self, index: int, *, alias: str) -> None:
        """Set the alias, and make no IPv6 address for the interface itself."""
        mode = _attribute(_INET6_ADDR_GEN_MODE, bytes((_ADDR_GEN_NONE,)))
        family = _attribute(_IFLA_AF_SPEC, _attribute(socket.AF_INET6, mode))
        self._ask(_SETLINK, _ACK, _link(index) + _attribute(_IFLA_IFALIAS, alias.encode()) + family)

    def delete_link(self, index: int) -> None:
        self._ask(_DELLINK, _ACK, _link(index))

    def add_address(self, index: int, address: AddressOfInterface) -> None:
        """An IPv6 address is not checked for duplicates: until then, for a second, nothing could be bound to it."""
        flags = _IFA_F_NODAD if address.version == 6 else 0
        head = _ADDRESS.pack(_family(address), address.network.prefixlen, flags, _SCOPE_UNIVERSE, index)
        packed = address.ip.packed
        self._ask(_NEWADDR, _NEW, head + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed))

    def add_route(self, destination: Destination, gateway: Address, *, index: int, metric: int | None = None) -> None:
        kind = (_TABLE_MAIN, _PROTOCOL_STATIC, _SCOPE_UNIVERSE, _UNICAST)
        head = _ROUTE.pack(_family(destination), destination.prefixlen, 0, 0, *kind, 0)
        body = head + _attribute(_RTA_GATEWAY, gateway.packed) + _attribute(_RTA_OIF, _U32.pack(index))
        if destination.prefixlen:
            body += _attribute(_RTA_DST, destination.network_address.packed)
        if metric is not None:
            body += _attribute(_RTA_PRIORITY, _U32.pack(metric))
        self._ask(_NEWROUTE, _NEW, body)

    def _ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        """The bodies of the answers, up to the acknowledgement, or to the end of a list."""
        self._sequence += 1
        head = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, self._sequence, 0)
        self._socket.send(head + body)
        answers: list[bytes] = []
        while True:
            for answer, sequence, content in _messages(self._socket.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if answer == _ERROR:
                    _raise_for(content)
                if answer in (_ERROR, _DONE):
                    return answers
                answers.append(content)


def _link(index: int) -> bytes:
    return _LINK.pack(0, 0, index, 0, 0)


def _end(end: LinkEnd, mtu: int) -> bytes:
    return (
        _attribute(_IFLA_IFNAME, end.name.encode() + b"\0")
        + _attribute(_IFLA_ADDRESS, bytes.fromhex(end.address.replace(":", "")))
        + _attribute(_IFLA_MTU, _U32.pack(mtu))
    )


def _family(address: AddressOfInterface | Destination) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _attribute(kind: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + b"\0" * (-size & 3)


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if size < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[offset + _ATTRIBUTE.size : offset + size]
        offset += (size + 3) & ~3
    return found


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and body of each message."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        size, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if size < _HEADER.size:
            break
        yield kind, sequence, data[offset + _HEADER.size : offset + size]
        offset += (size + 3) & ~3


def _raise_for(content: bytes) -> None:
    """An acknowledgement is an error with the number 0. Newer kernels say in words what is wrong."""
    number = -struct.unpack_from("=i", content)[0]
    if number == 0:
        return
    text = _attributes(content[4 + _HEADER.size :]).get(_ERROR_TEXT, b"").rstrip(b"\0").decode(errors="replace")
    raise OSError(number, text or os.strerror(number))


def _read_link(body: bytes) -> Link:
    index = _LINK.unpack_from(body)[2]
    found = _attributes(body[_LINK.size :])
    kind = _attributes(found.get(_IFLA_LINKINFO, b"")).get(_INFO_KIND)
    alias = found.get(_IFLA_IFALIAS)
    return Link(
        index=index,
        name=_text(found.get(_IFLA_IFNAME, b"")),
        kind=None if kind is None else _text(kind),
        mtu=_U32.unpack(found[_IFLA_MTU])[0],
        address=found.get(_IFLA_ADDRESS, b"").hex(":"),
        alias=None if alias is None else _text(alias),
    )


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
