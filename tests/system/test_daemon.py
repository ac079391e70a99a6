# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The daemon as a program: its options, its start, its end, and a second installation beside it."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from covirt.common.process import Completed, run
from covirt.common.root import Root
from tests.support.hotplug import container_pid
from tests.support.network import LinuxBridge, fetch
from tests.support.virtocid import SECONDS, Virtocid, bridge_device, serve_virtocid

_PROGRAM = Path(sys.executable).parent / "virtocid"


def program(*arguments: str) -> Completed:
    return run([_PROGRAM, *arguments], timeout_seconds=SECONDS, check=False)


def test_version_and_help() -> None:
    assert program("--version").stdout.decode().startswith("virtocid 0.")
    assert b"--root" in program("--help").stdout


def test_show_config(root_dir: Root) -> None:
    directory = root_dir.config_dir / "virtocid.d"
    directory.mkdir(parents=True)
    (directory / "50-ours.toml").write_text("[container]\npids_limit = 77\n")
    shown = json.loads(program("--root", str(root_dir.path), "--show-config").stdout)
    assert shown["container"]["pids_limit"] == 77
    assert shown["container"]["default_runtime"] == "runc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[container]\npid_limit = 77\n", "pid_limit"),
        ("[box]\npids_limit = 77\n", "box"),
        ("[container]\npids_limit = 'many'\n", "pids_limit"),
        ("[container]\npids_limit = -1\n", "pids_limit"),
        ("[container\n", "line 1"),
    ],
)
def test_configuration_with_a_mistake(root_dir: Root, text: str, expected: str) -> None:
    directory = root_dir.config_dir / "virtocid.d"
    directory.mkdir(parents=True)
    (directory / "mistake.toml").write_text(text)
    for option in ([], ["--show-config"]):
        refused = program("--root", str(root_dir.path), *option)
        complaint = refused.stderr.decode().strip()
        assert refused.status == 1
        assert complaint.startswith("virtocid: ")
        assert "mistake.toml" in complaint
        assert expected in complaint
        assert "\n" not in complaint


def test_root_that_a_container_could_not_pass(root_dir: Root) -> None:
    closed = root_dir.path / "closed"
    closed.mkdir(mode=0o700)
    refused = program("--root", str(closed))
    assert refused.status == 1
    assert str(closed) in refused.stderr.decode()


def test_orderly_end_and_a_new_start(virtocid: Virtocid) -> None:
    virtocid.run("web")
    pid = container_pid(virtocid, "web")
    assert virtocid.stop() == 0
    assert "Stopping; containers go on" in virtocid.log
    assert not (virtocid.root.libvirt_dir / "virtocid-sock").exists()
    assert Path(f"/proc/{pid}").exists()
    virtocid.start()
    assert container_pid(virtocid, "web") == pid
    assert virtocid.state("web") == "running (booted)"


def test_signals_in_quick_succession_are_an_orderly_end_too(virtocid: Virtocid) -> None:
    for _ in range(5):
        os.kill(virtocid.pid, signal.SIGINT)
        assert virtocid.stop() == 0
        virtocid.start()


def test_two_installations_side_by_side(virtocid: Virtocid, busybox_layout: Path, linux_bridge: LinuxBridge) -> None:
    """One host, one network, one cgroup tree: the same names in both, and nothing of one touches the other."""
    server = ("/bin/httpd", "-f", "-h", "/www")
    with serve_virtocid(busybox_layout) as other:
        first, second = linux_bridge.guest_address(2), linux_bridge.guest_address(3)
        virtocid.run("web", server, devices=bridge_device(linux_bridge.name, f"{first}/24"))
        other.run("web", server, devices=bridge_device(linux_bridge.name, f"{second}/24"))
        for address in (first, second):
            assert fetch(f"http://{address}/index.html") == b"hello from a container\n"
        assert virtocid.tell("domuuid", "web") != other.tell("domuuid", "web")
        assert virtocid.tell("domiflist", "web").split()[0] != other.tell("domiflist", "web").split()[0]
        owners = {owner_of(container_pid(one, "web")) for one in (virtocid, other)}
        assert len(owners) == 2
        other.restart()
        other.virsh("destroy", "web")
        assert virtocid.state("web") == "running (booted)"
        assert fetch(f"http://{first}/index.html") == b"hello from a container\n"


def owner_of(pid: int) -> int:
    """The host's user id of a process."""
    return Path(f"/proc/{pid}").stat().st_uid


def test_files_of_the_daemon_are_its_own(virtocid: Virtocid) -> None:
    virtocid.define("web", environment={"TOKEN": "x"})
    uuid = virtocid.tell("domuuid", "web")
    record = virtocid.root.state_dir / "virtocid/domains" / uuid / "domain.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert json.loads(record.read_text())["version"] >= 1


def test_broken_record_does_not_keep_the_others_out(virtocid: Virtocid) -> None:
    for name in ("good", "bad"):
        virtocid.define(name)
    uuid = virtocid.tell("domuuid", "bad")
    record = virtocid.root.state_dir / "virtocid/domains" / uuid / "domain.json"
    content = record.read_bytes()
    virtocid.kill()
    record.write_bytes(content[: len(content) // 2])
    virtocid.start()
    assert virtocid.tell("list", "--all", "--name") == "good"
    assert str(record) in virtocid.log
    record.write_bytes(content)
    virtocid.restart()
    assert virtocid.tell("list", "--all", "--name").split() == ["bad", "good"]
