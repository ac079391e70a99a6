# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Giving an interface inside a container what a lease says: address, routes, MTU; and taking it away again.

Routes carry the kernel's mark of DHCP (``proto dhcp``), so that only those are ever taken away. Everything may be
done again after it was cut short.
"""

import errno
import ipaddress
import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from covirt.common.dhcp_lease import Lease
from covirt.oci.interface import explained, in_network_namespace, netlink_error

log = logging.getLogger(__name__)

_RTPROT_DHCP: Final = 16
_RTNH_F_ONLINK: Final = 4
_SCOPE_LINK: Final = 253
# Shorter ones than any network has are default routes in disguise (0.0.0.0/1 and 128.0.0.0/1).
_SHORTEST_NETWORK: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSetup:
    """``interface`` is the name inside. ``previous``: addresses (with prefix) of leases before, to be taken away.

    ``metric`` of its routes: a smaller one wins. ``default_route`` False takes no default route from the server, and
    ``take_mtu`` False no MTU.
    """

    interface: str
    lease: Lease | None
    previous: Collection[str] = ()
    metric: int = 0
    default_route: bool = True
    take_mtu: bool = True


def set_up_lease(setup: LeaseSetup, network_namespace: Path) -> None:
    """Make the interface what the lease says. Raises InterfaceFailed, OSError."""
    namespace = os.open(network_namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        in_network_namespace(namespace, lambda inside: _set_up(inside, setup))
    finally:
        os.close(namespace)


def _set_up(inside: Any, setup: LeaseSetup) -> None:
    name, lease = setup.interface, setup.lease
    with explained(name, "finding it in the container"):
        link = inside.link("get", ifname=name)[0]
    index = link["index"]
    with explained(name, "taking the routes of the lease before away"):
        inside.flush_routes(oif=index, proto=_RTPROT_DHCP)
    for text in setup.previous:
        if lease is None or text != lease.cidr:
            with explained(name, f"taking the address {text} away"):
                _address(inside, "del", index, text, but=errno.EADDRNOTAVAIL)
    if lease is None:
        return
    if setup.take_mtu and lease.mtu is not None and lease.mtu < link.get("mtu"):
        with explained(name, f"setting its MTU to {lease.mtu}"):
            inside.link("set", index=index, mtu=lease.mtu)
    with explained(name, f"giving it the address {lease.cidr}"):
        _address(inside, "add", index, lease.cidr, but=errno.EEXIST)
    for target, gateway in lease.routes:
        if setup.default_route or ipaddress.ip_network(target).prefixlen >= _SHORTEST_NETWORK:
            _add_route(inside, index, setup, lease.cidr, (target, gateway))


def _address(inside: Any, verb: str, index: int, text: str, *, but: int) -> None:
    interface = ipaddress.ip_interface(text)
    try:
        inside.addr(verb, index=index, address=str(interface.ip), prefixlen=interface.network.prefixlen)
    except netlink_error() as error:
        if error.code != but:
            raise


def _add_route(inside: Any, index: int, setup: LeaseSetup, own: str, route: tuple[str, str | None]) -> None:
    """One that the kernel refuses must not cost the container the others, nor its address."""
    target, gateway = route
    how: dict[str, Any] = {"dst": target, "oif": index, "priority": setup.metric, "proto": _RTPROT_DHCP}
    if gateway is None:
        how["scope"] = _SCOPE_LINK
    else:
        how["gateway"] = gateway
        if ipaddress.ip_address(gateway) not in ipaddress.ip_interface(own).network:
            how["flags"] = _RTNH_F_ONLINK  # as it goes with a lease of a /32
    try:
        inside.route("replace", **how)
    except netlink_error() as error:
        reason = os.strerror(error.code)
        log.warning("A route of the lease is left out interface=%s route=%s gateway=%s reason=%s", setup.interface,
                    target, gateway, reason)  # fmt: skip
