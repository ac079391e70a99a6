# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The guest agent's face: virsh qemu-agent-command and what stands on it, against real containers."""

import json
import os
import struct
import time

import libvirt
import libvirt_qemu
import pytest

from covirt.virtocid.driver.agent.table import REFUSED
from covirt.wire import procedures as proc
from covirt.wire import procedures_agent as agent_proc
from covirt.wire.constants import ErrorCode
from covirt.wire.structs import NameArgs
from covirt.wire.structs_agent import QemuDomainAgentCommandArgs
from tests.support.agent import ask, refusal, script, serving, write_file
from tests.support.listener import listening
from tests.support.network import LinuxBridge
from tests.support.virtocid import SECONDS, Virtocid, bridge_device
from tests.support.waiting import wait_until
from tests.support.wire_client import CallFailed, WireClient

_OS_RELEASE = 'NAME="Small Box"\\nID=small\\nPRETTY_NAME="Small Box 1 (tiny)"\\nVERSION_ID=1\\nBROKEN="\\n'
_SET_UP = f"printf '{_OS_RELEASE}' > /etc/os-release; hostname"


def test_what_it_is(virtocid: Virtocid) -> None:
    serving(virtocid, "box", _SET_UP)
    assert ask(virtocid, "box", "guest-ping") == {}
    assert ask(virtocid, "box", "guest-sync", id=-77) == -77
    assert ask(virtocid, "box", "guest-sync-delimited", id=1 << 40) == 1 << 40
    info = {each["name"]: each["enabled"] for each in ask(virtocid, "box", "guest-info")["supported_commands"]}
    assert info["guest-ping"]
    assert info["guest-file-open"]
    assert not info["guest-fsfreeze-freeze"]
    facts = ask(virtocid, "box", "guest-get-osinfo")
    assert facts == {
        "kernel-release": os.uname().release,
        "kernel-version": os.uname().version,
        "machine": os.uname().machine,
        "id": "small",
        "name": "Small Box",
        "pretty-name": "Small Box 1 (tiny)",
        "version-id": "1",
    }
    assert ask(virtocid, "box", "guest-get-host-name") == {"host-name": "box"}
    assert abs(ask(virtocid, "box", "guest-get-time") - time.time_ns()) < 3600e9
    assert ask(virtocid, "box", "guest-get-timezone") == {"zone": "UTC", "offset": 0}
    assert ask(virtocid, "box", "guest-get-users") == []
    assert ask(virtocid, "box", "guest-get-disks") == []
    assert ask(virtocid, "box", "guest-get-vcpus") == [{"logical-id": 0, "online": True, "can-offline": False}]


def test_time_zone_and_users_as_the_container_has_them(virtocid: Virtocid) -> None:
    serving(virtocid, "box", "mkdir -p /run", environment={"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"})
    zone = ask(virtocid, "box", "guest-get-timezone")
    assert zone in ({"zone": "CET", "offset": 3600}, {"zone": "CEST", "offset": 7200})
    write_file(virtocid, "box", "/run/utmp", utmp(b"ada", 1_000_000) + utmp(b"ada", 500_000) + utmp(b"b\x1bad", 7))
    assert ask(virtocid, "box", "guest-get-users") == [{"user": "ada", "login-time": 500_000.25}]
    told = virtocid.tell("guestinfo", "box", "--user")
    assert [line.split() for line in told.splitlines()] == [
        ["user.count", ":", "1"],
        ["user.0.name", ":", "ada"],
        ["user.0.login-time", ":", "500000250"],
    ]


def utmp(user: bytes, seconds: int) -> bytes:
    assert os.uname().machine == "x86_64", "the record below is of this architecture"
    return struct.pack("<h2xi32s4s32s256shhiii16s20x", 7, 1, b"pts/0", b"", user, b"", 0, 0, 0, seconds, 250_000, b"")


