# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The spoof filter: a container sends only from its own MAC address, and claims only its own addresses by ARP.

One nftables table of the family bridge for each root, one chain, and sets that hold an entry for each interface; so
a plug is one call of nft (4 ms beside 0 or 500 others) and a packet costs a few hash lookups however many containers
there are. The chain looks at frames as they enter a bridge from a filtered port:

    from a filtered port, other source MAC            drop
    VLAN-tagged (could carry ARP past the next rules) drop
    what only routers and DHCP servers say            drop (UDP from ports 67 and 547, router advertisements)
    ARP with another sender MAC                       drop
    ARP with a sender address that is not the port's  drop, when its addresses are known; 0.0.0.0 passes (probes)

Entries name interfaces, which need not exist yet: allow() comes before plug().
"""

import ipaddress
import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from covirt.common import process
from covirt.common.errors import CommandFailed
from covirt.oci.isolation_errors import InterfaceNameTaken, SpoofFilterFailed

log = logging.getLogger(__name__)

_NFT: Final = ("nft", "-j", "-f", "-")
_TIMEOUT_SECONDS: Final = 20.0
_FAMILY: Final = "bridge"
_CHAIN: Final = "from-container"
_PORTS: Final = "ports"  # filtered interfaces
_MACS: Final = "macs"  # interface . MAC
_FIXED: Final = "fixed"  # interfaces whose addresses are known
_ADDRESSES: Final = "addresses"  # interface . IPv4 address
_SETS: Final[dict[str, Any]] = {
    _PORTS: "ifname",
    _MACS: ["ifname", "ether_addr"],
    _FIXED: "ifname",
    _ADDRESSES: ["ifname", "ipv4_addr"],
}
_PRIORITY: Final = -310  # before libvirt's and ebtables' chains (-300)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterEntry:
    """What one interface may say. Without ``addresses`` (IPv4, a prefix length is ignored) only MACs are checked,
    unless they are ``known``: then it has none so far, and claims none.

    ``owner``: whose interface it is; nobody else changes or removes the entry.
    """

    host_name: str
    mac: str
    addresses: tuple[str, ...] = ()
    known: bool = False
    owner: str = ""


class SpoofFilter:
    """The filter of one root, in the network namespace we run in. Thread-safe. Raises SpoofFilterFailed."""

    def __init__(self, root_id: str) -> None:
        self.table = f"covirt-{root_id}"
        self._lock = threading.Lock()
        self._entries: dict[str, FilterEntry] = {}
        self._ready = False

    def reconcile(self, entries: Iterable[FilterEntry]) -> None:
        """Make the table say exactly this, in one step without a moment of less protection; at start-up."""
        with self._lock:
            self._entries = {entry.host_name: entry for entry in entries}
            self._load_all()

    def restore(self) -> bool:
        """Load everything anew when another program removed or flushed the table; tell whether that was so."""
        with self._lock:
            if not self._entries or self._is_whole():
                return False
            log.warning("The spoof filter was removed by another program and is loaded anew table=%s", self.table)
            self._load_all()
            return True

    def allow(
        self, host_name: str, mac: str, addresses: Iterable[str] = (), *, known: bool = False, owner: str = ""
    ) -> None:
        """Filter ``host_name``: from now on it may use ``mac`` and ``addresses`` only; replaces what it had.

        Raises InterfaceNameTaken when the entry is another owner's.
        """
        entry = FilterEntry(host_name=host_name, mac=mac, addresses=tuple(addresses), known=known, owner=owner)
        with self._lock:
            previous = self._entries.get(host_name)
            if entry == previous and self._ready:
                return
            if previous is not None and previous.owner != owner:
                raise InterfaceNameTaken(name=host_name, where="in the spoof filter")
            self._entries[host_name] = entry
            try:
                if not self._ready:
                    self._load_all()
                    return
                commands = [*(self._changes("delete", previous) if previous else ()), *self._changes("add", entry)]
                self._run_or_load_all(commands, host_name, "set")
            except SpoofFilterFailed:
                if previous is None:
                    del self._entries[host_name]
                else:
                    self._entries[host_name] = previous
                raise

    def remove(self, host_name: str, *, owner: str = "") -> None:
        """Forget ``host_name``; unknown, or another owner's, is fine."""
        with self._lock:
            entry = self._entries.get(host_name)
            if entry is not None and entry.owner == owner:
                del self._entries[host_name]
                self._run_or_load_all(self._changes("delete", entry), host_name, "removed")

    def remove_table(self) -> None:
        """Remove the whole table, for a root that is given up; absent is fine."""
        with self._lock:
            self._entries.clear()
            self._ready = False
            self._nft([self._add_table(), {"delete": {"table": self._place()}}], self.table, "removed")

    def _run_or_load_all(self, commands: list[dict[str, Any]], host_name: str, action: str) -> None:
        try:
            self._nft(commands, host_name, action)
        except SpoofFilterFailed as error:
            # Somebody flushed the ruleset (a firewall's restart does): every entry is put back, not only this one.
            log.warning("The spoof filter was changed by another program and is loaded anew reason=%s", error.reason)
            self._load_all()

    def _is_whole(self) -> bool:
        argv = ["nft", "-j", "list", "chain", _FAMILY, self.table, _CHAIN]
        completed = process.run(argv, timeout_seconds=_TIMEOUT_SECONDS, check=False)
        if completed.status != 0:
            return False  # no such table: loading it anew tells when that is not the reason
        objects = json.loads(completed.stdout).get("nftables", [])
        return sum("rule" in each for each in objects) == len(_rules())

    def _load_all(self) -> None:
        commands: list[dict[str, Any]] = [self._add_table()]
        for name, kind in _SETS.items():
            commands.append({"add": {"set": {**self._place(), "table": self.table, "name": name, "type": kind}}})
            commands.append({"flush": {"set": {"family": _FAMILY, "table": self.table, "name": name}}})
        commands.append({"add": {"chain": self._chain()}})
        commands.append({"flush": {"chain": {"family": _FAMILY, "table": self.table, "name": _CHAIN}}})
        commands.extend(self._rule(*expressions) for expressions in _rules())
        for entry in self._entries.values():
            commands.extend(self._changes("add", entry))
        self._nft(commands, self.table, "loaded")
        self._ready = True

    def _changes(self, verb: str, entry: FilterEntry) -> list[dict[str, Any]]:
        known = [str(ipaddress.ip_interface(text).ip) for text in entry.addresses]
        known = [text for text in dict.fromkeys(known) if ":" not in text]
        elements: dict[str, list[Any]] = {
            _PORTS: [entry.host_name],
            _MACS: [{"concat": [entry.host_name, entry.mac.lower()]}],
        }
        if known or entry.known:
            elements[_FIXED] = [entry.host_name]
        if known:
            elements[_ADDRESSES] = [{"concat": [entry.host_name, text]} for text in known]
        return [
            {verb: {"element": {"family": _FAMILY, "table": self.table, "name": name, "elem": values}}}
            for name, values in elements.items()
        ]

    def _nft(self, commands: list[dict[str, Any]], name: str, action: str) -> None:
        text = json.dumps({"nftables": commands}).encode()
        try:
            process.run(_NFT, stdin_data=text, timeout_seconds=_TIMEOUT_SECONDS)
        except CommandFailed as error:
            raise SpoofFilterFailed(
                name=name, action=action, reason=error.stderr, program="nft", status=error.status, stderr=error.stderr
            ) from error

    def _place(self) -> dict[str, str]:
        return {"family": _FAMILY, "name": self.table}

    def _add_table(self) -> dict[str, Any]:
        return {"add": {"table": self._place()}}

    def _chain(self) -> dict[str, Any]:
        return {
            "family": _FAMILY,
            "table": self.table,
            "name": _CHAIN,
            "type": "filter",
            "hook": "prerouting",
            "prio": _PRIORITY,
            "policy": "accept",
        }

    def _rule(self, *expressions: dict[str, Any]) -> dict[str, Any]:
        rule = {"family": _FAMILY, "table": self.table, "chain": _CHAIN, "expr": list(expressions)}
        return {"add": {"rule": rule}}


