# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Networks and interfaces in Vdsm's words: what Host.getCapabilities and Host.getStats tell of them.

The shapes are Vdsm's of today, which differ from its schema: an MTU is a number in one place and a text in another,
a missing IPv6 gateway is "::", and a VLAN's dictionary is named after its interface.
"""

import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from covirt.host.network.links import Link
from covirt.host.network.model import NetworkConfig, NetworkSpec
from covirt.hostapi.json import JsonValue

_CLASS_NET: Final = Path("/sys/class/net")
_RESOLVER: Final = Path("/etc/resolv.conf")
_UNKNOWN_SPEED: Final = "1000"  # what Vdsm says of an interface that tells none
_GUEST_ALIAS: Final = "covirt:"  # of a container's interfaces


def network_facts(config: NetworkConfig, links: Mapping[str, Link], nics: Mapping[str, Link]) -> dict[str, Any]:
    """The keys of getCapabilities but netConfigDirty."""
    asked = {spec.interface: spec for spec in config.networks.values()}
    facts: dict[str, Any] = {"networks": {}, "bridges": {}, "nics": {}, "bondings": {}, "vlans": {}}
    for name, link in links.items():
        common = _common(link, links, asked.get(name))
        if name in nics:
            facts["nics"][name] = {**common, "hwaddr": link.mac, "speed": _speed(name)}
        elif link.kind == "bridge":
            facts["bridges"][name] = {
                **common, "ports": list(link.ports), "stp": _on(link.stp), "opts": bridge_options(name)
            }  # fmt: skip
        elif link.kind == "bond":
            facts["bondings"][name] = {
                **common, "hwaddr": link.mac, "slaves": list(link.ports), "speed": _speed(name),
                "active_slave": link.options.get("active_slave", ""), "opts": _bond_options(link), "switch": "legacy",
            }  # fmt: skip
        elif link.kind == "vlan":
            facts["vlans"][name] = {**common, "iface": link.lower or "", "vlanid": link.vlan}
    for spec in config.networks.values():
        found = links.get(spec.interface)
        if found is not None:  # Vdsm leaves out what is missing, and an engine then says "out of sync"
            facts["networks"][spec.name] = _network(spec, found, links)
    facts["nameservers"] = nameservers()
    facts["supportsIPv6"] = socket.has_ipv6 and Path("/proc/net/if_inet6").exists()
    return facts


def _network(spec: NetworkSpec, link: Link, links: Mapping[str, Link]) -> dict[str, Any]:
    facts = {**_common(link, links, spec), "iface": spec.interface, "bridged": spec.bridged, "switch": "legacy",
             "southbound": spec.lower}  # fmt: skip
    if spec.bridged:
        facts |= {"ports": list(link.ports), "stp": _on(link.stp)}
    else:
        facts["interface"] = spec.interface
    if spec.vlan is not None:
        facts["vlanid"] = spec.vlan
    return facts


def _common(link: Link, links: Mapping[str, Link], spec: NetworkSpec | None) -> dict[str, Any]:
    gateway = link.gateway(4) or ""
    primary = _primary(link, gateway)
    return {
        "addr": "" if primary is None else str(primary.ip),
        "netmask": "" if primary is None else str(primary.netmask),
        "ipv4addrs": [text for text in link.addresses if ":" not in text],
        "ipv6addrs": [text for text in link.addresses if ":" in text],
        "gateway": gateway,
        "ipv6gateway": link.gateway(6) or "::",
        "ipv4defaultroute": bool(gateway) and any(gateway in one.gateways for one in links.values()),
        "mtu": link.mtu,
        "dhcpv4": spec is not None and spec.dhcp,
        "dhcpv6": False,
        "ipv6autoconf": spec is not None and spec.autoconf6,
    }


def _primary(link: Link, gateway: str) -> ipaddress.IPv4Interface | None:
    """The address that reaches the gateway, else the first."""
    found = [ipaddress.IPv4Interface(text) for text in link.addresses if ":" not in text]
    beside = [one for one in found if gateway and ipaddress.IPv4Address(gateway) in one.network]
    return next(iter([*beside, *found]), None)


def bridge_options(name: str) -> dict[str, str]:
    """As the kernel's files have them."""
    return dict(_files(_CLASS_NET / name / "bridge"))


def _bond_options(link: Link) -> dict[str, str]:
    """Of those with a word and a number Vdsm tells the number."""
    return {name: text.split()[-1] for name, text in sorted(link.options.items()) if text and name != "slaves"}


def _files(directory: Path) -> Iterator[tuple[str, str]]:
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        try:
            yield path.name, path.read_text().strip()
        except OSError:  # some can only be written
            continue


def nameservers() -> list[str]:
    """The host's DNS servers."""
    try:
        lines = _RESOLVER.read_text(errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]


def interface_statistics() -> dict[str, JsonValue]:
    """The keys of getStats; guests' interfaces are told with their guests."""
    now = time.time()
    found: dict[str, dict[str, JsonValue]] = {}
    dropped = {"rx": 0, "tx": 0}
    for name, counters in _counters():
        if _is_guests(name):
            continue
        dropped["rx"] += counters["rxDropped"]
        dropped["tx"] += counters["txDropped"]
        is_up = _text(name, "operstate") in {"up", "unknown"}
        found[name] = {
            "name": name, "sampleTime": now, "state": "up" if is_up else "down",
            "duplex": _text(name, "duplex") or "unknown", "speed": str(_speed(name) or _UNKNOWN_SPEED),
            **{key: str(value) for key, value in counters.items()},
        }  # fmt: skip
    return {"network": found, "rxDropped": str(dropped["rx"]), "txDropped": str(dropped["tx"])}


def _counters() -> Iterator[tuple[str, dict[str, int]]]:
    for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
        name, _, numbers = line.rpartition(":")
        words = [int(word) for word in numbers.split()]
        yield name.strip(), {
            "rx": words[0], "rxErrors": words[2], "rxDropped": words[3],
            "tx": words[8], "txErrors": words[10], "txDropped": words[11],
        }  # fmt: skip


def _is_guests(name: str) -> bool:
    """A machine's tap, or the host end of a container's pair."""
    return (_CLASS_NET / name / "tun_flags").exists() or _text(name, "ifalias").startswith(_GUEST_ALIAS)


def _speed(name: str) -> int:
    """In Mbit/s; 0: it tells none."""
    text = _text(name, "speed")
    return int(text) if text.isdecimal() else 0


def _text(name: str, attribute: str) -> str:
    try:
        return (_CLASS_NET / name / attribute).read_text(errors="replace").strip()
    except OSError:
        return ""


def _on(value: object) -> str:
    return "on" if value else "off"
