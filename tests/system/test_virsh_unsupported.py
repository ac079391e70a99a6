# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a container cannot do is answered with libvirt's "not supported" and a reason, and logged once."""

from pathlib import Path

import pytest

from tests.support.virtocid import Virtocid

_COMMANDS = {
    "save web /tmp/never": "cannot be saved",
    "restore /tmp/never": "cannot be saved",
    "managedsave web": "cannot be saved",
    "dump web /tmp/never": "cannot be saved",
    "snapshot-create web": "no snapshots",
    "checkpoint-create web": "no snapshots",
    "screenshot web": "no screen",
    "send-key web KEY_A": "no keyboard",
    "inject-nmi web": "no firmware",
    "dompmsuspend web mem": "sleep states",
    "domtime web --now": "the clock of a container is the host's",
    "domfsfreeze web": "suspend the domain",
    "domfstrim web": "suspend the domain",
    "set-user-password web root x": "its image's",
    "get-user-sshkeys web root": "its image's",
    "emulatorpin web": "no emulator",
    "blockpull web sda": "not devices of a machine",
    "domrename web other": "keeps its name",
    "perf web": "no such numbers",
    "net-list": "network:///system",
    "pool-create-as other dir --target /tmp/never": "there is no other",
    "nodedev-list": "nodedev:///system",
    "iface-list": "interface:///system",
    "sysinfo": "qemu:///system",
    "qemu-monitor-command web info": "no QEMU",
    "lxc-enter-namespace web /bin/sh": "nsenter",
}


@pytest.fixture(scope="module")
def refusals(virtocid_daemon: Virtocid) -> dict[str, str]:
    with virtocid_daemon.used_by_a_test() as virtocid:
        virtocid.run("web")
        return {command: virtocid.refusal(*command.split()) for command in _COMMANDS}


@pytest.mark.parametrize("command", _COMMANDS)
def test_reason(refusals: dict[str, str], command: str) -> None:
    answer = refusals[command]
    assert answer.startswith("this function is not supported by the connection driver: vir")
    assert _COMMANDS[command] in answer


def test_logged_once(virtocid: Virtocid) -> None:
    virtocid.run("web")
    for _ in range(3):
        virtocid.refusal("managedsave", "web")
    assert virtocid.log.count("not supported procedure=virDomainManagedSave ") == 1
    assert "virDomainManagedSave" in virtocid.log


def test_ways_to_stop_that_need_a_channel(virtocid: Virtocid) -> None:
    virtocid.run("web")
    for command in ("shutdown", "reboot"):
        assert "by a paravirtual channel is not supported" in virtocid.refusal(command, "web", "--mode", "paravirt")
    assert virtocid.state("web") == "running (booted)"
    virtocid.virsh("shutdown", "web", "--mode", "acpi,signal")
    virtocid.wait_for_state("web", "shut off (shutdown)")


def test_start_that_ends_with_its_client(virtocid: Virtocid) -> None:
    virtocid.define("web")
    assert "autodestroy is not supported" in virtocid.refusal("start", "web", "--autodestroy")
    assert not Path("/tmp/never").exists()