def _rules() -> list[tuple[dict[str, Any], ...]]:
    port = {"meta": {"key": "iifname"}}
    source, kind = _field("ether", "saddr"), _field("ether", "type")
    counter, drop = {"counter": None}, {"drop": None}
    return [
        (_match("!=", port, f"@{_PORTS}"), {"accept": None}),
        (_match("!=", {"concat": [port, source]}, f"@{_MACS}"), counter, drop),
        (_match("==", kind, {"set": ["vlan", 0x88A8]}), counter, drop),
        # A container that hands out addresses or routes would be the gateway of all others on its bridge.
        (_match("==", _field("udp", "sport"), {"set": [67, 547]}), counter, drop),
        (_match("==", _field("icmpv6", "type"), "nd-router-advert"), counter, drop),
        (_match("!=", kind, "arp"), {"accept": None}),
        (_match("!=", {"concat": [port, _field("arp", "saddr ether")]}, f"@{_MACS}"), counter, drop),
        (_match("!=", port, f"@{_FIXED}"), {"accept": None}),
        (_match("==", _field("arp", "saddr ip"), "0.0.0.0"), {"accept": None}),  # noqa: S104 - an ARP probe (RFC 5227)
        (_match("!=", {"concat": [port, _field("arp", "saddr ip")]}, f"@{_ADDRESSES}"), counter, drop),
    ]


def _field(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def _match(operator: str, left: Any, right: Any) -> dict[str, Any]:
    return {"match": {"op": operator, "left": left, "right": right}}
