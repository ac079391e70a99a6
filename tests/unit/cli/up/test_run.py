# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What covirt up refuses before it starts anything, and what it writes."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from covirt.cli.up import daemons as daemons_module
from covirt.cli.up.daemons import daemons
from covirt.cli.up.installation import Choices, Installation
from covirt.cli.up.run import NOT_ALL_RUNS, bring_up, take_down, tell_status
from tests.support.programs import fake_program, prepend_path
from tests.support.roots import new_root
from tests.support.waiting import free_port


def up(root: Path, port: int | None = None) -> int:
    return bring_up(str(root), port=port, host_port=free_port(), subnet="10.77.0.0/24")


def test_a_directory_that_guests_cannot_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o700)
    assert up(tmp_path) == 1
    assert f"chmod a+x {tmp_path}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.root
def test_programs_in_a_closed_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told, and no reason to refuse: what is there already can be used."""
    (tmp_path / "bin").mkdir()
    tmp_path.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python3"))
    with new_root() as root, socket.create_server(("127.0.0.1", 0)) as listener:
        assert up(root.path, listener.getsockname()[1]) == 1
    assert f"chmod a+x {tmp_path}\n" in capsys.readouterr().out


@pytest.mark.root
def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with new_root() as root, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert up(root.path, port) == 1
        assert f"on port {port} already; choose another one with --port" in capsys.readouterr().err
        assert not root.run_dir.exists() or not list(Installation(root).records.running())


def test_nobody_but_root(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert up(tmp_path) == 1
    assert take_down(str(tmp_path), guests=False) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(" needs root")[0] for line in told] == ["covirt up: covirt up", "covirt down: covirt down"]


def test_status_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_status(str(tmp_path), as_json=True) == NOT_ALL_RUNS
    assert json.loads(capsys.readouterr().out) == {"root": str(tmp_path), "ready": False, "daemons": {}}
    assert tell_status(str(tmp_path), as_json=False) == NOT_ALL_RUNS
    assert "covirt up does it" in capsys.readouterr().out


def test_settings_are_written_once(tmp_path: Path) -> None:
    installation = Installation.at(str(tmp_path))
    installation.write_settings(Choices(engine_port=8443, host_port=54444))
    engine, host = (tmp_path / "etc/covirt" / name / "50-up.toml" for name in ("engine.d", "host.d"))
    before = host.stat().st_mtime_ns
    installation.write_settings(Choices(engine_port=9443, host_port=54444))
    assert "port = 9443" in engine.read_text()
    assert host.stat().st_mtime_ns == before


def test_addresses_are_given_where_no_hardware_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons_module, "_LINKS", tmp_path)
    prepend_path(monkeypatch, fake_program(tmp_path, "dnsmasq", "exit 0").parent)
    (dhcp,) = (
        each
        for each in daemons(Installation.at(str(tmp_path)), Choices(subnet="10.77.0.0/24"))
        if each.name == "dhcp"
    )
    assert dhcp.optional
    assert "--dhcp-range=10.77.0.10,10.77.0.254,255.255.255.0,12h" in dhcp.argv
    assert not dhcp.may_run()
    ports = tmp_path / "ovirtmgmt/brif"
    (ports / "vnet0").mkdir(parents=True)
    (tmp_path / "vnet0").mkdir()
    assert dhcp.may_run()
    for cable in ("p1p1", "eth0"):
        (ports / cable).mkdir()
        (tmp_path / cable / "device").mkdir(parents=True)
        assert not dhcp.may_run()
        (ports / cable).rmdir()
    (ports / "bond0").mkdir()
    assert not dhcp.may_run()
