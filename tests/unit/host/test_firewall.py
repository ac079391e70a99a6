# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which ports count as closed: rules as nft prints them, of nftables itself, iptables, ufw and firewalld."""

from typing import Any

import pytest

from covirt.host.firewall import Closed, Manager, closed_ports

ACCEPT: dict[str, Any] = {"accept": None}
DROP: dict[str, Any] = {"drop": None}
REJECT: dict[str, Any] = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}
COUNTER = {"counter": {"packets": 0, "bytes": 0}}


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def dport(right: Any, *, protocol: str = "tcp", op: str = "==") -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": "dport"}}, right, op)


def meta(key: str, right: Any, op: str = "==") -> dict[str, Any]:
    return match({"meta": {"key": key}}, right, op)


KNOWN = [match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT]
LO = [meta("iifname", "lo"), ACCEPT]


def chain(*rules: list[Any], name: str = "input", policy: str | None = "accept", table: str = "filter",
          family: str = "inet") -> list[dict[str, Any]]:  # fmt: skip
    base = {} if policy is None else {"type": "filter", "hook": "input", "prio": 0, "policy": policy}
    where = {"family": family, "table": table}
    entries: list[dict[str, Any]] = [{"chain": {**where, "name": name, **base}}]
    return entries + [{"rule": {**where, "chain": name, "expr": list(expr)}} for expr in rules]


def closed(*entries: dict[str, Any], interface: str | None = "eth0") -> list[Closed]:
    ruleset = {"nftables": [{"metainfo": {"version": "1.0.6"}}, *entries]}
    return list(closed_ports(ruleset, [54321], interface=interface))


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [KNOWN, LO, [dport(54321), ACCEPT]],
        [KNOWN, [dport({"set": [22, {"range": [54000, 54999]}]}), COUNTER, ACCEPT]],
        [[dport("@allowed"), ACCEPT]],
        [[dport(22, op="!="), ACCEPT]],
        [[meta("l4proto", "tcp"), ACCEPT]],
        [[meta("iifname", "eth*"), ACCEPT]],
        [[match({"payload": {"protocol": "ip", "field": "saddr"}}, "192.0.2.0/24"), ACCEPT]],
        [[{"jump": {"target": "ours"}}]],
        [[{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": [[54321, ACCEPT]]}}}]],
        [[{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": "@verdicts"}}]],
        [[meta("l4proto", "tcp"), {"xt": {"type": "match", "name": "multiport"}}, COUNTER, ACCEPT]],
    ],
)
def test_open(rules: list[list[Any]]) -> None:
    allowed = {"set": {"family": "inet", "table": "filter", "name": "allowed", "elem": [22, 54321]}}
    ours = chain([dport(54321), ACCEPT], name="ours", policy=None)
    policy = "drop" if rules else "accept"
    assert closed(allowed, *ours, *chain(*rules, policy=policy)) == []


@pytest.mark.parametrize(
    ("policy", "rules"),
    [
        ("drop", [KNOWN, LO, [dport(22), ACCEPT]]),
        ("drop", [[dport(53, protocol="udp"), ACCEPT], [dport(53, protocol="udp", op="!="), ACCEPT]]),
        ("accept", [KNOWN, [REJECT]]),
        ("accept", [[dport(54321), DROP], [dport(54321), ACCEPT]]),
        ("accept", [[meta("iifname", "lo", "!="), dport({"range": [1024, 65535]}), COUNTER, DROP]]),
        ("drop", [[{"goto": {"target": "other"}}], [ACCEPT]]),
        ("drop", [[match({"ct": {"key": "status"}}, "dnat"), ACCEPT]]),
        ("drop", [[{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["established", ACCEPT]]}}}]]),
        ("accept", [[{"xt": {"type": "match", "name": "conntrack"}}, COUNTER, ACCEPT],
                    [COUNTER, {"xt": {"type": "target", "name": "REJECT"}}]]),
        ("drop", [[dport(22), {"xt": {"type": "match", "name": "comment"}}, ACCEPT]]),
    ],
)  # fmt: skip
def test_closed(policy: str, rules: list[list[Any]]) -> None:
    other = chain([dport(22), ACCEPT], name="other", policy=None)
    [found] = closed(*other, *chain(*rules, policy=policy))
    assert (found.port, found.family, found.table, found.chain) == (54321, "inet", "filter", "input")
    assert found.remedy.startswith("nft insert rule inet filter input tcp dport 54321 accept")


def test_a_drop_for_some_clients_does_not_close_it() -> None:
    rule = [match({"payload": {"protocol": "ip", "field": "saddr"}}, "192.0.2.0/24"), dport(54321), DROP]
    assert closed(*chain(rule)) == []


def test_every_base_chain_has_a_say() -> None:
    first, second = chain([dport(54321), ACCEPT], table="mine"), chain(policy="drop", table="theirs")
    assert [one.table for one in closed(*first, *second)] == ["theirs"]
    assert closed(*chain(policy="drop", family="bridge")) == []


def test_firewalld_is_told_by_its_own_command() -> None:
    where = {"policy": "accept", "table": "firewalld"}
    entries = [
        *chain(KNOWN, [match({"ct": {"key": "status"}}, "dnat"), ACCEPT], LO, [{"jump": {"target": "ZONES"}}],
               [REJECT], name="filter_INPUT", **where),
        *chain([meta("iifname", "eth0"), {"goto": {"target": "public"}}], [{"goto": {"target": "public"}}],
               name="ZONES", policy=None, table="firewalld"),
        *chain([dport(22), match({"ct": {"key": "state"}}, {"set": ["new", "untracked"]}), ACCEPT], [REJECT],
               name="public", policy=None, table="firewalld"),
    ]  # fmt: skip
    for interface in ("eth0", None):
        [found] = closed(*entries, interface=interface)
        assert found.manager is Manager.FIREWALLD
        assert found.remedy == "firewall-cmd --permanent --add-port=54321/tcp && firewall-cmd --reload"
    opened = chain([dport(54321), match({"ct": {"key": "state"}}, {"set": ["new", "untracked"]}), ACCEPT],
                   name="public", policy=None, table="firewalld")  # fmt: skip
    assert closed(*entries[:-2], *opened) == []


def test_ufw_is_told_by_its_own_command() -> None:
    rules = chain([{"jump": {"target": "ufw-user-input"}}], name="INPUT", policy="drop", family="ip")
    [found] = closed(*rules, *chain(name="ufw-user-input", policy=None, family="ip"))
    assert found.remedy == "ufw allow 54321/tcp"


def test_chains_that_call_each_other_come_to_an_end() -> None:
    assert closed(*chain([{"jump": {"target": "input"}}]), interface=None) == []
