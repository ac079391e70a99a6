# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of a plan, done by netlink; every refusal of the kernel is told with the step that it refused."""

import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import Error
from covirt.host.network.errors import LinkChangeFailed, LinkKindUnsupported
from covirt.host.network.layout import Device, Kind, bond_targets
from covirt.host.network.links import LINK_SCOPE, netlink
from covirt.host.network.plan import Action, Ipv6, Step

log = logging.getLogger(__name__)

_IFA_F_NODAD: Final = 0x02
_IPV6_SETTINGS: Final = Path("/proc/sys/net/ipv6/conf")
# disable_ipv6, accept_ra, autoconf
_IPV6_MODES: Final = {Ipv6.OFF: (1, 0, 0), Ipv6.STATIC: (0, 0, 0), Ipv6.AUTO: (0, 1, 1)}


def apply(steps: Iterable[Step], *, alias: str) -> None:
    """Do them in order. Raises LinkKindUnsupported, LinkChangeFailed; what was done before stays."""
    with netlink() as route:
        for step in steps:
            _do(route, step, alias)


def apply_all(steps: Iterable[Step], *, alias: str) -> list[Error]:
    """Do all that can be done, and give why the others could not."""
    failures: list[Error] = []
    with netlink() as route:
        for step in steps:
            try:
                _do(route, step, alias)
            except (LinkKindUnsupported, LinkChangeFailed) as error:
                log.warning("A step is left out: %s", error)
                failures.append(error)
    return failures


def _do(route: Any, step: Step, alias: str) -> None:
    from pyroute2.netlink.exceptions import NetlinkError

    log.info("Network change step=%r", str(step))
    try:
        _DO[step.action](route, step)
        if step.action is Action.CREATE:
            _own(route, step, alias)
    except NetlinkError as error:
        if step.action is Action.CREATE and error.code == errno.EOPNOTSUPP:
            kind = step.device.kind if step.device else ""
            raise LinkKindUnsupported(kind=kind, name=step.name) from error
        raise LinkChangeFailed(what=str(step), reason=os.strerror(error.code)) from error
    except OSError as error:
        raise LinkChangeFailed(what=str(step), reason=error.strerror or str(error)) from error


def ipv6_mode(name: str) -> Ipv6:
    """What the interface does with IPv6 now."""
    values = []
    for setting in ("disable_ipv6", "accept_ra"):
        try:
            values.append((_IPV6_SETTINGS / name / setting).read_text().strip())
        except OSError:
            return Ipv6.OFF  # a kernel without it
    if values[0] != "0":
        return Ipv6.OFF
    return Ipv6.STATIC if values[1] == "0" else Ipv6.AUTO


def _index(name: str) -> int:
    return socket.if_nametoindex(name)


def _set(route: Any, step: Step, **settings: Any) -> None:
    route.link("set", index=_index(step.name), **settings)


def _delete(route: Any, step: Step) -> None:
    route.link("del", index=_index(step.name))


def _create(route: Any, step: Step) -> None:
    device = step.device
    assert device is not None, "a CREATE step names its device"  # noqa: S101 - a mistake in the plan
    settings: dict[str, Any] = {}
    if device.kind is Kind.VLAN:
        settings = {"link": _index(str(device.lower)), "vlan_id": device.vlan}
    elif device.kind is Kind.BRIDGE:
        # Without STP a delay only keeps guests from the network for 15 s.
        settings = {"br_stp_state": int(device.stp), **({} if device.stp else {"br_forward_delay": 0})}
    elif device.hwaddr:
        settings = {"address": device.hwaddr}
    route.link("add", ifname=device.name, kind=str(device.kind), **settings)


def _own(route: Any, step: Step, alias: str) -> None:
    """Mark what was made as ours before anything else can fail with it, for only then it is taken back."""
    _set(route, step, ifalias=alias)
    if step.device is not None and step.device.kind is Kind.BOND:
        _set_bond_options(step.device)


def _set_bond_options(device: Device) -> None:
    first = {"mode": 0, "miimon": 1}  # what others depend on
    for name, value in sorted(device.options.items(), key=lambda item: first.get(item[0], 2)):
        targets = bond_targets(name, value)
        for word in [value] if targets is None else [f"+{target}" for target in targets]:
            Path("/sys/class/net", device.name, "bonding", name).write_text(word)


