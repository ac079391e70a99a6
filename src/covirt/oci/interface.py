# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container's network interfaces: a veth pair, one end in a Linux bridge of the host, the other in the container.

pyroute2 takes long to import (0.2 s), so it is imported with the first call; warm_up() does that ahead of time. No
call lists the host's interfaces: with 500 containers that would take longer than the whole start.
"""

import contextlib
import errno
import ipaddress
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from covirt.common.threads import call_in_thread
from covirt.common.undo import undo_on_failure
from covirt.oci import syscalls
from covirt.oci.isolation_errors import (
    BadInterface,
    ForeignInterface,
    InterfaceFailed,
    InterfaceNameTaken,
    NoSuchBridge,
)

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_NAME: Final = re.compile(r"[^\s/:]{1,15}")  # IFNAMSIZ - 1; dev_valid_name() in the kernel
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_ALIAS: Final = "covirt:"  # every host end that we made carries it
_IFA_F_NODAD: Final = 0x02
_ADDR_GEN_NONE: Final = 1  # IN6_ADDR_GEN_MODE_NONE
_LOOPBACK_INDEX: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VethRequest:
    """One interface. ``host_name`` and ``mac`` are chosen by the caller, see free_host_name().

    ``addresses``: with prefix length, ``"10.0.0.5/24"``. ``routes``: (destination, gateway) or (destination,
    gateway, metric). ``gateway``: of the default route. ``mtu``: None takes the bridge's. ``owner``: for the alias.
    """

    bridge: str
    host_name: str
    mac: str
    owner: str
    guest_name: str = "eth0"
    mtu: int | None = None
    addresses: tuple[str, ...] = ()
    routes: tuple[tuple[str, str] | tuple[str, str, int], ...] = ()
    gateway: str | None = None
    link_up: bool = True


def warm_up() -> None:
    """Import pyroute2, so that the first start does not have to; call it in a thread of its own."""
    with _netlink():
        pass


def free_host_name(root_id: str, taken: frozenset[str] = frozenset()) -> str:
    """The lowest free name of the form ROOTID0, ROOTID1 ... that is neither an interface nor in ``taken``."""
    number = 0
    while True:
        name = f"{root_id}{number}"
        if name not in taken and _index(name) is None:
            return name
        number += 1


def plug(request: VethRequest, network_namespace: Path) -> None:
    """Make the pair, configure the container's end inside ``network_namespace``, then let the bridge forward for it.

    The spoof filter for ``host_name`` has to be there before. Everything is undone when a step fails. Raises
    BadInterface, NoSuchBridge, InterfaceNameTaken, InterfaceFailed.
    """
    _check(request)
    namespace = os.open(network_namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with undo_on_failure() as undo, _netlink() as host:
            bridge = _bridge(host, request.bridge)
            _make_pair(host, request, bridge, namespace)
            undo.add(
                f"remove interface {request.host_name}",
                lambda: unplug(request.host_name, owner=request.owner, mac=request.mac),
            )
            in_network_namespace(namespace, lambda inside: _configure(inside, request))
            _activate(host, request)
    finally:
        os.close(namespace)


def require_absent(host_name: str) -> None:
    """Raise InterfaceNameTaken when this host has such an interface."""
    if _index(host_name) is not None:
        raise InterfaceNameTaken(name=host_name, where="on this host")


def unplug(host_name: str, *, owner: str, mac: str) -> None:
    """Remove the pair that plug() made for ``owner`` with ``mac``, by its host end; absent is fine.

    Raises ForeignInterface for one of somebody else, be it another container's.
    """
    index = _index(host_name)
    if index is None:
        return
    with _netlink() as host, explained(host_name, "removing it"):
        try:
            link = host.link("get", index=index)[0]
            if not _made_for(link, owner, mac):
                raise ForeignInterface(name=host_name)
            host.link("del", index=index)
        except netlink_error() as error:
            if error.code != errno.ENODEV:  # gone meanwhile, with the container's network namespace
                raise


def set_link(host_name: str, *, up: bool) -> None:
    """Connect or disconnect the host end; inside, the carrier comes and goes. Raises InterfaceFailed."""
    index = _index(host_name)
    if index is None:
        raise InterfaceFailed(name=host_name, step="changing the link state", reason="there is no such interface")
    with _netlink() as host, explained(host_name, "changing the link state"):
        host.link("set", index=index, state="up" if up else "down")


def move_port(host_name: str, bridge: str) -> None:
    """Let another bridge forward for the host end. Raises NoSuchBridge, InterfaceFailed."""
    index = _index(host_name)
    if index is None:
        raise InterfaceFailed(name=host_name, step=f"moving it to {bridge}", reason="there is no such interface")
    with _netlink() as host:
        master = _bridge(host, bridge)["index"]
        with explained(host_name, f"moving it to {bridge}"):
            if host.link("get", index=index)[0].get("master") != master:
                host.link("set", index=index, master=master)


def linux_bridges() -> tuple[str, ...]:
    """The names of the host's Linux bridges, sorted."""
    with _netlink() as host, explained("bridges", "listing"):
        return tuple(sorted(link.get("ifname") for link in host.link("dump", kind="bridge")))


