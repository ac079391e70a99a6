# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which ports the host's nftables rules close to a client, read as the kernel would read them.

Rules of firewalld, ufw and iptables are nftables rules too. A condition on something that is not known here, such as
the client's address, may be true or not: a rule that accepts on such a condition lets the port count as open, one
that drops on it does not close it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

_FAMILIES: Final = ("inet", "ip", "ip6")
_MOST_JUMPS: Final = 16  # as in the kernel
_NEVER: Final = False


class Manager(StrEnum):
    """Who wrote the rules, and so who has to be told."""

    FIREWALLD = "firewalld"
    UFW = "ufw"
    NFTABLES = "nftables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A port, and the base chain that closes it."""

    port: int
    family: str
    table: str
    chain: str
    manager: Manager

    @property
    def remedy(self) -> str:
        if self.manager is Manager.FIREWALLD:
            return f"firewall-cmd --permanent --add-port={self.port}/tcp && firewall-cmd --reload"
        if self.manager is Manager.UFW:
            return f"ufw allow {self.port}/tcp"
        rule = f"{self.family} {self.table} {self.chain} tcp dport {self.port} accept"
        return f"nft insert rule {rule} (and the same in /etc/nftables.conf, for the next boot)"


class _End(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    ON = "on"  # the rules have said nothing yet


def closed_ports(ruleset: Mapping[str, Any], ports: Sequence[int], *, interface: str | None) -> Iterator[Closed]:
    """``ruleset``: what ``nft --json list ruleset`` prints. ``interface``: where clients come in, if known."""
    rules = _Ruleset(ruleset.get("nftables", ()))
    for port in ports:
        for chain in rules.base_chains:
            if rules.closes(chain, port, interface):
                key = (chain["family"], chain["table"])
                manager = rules.manager(key)
                yield Closed(port=port, family=key[0], table=key[1], chain=chain["name"], manager=manager)
                break


class _Ruleset:
    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self.base_chains: list[Mapping[str, Any]] = []
        self._chains: dict[tuple[str, str], set[str]] = {}
        self._rules: dict[tuple[str, str, str], list[Sequence[Any]]] = {}
        self._sets: dict[tuple[str, str, str], Any] = {}
        for entry in entries:
            self._add(entry)

    def _add(self, entry: Mapping[str, Any]) -> None:
        for kind, value in entry.items():
            if kind == "metainfo" or value.get("family") not in _FAMILIES:
                continue
            table = (value["family"], value.get("table", ""))
            if kind == "chain":
                self._chains.setdefault(table, set()).add(value["name"])
                if value.get("hook") == "input" and value.get("type") == "filter":
                    self.base_chains.append(value)
            elif kind == "rule":
                self._rules.setdefault((*table, value["chain"]), []).append(value.get("expr", ()))
            elif kind == "set":
                self._sets[*table, value["name"]] = value.get("elem", [])

    def manager(self, table: tuple[str, str]) -> Manager:
        if table[1] == "firewalld":
            return Manager.FIREWALLD
        if any(name.startswith(("ufw-", "ufw6-")) for name in self._chains.get(table, ())):
            return Manager.UFW
        return Manager.NFTABLES

    def closes(self, chain: Mapping[str, Any], port: int, interface: str | None) -> bool:
        table = (chain["family"], chain["table"])
        end = self._walk(table, chain["name"], _Packet(port=port, interface=interface), 0)
        return end is _End.CLOSED or (end is _End.ON and chain.get("policy") == "drop")

    def _walk(self, table: tuple[str, str], chain: str, packet: "_Packet", depth: int) -> _End:
        if depth > _MOST_JUMPS:
            return _End.ON
        for expressions in self._rules.get((*table, chain), ()):
            end, returns = self._judge(table, expressions, packet, depth)
            if end is not _End.ON or returns:
                return end
        return _End.ON

    def _judge(
        self, table: tuple[str, str], expressions: Sequence[Any], packet: "_Packet", depth: int
    ) -> tuple[_End, bool]:
        """What one rule says, and whether the rest of its chain is passed over."""
        certain = True
        for expression in expressions:
            kind, value = _entry(expression)
            if kind == "match":
                known = packet.matches(value, lambda name: self._sets.get((*table, name)))
            elif kind == "xt":
                known = _legacy_match(value)
            else:
                known = None if kind in {"limit", "quota"} else True
            if known is False:
                break
            certain = certain and known is True
            for verdict, data in _verdicts(kind, value, packet):
                end, returns = self._decide(table, verdict, data, packet, depth)
                if end is _End.OPEN or (certain and (end is _End.CLOSED or returns)):
                    return end, returns
        return _End.ON, False

    def _decide(
        self, table: tuple[str, str], verdict: str, data: Any, packet: "_Packet", depth: int
    ) -> tuple[_End, bool]:
        if verdict in {"jump", "goto"}:
            return self._walk(table, data["target"], packet, depth + 1), verdict == "goto"
        return {"accept": _End.OPEN, "drop": _End.CLOSED}.get(verdict, _End.ON), verdict == "return"


def _entry(expression: Any) -> tuple[str, Any]:
    return next(iter(expression.items())) if isinstance(expression, dict) else (str(expression), None)


def _verdicts(kind: str, value: Any, packet: "_Packet") -> Iterator[tuple[str, Any]]:
    """Of an expression, the verdict if it is one; a map that cannot be looked up may open the port."""
    if kind == "xt" and value.get("type") == "target" and value.get("name") in {"REJECT", "DROP"}:
        yield "drop", None
    elif kind == "vmap":
        entries = value["data"].get("set", ()) if isinstance(value.get("data"), dict) else None
        own = packet.value(value.get("key"))
        if entries is None or own is None:
            yield "accept", None
            return
        if own is _NEVER:
            return
        for key, verdict in entries:
            if _contains(key, own):
                yield from verdict.items()
                return
    elif kind in {"accept", "drop", "reject", "jump", "goto", "return"}:
        yield "drop" if kind == "reject" else kind, value


def _legacy_match(value: Mapping[str, Any]) -> bool | None:
    """A match of iptables, of which nft tells the name only."""
    if value.get("type") == "target" or value.get("name") == "comment":
        return True
    return False if value.get("name") in {"conntrack", "state"} else None  # of connections that exist, nearly always


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packet:
    """The first of a connection: SYN to a port."""

    port: int
    interface: str | None

    def matches(self, match: Mapping[str, Any], find_set: Callable[[str], Any]) -> bool | None:
        """None: that depends on what is not known."""
        own, right = self.value(match.get("left")), match.get("right")
        if own is None and right == "lo":
            own = "another interface"
        if own is None or own is _NEVER:
            return own
        if isinstance(right, str) and right.startswith("@"):
            right = {"set": find_set(right[1:])}
        known = _contains(right, own)
        return known if known is None or match.get("op") != "!=" else not known

    def value(self, left: Any) -> int | str | Literal[False] | None:
        """Of what a condition asks for; _NEVER: such a packet has no such thing."""
        [(kind, asked)] = left.items() if isinstance(left, dict) and len(left) == 1 else [("", {})]
        if not isinstance(asked, dict):
            return None
        match kind, asked.get("protocol"), asked.get("field") or asked.get("key"):
            case "payload", "tcp" | "th", "dport":
                return self.port
            case "payload", "udp" | "icmp" | "icmpv6" | "sctp" | "esp" | "ah", _:
                return _NEVER
            case ("meta", _, "l4proto") | ("payload", "ip", "protocol") | ("payload", "ip6", "nexthdr"):
                return "tcp"
            case "meta", _, "iifname" | "iif":
                return self.interface
            case "ct", _, word:
                return {"state": "new", "status": "none", "direction": "original"}.get(str(word))
        return None


def _contains(right: Any, own: int | str) -> bool | None:
    if isinstance(right, dict):
        if "set" in right:
            return _contains(right["set"], own)
        if "range" in right:
            low, high = right["range"]
            return isinstance(own, int) and isinstance(low, int) and low <= own <= high
        return None
    if isinstance(right, list):
        found = [_contains(one, own) for one in right]
        return True if True in found else None if None in found else False
    if isinstance(right, str) and isinstance(own, str) and right.endswith("*"):
        return own.startswith(right[:-1])
    return None if right is None else bool(right == own)