def test_network(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    address = f"{linux_bridge.guest_address(5)}/24"
    serving(virtocid, "box", devices=bridge_device(linux_bridge.name, address))
    loopback, ethernet = ask(virtocid, "box", "guest-network-get-interfaces")
    assert loopback["name"] == "lo"
    assert ethernet["name"] == "eth0"
    ipv4 = [each for each in ethernet["ip-addresses"] if each["ip-address-type"] == "ipv4"]
    assert ipv4 == [{"ip-address": address.partition("/")[0], "ip-address-type": "ipv4", "prefix": 24}]
    assert ethernet["hardware-address"] in virtocid.tell("dumpxml", "box")
    assert ethernet["statistics"]["tx-errs"] == 0
    told = virtocid.tell("guestinfo", "box", "--interface")
    assert "eth0" in told
    assert address.partition("/")[0] in told


def test_file_systems(virtocid: Virtocid) -> None:
    ram = "<filesystem type='ram'><source usage='1024' units='KiB'/><target dir='/srv/a b'/></filesystem>"
    serving(virtocid, "box", "head -c 300000 /dev/zero > '/srv/a b/full'", devices=ram)
    found = {each["mountpoint"]: each for each in ask(virtocid, "box", "guest-get-fsinfo")}
    assert found.keys() == {"/", "/srv/a b"}
    assert found["/"]["type"] == "overlay"
    assert found["/srv/a b"]["type"] == "tmpfs"
    assert found["/srv/a b"]["total-bytes"] == 1 << 20
    assert 300_000 <= found["/srv/a b"]["used-bytes"] < 400_000
    told = [line.split(maxsplit=2) for line in virtocid.tell("domfsinfo", "box").splitlines()]
    assert ["/", "overlay", "overlay"] in [[word.strip() for word in line] for line in told]
    assert any(line[0] == "/srv/a" for line in told)


def test_a_file_system_on_a_disk(virtocid: Virtocid) -> None:
    disk = virtocid.root.path / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(32 << 20)
    device = f"<disk type='file' device='disk'><source file='{disk}'/><target dev='vda'/></disk>"
    volume = "<covirt:volume disk='vda' target='/data'/>"
    serving(virtocid, "box", devices=f"{device}<console type='pty'/>", settings=volume)
    assert ["/data", "vda", "ext4", "vda"] in [
        line.split() for line in virtocid.tell("domfsinfo", "box").splitlines()
    ]
    with virtocid.connect() as connection:
        info = connection.lookupByName("box").guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_FILESYSTEM, 0)
    assert info["fs.count"] == 2
    assert (info["fs.1.mountpoint"], info["fs.1.disk.count"], info["fs.1.disk.0.alias"]) == ("/data", 1, "vda")
    assert 0 < info["fs.1.used-bytes"] < info["fs.1.total-bytes"] <= 32 << 20
    virtocid.virsh("destroy", "box")


def test_virsh_on_top(virtocid: Virtocid) -> None:
    serving(virtocid, "box", _SET_UP)
    assert virtocid.tell("domhostname", "box") == "box"
    assert virtocid.tell("domhostname", "box", "--source", "agent") == "box"
    assert "by lease is not supported" in virtocid.refusal("domhostname", "box", "--source", "lease")
    assert abs(int(virtocid.tell("domtime", "box").removeprefix("Time: ")) - time.time()) < 3600
    vcpus = [line.split() for line in virtocid.tell("guestvcpus", "box").splitlines()]
    assert vcpus == [["vcpus", ":", "0"], ["online", ":", "0"], ["offlinable", ":"]]
    everything = dict(line.split(":", 1) for line in virtocid.tell("guestinfo", "box").splitlines())
    told = {key.strip(): value.strip() for key, value in everything.items()}
    assert told["os.pretty-name"] == "Small Box 1 (tiny)"
    assert told["timezone.offset"] == "0"
    assert told["hostname"] == "box"
    assert told["fs.count"] == "1"
    assert told["fs.0.mountpoint"] == "/"
    assert told["disk.count"] == "0"
    assert told["if.count"] == "1"
    virtocid.virsh("guest-agent-timeout", "box", "--timeout", "20")
    assert ask(virtocid, "box", "guest-get-host-name") == {"host-name": "box"}
    assert "less than the minimum" in virtocid.refusal("guest-agent-timeout", "box", "--timeout", "-7")


def test_vdsm_asks_by_libvirt_python(virtocid: Virtocid) -> None:
    serving(virtocid, "box", _SET_UP)
    with virtocid.connect() as connection:
        domain = connection.lookupByName("box")
        info = domain.guestInfo(0, 0)
        assert info["os.id"] == "small"
        assert info["fs.0.total-bytes"] > info["fs.0.used-bytes"]
        assert domain.guestVcpus() == {"vcpus": "0", "online": "0", "offlinable": ""}
        assert domain.agentSetResponseTimeout(10, 0) == 0
        assert domain.getTime()["seconds"] > 0
        assert domain.fsInfo()[0][0] == "/"
        answer = libvirt_qemu.qemuAgentCommand(domain, '{"execute":"guest-ping","id":[1,"a"]}', -1, 0)
        assert json.loads(answer) == {"return": {}, "id": [1, "a"]}
        with pytest.raises(libvirt.libvirtError) as caught:
            libvirt_qemu.qemuAgentCommand(domain, '{"execute":"guest-ping"}', -3, 0)
        assert caught.value.get_error_code() == libvirt.VIR_ERR_INVALID_ARG
        for refused in (lambda: domain.setTime({"seconds": 1, "nseconds": 0}), domain.fsFreeze, domain.fsThaw):
            with pytest.raises(libvirt.libvirtError) as caught:
                refused()
            assert caught.value.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT


def test_what_a_container_refuses(virtocid: Virtocid) -> None:
    virtocid.run("box")
    for command, reason in REFUSED.items():
        assert refusal(virtocid, "box", command) == f"Command {command} has been disabled: {reason}"


def test_nonsense(virtocid: Virtocid) -> None:
    virtocid.run("box")
    assert refusal(virtocid, "box", "guest-explode") == "The command guest-explode has not been found"
    assert refusal(virtocid, "box", "guest-ping", loudly=True) == "Parameter 'loudly' is unexpected"
    assert refusal(virtocid, "box", "guest-sync") == "Parameter 'id' is missing"
    assert refusal(virtocid, "box", "guest-sync", id=True) == "Invalid parameter type for 'id', expected: integer"
    for text in ("", "{", "[]", "NaN", "[" * 100_000, '{"execute":7}', '{"execute":"guest-ping","arguments":[]}'):
        words = virtocid.refusal("qemu-agent-command", "box", text or " ")
        assert words.startswith("internal error: ")
    assert ask(virtocid, "box", "guest-ping") == {}