def _attach(route: Any, step: Step) -> None:
    if Path("/sys/class/net", step.value, "bonding").is_dir():
        _set(route, step, state="down")  # a bond takes no NIC that is up
    _set(route, step, master=_index(step.value))


def _mac(route: Any, step: Step) -> None:
    """Setting it, even to what it is, makes it the bridge's own."""
    [source] = route.link("get", index=_index(step.value or step.name))
    route.link("set", index=_index(step.name), address=source.get("address"))


def _stp(route: Any, step: Step) -> None:
    _set(route, step, kind="bridge", br_stp_state=int(step.value == "on"))


def _ipv6(_route: Any, step: Step) -> None:
    directory = _IPV6_SETTINGS / step.name
    if not directory.is_dir():
        return  # a kernel without IPv6
    names = ("disable_ipv6", "accept_ra", "autoconf")
    for name, value in zip(names, _IPV6_MODES[Ipv6(step.value)], strict=True):
        setting = directory / name
        if setting.read_text().strip() != str(value):
            setting.write_text(str(value))


def _add_address(route: Any, step: Step) -> None:
    address = ipaddress.ip_interface(step.value)
    # The duplicates' check would keep it unusable for a second, in which the engine may look.
    flags = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
    settings = {"broadcast": str(address.network.broadcast_address)} if address.version == 4 else {}
    route.addr("add", index=_index(step.name), address=str(address.ip), prefixlen=address.network.prefixlen,
               **settings, **flags)  # fmt: skip


def _drop_address(route: Any, step: Step) -> None:
    address = ipaddress.ip_interface(step.value)
    _absent_is_fine(
        lambda: route.addr(
            "del", index=_index(step.name), address=str(address.ip), prefixlen=address.network.prefixlen
        )
    )


def _gateway(verb: str) -> Callable[[Any, Step], None]:
    def change(route: Any, step: Step) -> None:
        everything = "::/0" if ":" in step.value else "0.0.0.0/0"

        def call() -> None:
            route.route(verb, dst=everything, gateway=step.value, oif=_index(step.name))

        if verb == "del":
            _absent_is_fine(call)
        else:
            call()

    return change


def _add_route(route: Any, step: Step) -> None:
    """One that cannot be set (its router is behind another NIC) keeps back nothing else."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        route.route("replace", **_route_settings(step))
    except NetlinkError as error:
        log.warning("A route cannot be set step=%r reason=%s", str(step), os.strerror(error.code))


def _drop_route(route: Any, step: Step) -> None:
    _absent_is_fine(lambda: route.route("del", **_route_settings(step)))


def _route_settings(step: Step) -> dict[str, Any]:
    wanted = step.route
    assert wanted is not None, "a step about a route has it"  # noqa: S101 - a mistake in the plan
    settings: dict[str, Any] = {"dst": wanted.target, "oif": _index(step.name)}
    if wanted.gateway:
        settings["gateway"] = wanted.gateway
    elif ":" not in wanted.target:
        settings["scope"] = LINK_SCOPE  # else no router can be behind it
    if wanted.metric:
        settings["priority"] = wanted.metric
    return settings


def _absent_is_fine(call: Callable[[], object]) -> None:
    """An address takes its routes along, and the first of a network its others."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        call()
    except NetlinkError as error:
        if error.code not in {errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENODEV}:
            raise


_DO: Final[Mapping[Action, Callable[[Any, Step], None]]] = {
    Action.DELETE: _delete,
    Action.CREATE: _create,
    Action.DETACH: lambda route, step: _set(route, step, master=0),
    Action.ATTACH: _attach,
    Action.MTU: lambda route, step: _set(route, step, mtu=int(step.value)),
    Action.MAC: _mac,
    Action.STP: _stp,
    Action.UP: lambda route, step: _set(route, step, state="up"),
    Action.DOWN: lambda route, step: _set(route, step, state="down"),
    Action.IPV6: _ipv6,
    Action.DROP_ADDRESS: _drop_address,
    Action.ADD_ADDRESS: _add_address,
    Action.DROP_GATEWAY: _gateway("del"),
    Action.ADD_GATEWAY: _gateway("add"),
    Action.DROP_ROUTE: _drop_route,
    Action.ADD_ROUTE: _add_route,
}
