# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What covirt-host check tells of bridges, the firewall and the clock, each with what mends it."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from covirt.common.process import CommandMissing
from covirt.common.root import Root
from covirt.host.config import HostConfig
from covirt.host.findings import Finding, Verdict, note
from covirt.host.surroundings import look_at_bridges, look_at_firewall, look_at_time

ROOT, CONFIG = Root("/"), HostConfig()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def modules(system: Path, *names: str) -> None:
    write(
        system / "lib/modules" / os.uname().release / "modules.dep", "".join(f"k/{name}.ko.xz:\n" for name in names)
    )


def bridges(system: Path) -> dict[str, Finding]:
    return {one.what: one for one in look_at_bridges(ROOT, CONFIG, system=system)}


def test_a_kernel_with_everything(tmp_path: Path) -> None:
    modules(tmp_path, "net/bridge/bridge", "bonding/bonding")
    (tmp_path / "sys/module/8021q").mkdir(parents=True)
    assert {one.verdict for one in bridges(tmp_path).values()} == {Verdict.GOOD}


def test_what_a_kernel_lacks(tmp_path: Path) -> None:
    modules(tmp_path, "net/bridge/br_netfilter")
    found = bridges(tmp_path)
    assert (found["bridges"].verdict, found["bonds"].verdict) == (Verdict.MISSING, Verdict.NOTE)
    assert all(found[what].remedy for what in ("bridges", "bonds", "VLANs"))


def test_a_kernel_that_lists_nothing_is_not_called_poor(tmp_path: Path) -> None:
    assert {bridges(tmp_path)[what].verdict for what in ("bridges", "bonds", "VLANs")} == {Verdict.NOTE}


def test_frames_that_pass_the_hosts_firewall(tmp_path: Path) -> None:
    for name, value in (("iptables", "1\n"), ("ip6tables", "1\n"), ("arptables", "0\n")):
        write(tmp_path / "proc/sys/net/bridge" / f"bridge-nf-call-{name}", value)
    found = bridges(tmp_path)["frames on bridges"]
    assert found.verdict is Verdict.NOTE
    assert "iptables and ip6tables" in found.fact
    assert "net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0" in found.remedy


def firewall(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[Finding]:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/sbin/nft")
    return list(look_at_firewall(ROOT, CONFIG, ask=lambda _argv: answer, interface=lambda: "eth0"))


def test_each_closed_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"family": "inet", "table": "filter"}
    accept: list[dict[str, Any]] = [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 54321}},
        {"accept": None},
    ]
    policy = {"chain": {**where, "name": "input", "type": "filter", "hook": "input", "policy": "drop"}}
    rule = {"rule": {**where, "chain": "input", "expr": accept}}
    both = firewall(monkeypatch, json.dumps({"nftables": [policy]}))
    assert ["54321" in both[0].fact, "54322" in both[1].fact] == [True, True]
    [left] = firewall(monkeypatch, json.dumps({"nftables": [policy, rule]}))
    assert left.verdict is Verdict.MISSING
    assert "port 54322 is closed by nftables" in left.fact
    assert left.remedy.startswith("nft insert rule inet filter input tcp dport 54322 accept")


def test_a_host_without_rules_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = firewall(monkeypatch, '{"nftables": []}')
    assert (found.verdict, found.fact) == (Verdict.GOOD, "open for 54321 and 54322")


@pytest.mark.parametrize("answer", ["no JSON", '{"nftables": [{"rule": {"family": "ip", "chain": 3}}, 7]}'])
def test_rules_that_cannot_be_read_are_told_so(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    [found] = firewall(monkeypatch, answer)
    assert (found.verdict, found.remedy) == (Verdict.NOTE, "nft list ruleset")


@pytest.mark.parametrize(("told", "verdict"), [("yes\n", Verdict.GOOD), ("no\n", Verdict.MISSING)])
def test_the_clock(told: str, verdict: Verdict) -> None:
    [found] = look_at_time(ROOT, CONFIG, ask=lambda _argv: told)
    assert found.verdict is verdict
    assert bool(found.remedy) is (verdict is Verdict.MISSING)


@pytest.mark.parametrize(
    ("program", "words"), [("chronyc", "systemctl enable --now chrony"), ("", "timedatectl|apt-get install chrony")]
)
def test_the_clock_is_mended_by_what_is_installed(monkeypatch: pytest.MonkeyPatch, program: str, words: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name == program else None)
    [found] = look_at_time(ROOT, CONFIG, ask=lambda _argv: "no")
    assert found.remedy.startswith(tuple(words.split("|")))


def test_a_clock_that_nobody_knows_is_a_note() -> None:
    def absent(_argv: Sequence[str]) -> str:
        raise CommandMissing(program="timedatectl", reason="none")

    [found] = look_at_time(ROOT, CONFIG, ask=absent)
    assert found.verdict is Verdict.NOTE


def test_what_a_program_says_on_several_lines_is_one_cell() -> None:
    finding = note("clock", "not known:\n  System has not been booted\n\nHost is down\n", "timedatectl")
    assert finding.fact == "not known:; System has not been booted; Host is down"