def test_without_a_container_that_can_answer(virtocid: Virtocid) -> None:
    def code(connection: "libvirt.virConnect", command: str) -> int:
        with pytest.raises(libvirt.libvirtError) as caught:
            libvirt_qemu.qemuAgentCommand(connection.lookupByName("box"), json.dumps({"execute": command}), 5, 0)
        return int(caught.value.get_error_code())

    virtocid.define("box")
    with virtocid.connect() as connection:
        assert code(connection, "guest-ping") == libvirt.VIR_ERR_OPERATION_INVALID
        virtocid.virsh("start", "--paused", "box")
        assert code(connection, "guest-ping") == libvirt.VIR_ERR_AGENT_UNRESPONSIVE
        virtocid.virsh("resume", "box")
        assert ask(virtocid, "box", "guest-ping") == {}
        virtocid.virsh("suspend", "box")
        assert code(connection, "guest-get-osinfo") == libvirt.VIR_ERR_AGENT_UNRESPONSIVE
        assert "is paused" in virtocid.refusal("guestinfo", "box")


def test_readers_may_not_ask(virtocid: Virtocid) -> None:
    virtocid.run("box")
    for words in (("domhostname",), ("guestinfo",), ("domfsinfo",), ("domtime",)):
        assert "read only" in virtocid.refusal(*words, "box", readonly=True)
    with WireClient(virtocid.root.libvirt_dir / "virtocid-sock-ro") as client:  # stock clients refuse by themselves
        dom = client.open().call(proc.DOMAIN_LOOKUP_BY_NAME, NameArgs(name="box")).dom
        ping = QemuDomainAgentCommandArgs(dom=dom, cmd='{"execute":"guest-ping"}', timeout=-1, flags=0)
        with pytest.raises(CallFailed) as caught:
            client.call(agent_proc.QEMU_DOMAIN_AGENT_COMMAND, ping)
        assert caught.value.error.code == ErrorCode.OPERATION_DENIED


@pytest.mark.parametrize("mode", ["powerdown", "halt"])
def test_shutdown(virtocid: Virtocid, mode: str) -> None:
    serving(virtocid)
    assert "mode is invalid" in refusal(virtocid, "box", "guest-shutdown", mode="explode")
    assert ask(virtocid, "box", "guest-shutdown", mode=mode) == {}
    virtocid.wait_for_state("box", "shut off (shutdown)")


def test_reboot(virtocid: Virtocid) -> None:
    serving(virtocid)
    uptime = virtocid.tell("domuuid", "box")
    assert ask(virtocid, "box", "guest-shutdown", mode="reboot") == {}
    wait_until(lambda: virtocid.console_log("box").count("serving") == 2, timeout_seconds=SECONDS)
    assert virtocid.tell("domuuid", "box") == uptime
    virtocid.virsh("shutdown", "box", "--mode", "agent")
    virtocid.wait_for_state("box", "shut off (shutdown)")


def test_the_live_xml_tells_of_the_agent(virtocid: Virtocid) -> None:
    virtocid.define("box", script())
    channel = "name='org.qemu.guest_agent.0' state='{}'"
    virtocid.virsh("start", "--paused", "box")
    assert channel.format("disconnected") in virtocid.tell("dumpxml", "box")
    virtocid.virsh("resume", "box")
    text = virtocid.tell("dumpxml", "box")
    assert channel.format("connected") in text
    with virtocid.xml_file(text) as path:
        virtocid.virsh("define", str(path))
    assert "guest_agent" not in virtocid.tell("dumpxml", "--inactive", "box")


def test_clients_hear_of_the_agent(virtocid: Virtocid) -> None:
    virtocid.define("box", script())
    with listening(virtocid, agent=True) as listener:

        def heard(last: str) -> list[str]:
            return [line for line in listener.until(last) if line.startswith(("agent", "lifecycle"))]

        virtocid.virsh("start", "--paused", "box")
        number = virtocid.tell("domid", "box")
        started = [f"lifecycle box {number} 2 0", f"lifecycle box {number} 3 0"]
        virtocid.virsh("resume", "box")
        assert heard("agent box 1 2") == [*started, f"lifecycle box {number} 4 0", "agent box 1 2"]
        virtocid.wait_for_output("box", "serving")
        virtocid.virsh("reboot", "box")
        assert heard("reboot box") == ["agent box 2 2", "agent box 1 2"]
        virtocid.virsh("destroy", "box")
        assert heard("lifecycle box -1 5 1") == ["agent box 2 2", "lifecycle box -1 5 1"]
        virtocid.virsh("start", "box")
        again = virtocid.tell("domid", "box")
        assert heard("agent box 1 2") == [f"lifecycle box {again} 2 0", "agent box 1 2"]