def _check(request: VethRequest) -> None:
    for what, name in (("host name", request.host_name), ("guest name", request.guest_name)):
        if not _NAME.fullmatch(name) or name in {".", "..", "lo"}:
            raise BadInterface(what=what, value=name, reason="use 1 to 15 characters without space, / and :")
    if not _MAC.fullmatch(request.mac.lower()):
        raise BadInterface(what="MAC address", value=request.mac, reason="write six bytes as 52:54:00:01:02:03")
    if int(request.mac[:2], 16) & 1:
        raise BadInterface(what="MAC address", value=request.mac, reason="it is a multicast address")
    if request.mtu is not None and not 68 <= request.mtu <= 65_535:
        raise BadInterface(what="MTU", value=request.mtu, reason="it is between 68 and 65535")
    for address in request.addresses:
        _parsed("address", address, lambda text: ipaddress.ip_interface(text))
    for route in request.routes:
        _parsed("route", route[0], lambda text: ipaddress.ip_network(text))
        _parsed("gateway", route[1], lambda text: ipaddress.ip_address(text))
    if request.gateway is not None:
        _parsed("gateway", request.gateway, lambda text: ipaddress.ip_address(text))


def _parsed(what: str, text: str, parse: Callable[[str], object]) -> None:
    try:
        parse(text)
    except ValueError as error:
        raise BadInterface(what=what, value=text, reason=error) from error


def _bridge(host: Any, name: str) -> Any:
    index = _index(name)
    if index is not None:
        with explained(name, "reading the bridge"):
            link = host.link("get", index=index)[0]
        if link.get(("linkinfo", "kind")) == "bridge":
            return link
    raise NoSuchBridge(bridge=name, bridges=", ".join(linux_bridges()) or "none at all")


def _make_pair(host: Any, request: VethRequest, bridge: Any, namespace: int) -> None:
    mtu = request.mtu or bridge.get("mtu")
    peer = {"ifname": request.guest_name, "net_ns_fd": namespace, "address": request.mac, "mtu": mtu}
    try:
        host.link(
            "add",
            ifname=request.host_name,
            kind="veth",
            address=_host_address(request.mac),
            mtu=mtu,
            master=bridge["index"],
            peer=peer,
        )
    except netlink_error() as error:
        if error.code == errno.EEXIST:
            taken = _index(request.host_name) is not None
            raise InterfaceNameTaken(
                name=request.host_name if taken else request.guest_name,
                where="on this host" if taken else "in the container",
            ) from error
        raise InterfaceFailed(
            name=request.host_name, step="making the pair", reason=os.strerror(error.code)
        ) from error


def _configure(inside: Any, request: VethRequest) -> None:
    with explained(request.guest_name, "finding it in the container"):
        index = inside.link("get", ifname=request.guest_name)[0]["index"]
    with explained(request.guest_name, "bringing it up in the container"):
        inside.link("set", index=_LOOPBACK_INDEX, state="up")
        inside.link("set", index=index, state="up")
    for text in request.addresses:
        address = ipaddress.ip_interface(text)
        # An address that is still being checked for duplicates cannot be bound to, for a second after the start.
        flags = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
        with explained(request.guest_name, f"giving it the address {text}"):
            inside.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen, **flags)
    for route in request.routes:
        metric = {"priority": route[2]} if len(route) == 3 else {}
        with explained(request.guest_name, f"adding the route to {route[0]}"):
            inside.route("add", dst=route[0], gateway=route[1], oif=index, **metric)
    if request.gateway is not None:
        everything = "0.0.0.0/0" if ipaddress.ip_address(request.gateway).version == 4 else "::/0"
        with explained(request.guest_name, f"adding the default route by {request.gateway}"):
            inside.route("add", dst=everything, gateway=request.gateway, oif=index)


def _activate(host: Any, request: VethRequest) -> None:
    index = _index(request.host_name)
    with explained(request.host_name, "connecting it to the bridge"):
        # The port of a bridge needs no address of its own, and must not announce one to the container.
        quiet = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _ADDR_GEN_NONE)]})]}
        host.link("set", index=index, ifalias=f"{_ALIAS}{request.owner}", IFLA_AF_SPEC=quiet)
        if request.link_up:
            host.link("set", index=index, state="up")


def _made_for(link: Any, owner: str, mac: str) -> bool:
    """A pair whose making was cut short has no alias yet, but the address that plug() gives."""
    alias = link.get("ifalias")
    mark = alias == f"{_ALIAS}{owner}" if alias else link.get("address") == _host_address(mac)
    return link.get(("linkinfo", "kind")) == "veth" and bool(mark)


def _host_address(mac: str) -> str:
    """The bridge takes its own address from the lowest one of its ports: fe keeps ours above every real one."""
    return "fe" + mac.lower()[2:]


def _index(name: str) -> int | None:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def netlink_error() -> Any:
    """The class of what netlink refuses; pyroute2 is imported late."""
    from pyroute2.netlink.exceptions import NetlinkError

    return NetlinkError


@contextlib.contextmanager
def _netlink() -> Iterator[Any]:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        yield route


@contextlib.contextmanager
def explained(name: str, step: str) -> Iterator[None]:
    """What netlink refuses becomes InterfaceFailed."""
    try:
        yield
    except netlink_error() as error:
        raise InterfaceFailed(name=name, step=step, reason=os.strerror(error.code)) from error


def in_network_namespace(namespace: int, work: Callable[[Any], Result]) -> Result:
    """Run ``work`` with a netlink connection of that network namespace, in a thread that ends with it."""

    def enter_and_work() -> Result:
        syscalls.enter_namespace(namespace, syscalls.CLONE_NEWNET)
        with _netlink() as inside:
            return work(inside)

    return call_in_thread(enter_and_work, name="container-network")
