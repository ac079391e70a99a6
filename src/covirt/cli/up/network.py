# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The network of guests on this machine: which addresses are free, and their way to the world outside."""

import ipaddress
import json
import shutil
from pathlib import Path
from typing import Final

from covirt.cli.up.errors import NoFreeNetwork
from covirt.cli.up.installation import NETWORK, Installation
from covirt.common.process import run

_CANDIDATES: Final = tuple(f"10.{number}.0.0/24" for number in (77, 87, 97, 107, 117, 127))
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
_SECONDS: Final = 30.0


def free_subnet() -> str:
    """One that no route and no address of this machine touches. Raises NoFreeNetwork."""
    told = run(["ip", "-json", "-4", "route", "show", "table", "all"], timeout_seconds=_SECONDS).stdout
    taken = [_network(str(route.get("dst", ""))) for route in json.loads(told or b"[]")]
    for text in _CANDIDATES:
        candidate = ipaddress.IPv4Network(text)
        if not any(other is not None and candidate.overlaps(other) for other in taken):
            return text
    raise NoFreeNetwork(networks=", ".join(_CANDIDATES))


def _network(destination: str) -> ipaddress.IPv4Network | None:
    """None for the default route, which overlaps with everything and takes nothing."""
    try:
        found = ipaddress.IPv4Network(destination, strict=False)
    except ValueError:
        return None
    return found if found.prefixlen else None


def machine_address(subnet: str) -> tuple[str, str]:
    """The machine's own in it, and the mask."""
    network = ipaddress.IPv4Network(subnet)
    return str(network[1]), str(network.netmask)


def open_way_out(installation: Installation, subnet: str) -> bool:
    """Let guests reach what the machine reaches, in its name; whether that is possible here."""
    if shutil.which("nft") is None:
        return False
    table = _table(installation)
    rules = f"""
table ip {table}
delete table ip {table}
table ip {table} {{
    chain out {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} ip daddr != {subnet} oifname != "{NETWORK}" masquerade
    }}
}}
"""
    run(["nft", "-f", "-"], stdin_data=rules.encode(), timeout_seconds=_SECONDS)
    if _FORWARDING.read_text().strip() != "1":
        _FORWARDING.write_text("1\n")
    return True


def close_way_out(installation: Installation) -> None:
    """Forwarding stays as it is: others may have come to rely on it."""
    if shutil.which("nft") is not None:
        run(["nft", "delete", "table", "ip", _table(installation)], timeout_seconds=_SECONDS, check=False)


def _table(installation: Installation) -> str:
    return f"covirt-up-{installation.root.id}"
