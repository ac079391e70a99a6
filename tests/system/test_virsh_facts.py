# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virsh about one domain: who it is, what it is made of, what others noted on it."""

from pathlib import Path
from uuid import UUID

from tests.support.network import LinuxBridge
from tests.support.virtocid import Virtocid, bridge_device, domain_xml
from tests.support.xml_facts import fact, facts

_NOTES = "https://example.org/notes"
_OWNER = '<owner team="red">Ann</owner>'


def test_identity(virtocid: Virtocid) -> None:
    virtocid.run("web")
    uuid, number = virtocid.tell("domuuid", "web"), virtocid.tell("domid", "web")
    assert UUID(uuid).version == 4
    assert int(number) > 0
    assert virtocid.tell("domname", number) == virtocid.tell("domname", uuid) == "web"
    assert virtocid.tell("domid", uuid) == number
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert int(virtocid.tell("domid", "web")) > int(number)
    assert virtocid.tell("domuuid", "web") == uuid


def test_dominfo(virtocid: Virtocid) -> None:
    virtocid.run("web", memory_mib=96)
    info = dict(line.split(":", 1) for line in virtocid.tell("dominfo", "web").splitlines())
    assert {name: value.strip() for name, value in info.items() if name != "CPU time"} == {
        "Id": virtocid.tell("domid", "web"),
        "Name": "web",
        "UUID": virtocid.tell("domuuid", "web"),
        "OS Type": "exe",
        "State": "running",
        "CPU(s)": "1",
        "Max memory": f"{96 * 1024} KiB",
        "Used memory": f"{96 * 1024} KiB",
        "Persistent": "yes",
        "Autostart": "disable",
        "Managed save": "no",
    }


def test_what_is_looser_than_the_defaults_is_told(virtocid: Virtocid) -> None:
    virtocid.run("loose", settings="<covirt:seccomp profile='unconfined'/><covirt:privileges new='yes'/>")
    text = virtocid.tell("dominfo", "loose")
    assert "tainted: no system call filter" in text
    assert "tainted: new privileges allowed" in text


def test_dumpxml_of_a_running_domain(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    given = domain_xml("web", image="", devices=f"{cdrom(virtocid)}{bridge_device(linux_bridge.name)}<console/>")
    with virtocid.xml_file(given) as path:
        virtocid.virsh("define", str(path))
    stored = virtocid.tell("dumpxml", "web")
    assert facts(stored, "@id", "devices/interface/target/@dev") == []
    mac = fact(stored, "devices/interface/mac/@address")
    virtocid.virsh("start", "web")
    live = virtocid.tell("dumpxml", "web")
    assert fact(live, "@id") == virtocid.tell("domid", "web")
    assert fact(live, "devices/interface/mac/@address") == mac
    assert fact(live, "devices/interface/source/@bridge") == linux_bridge.name
    assert Path("/sys/class/net", fact(live, "devices/interface/target/@dev"), "master").exists()
    assert fact(live, "devices/console/alias/@name") == "console0"
    assert facts(virtocid.tell("dumpxml", "--inactive", "web"), "devices/interface/target/@dev") == []


def cdrom(virtocid: Virtocid) -> str:
    return f"<disk type='file' device='cdrom'><source file='{virtocid.image}'/><target dev='sda'/><readonly/></disk>"


def test_dumpxml_can_be_defined_again(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.run("web", devices=bridge_device(linux_bridge.name, f"{linux_bridge.guest_address(9)}/24"))
    before = virtocid.tell("dumpxml", "--inactive", "web")
    for which in ([], ["--inactive"]):
        with virtocid.xml_file(virtocid.tell("dumpxml", *which, "web")) as path:
            virtocid.virsh("define", str(path))
    after = virtocid.tell("dumpxml", "--inactive", "web")
    assert facts(after, "//@address") == facts(before, "//@address") != []


def test_description_and_title(virtocid: Virtocid) -> None:
    virtocid.run("web")
    virtocid.virsh("desc", "web", "--live", "--config", "--new-desc", "serves the pages\nof the shop")
    virtocid.virsh("desc", "web", "--title", "--config", "--new-desc", "shop")
    assert virtocid.tell("desc", "web") == "serves the pages\nof the shop"
    assert virtocid.tell("desc", "web", "--title") == ""  # of the running domain
    assert virtocid.tell("desc", "web", "--title", "--config") == "shop"
    assert "can't contain newlines" in virtocid.refusal("desc", "web", "--title", "--new-desc", "two\nlines")
    virtocid.virsh("destroy", "web")
    assert virtocid.tell("list", "--all", "--title").split() == ["-", "web", "shut", "off", "shop"]


def test_metadata_of_other_programs(virtocid: Virtocid) -> None:
    virtocid.define("web")
    assert "not present" in virtocid.refusal("metadata", "web", _NOTES)
    virtocid.virsh("metadata", "web", _NOTES, "--key", "n", "--set", _OWNER)
    assert virtocid.tell("metadata", "web", _NOTES) == _OWNER
    assert facts(virtocid.tell("dumpxml", "web"), f"metadata/*[namespace-uri()='{_NOTES}']/@team") == ["red"]
    virtocid.restart()
    assert virtocid.tell("metadata", "web", _NOTES) == _OWNER
    virtocid.virsh("metadata", "web", _NOTES, "--remove")
    assert "not present" in virtocid.refusal("metadata", "web", _NOTES)


def test_disks(virtocid: Virtocid) -> None:
    virtocid.run("web", image="", devices=cdrom(virtocid))
    assert virtocid.tell("domblklist", "web").split() == ["sda", str(virtocid.image)]
    assert virtocid.tell("domblklist", "--details", "web").split()[:3] == ["file", "cdrom", "sda"]
    size = virtocid.image.stat().st_size
    assert virtocid.tell("domblkinfo", "web", "sda").split()[1] == str(size)
    assert "has no disk 'vdb'" in virtocid.refusal("domblkinfo", "web", "vdb")


def test_an_image_that_is_in_use_cannot_be_removed(virtocid: Virtocid) -> None:
    virtocid.define("web")
    refused = virtocid.image_command("remove", "busybox")
    assert refused.status == 1
    assert virtocid.tell("domuuid", "web") in refused.stderr.decode()


def test_interfaces(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    address = linux_bridge.guest_address(7)
    virtocid.run(
        "web",
        devices=bridge_device(linux_bridge.name, f"{address}/24", more="<target dev='shop0'/>")
        + bridge_device(linux_bridge.name, "2001:db8::7/64", more="<mac address='52:54:00:11:22:33'/>"),
    )
    first, second = (line.split() for line in virtocid.tell("domiflist", "web").splitlines())
    assert first[:3] == ["shop0", "bridge", linux_bridge.name]
    assert second[4] == "52:54:00:11:22:33"
    lines = [line.split() for line in virtocid.tell("domifaddr", "web").splitlines()]
    assert lines == [
        ["shop0", first[4], "ipv4", f"{address}/24"],
        [second[0], "52:54:00:11:22:33", "ipv6", "2001:db8::7/64"],
    ]
    inside = [line.split()[0] for line in virtocid.tell("domifaddr", "web", "--source", "agent").splitlines()]
    assert [name for name in inside if name != "-"] == ["lo", "eth0", "eth1"]


def test_terminal(virtocid: Virtocid) -> None:
    virtocid.run("web")
    path = virtocid.tell("ttyconsole", "web")
    assert Path(path).is_socket()
    virtocid.virsh("destroy", "web")
    assert not Path(path).exists()


def test_scheduler(virtocid: Virtocid) -> None:
    tuning = "<cputune><shares>512</shares><period>50000</period><quota>25000</quota></cputune>"
    virtocid.run("web", more=tuning)
    words = [line.split(":") for line in virtocid.tell("schedinfo", "web").splitlines()]
    assert {name.strip(): value.strip() for name, value in words} == {
        "Scheduler": "posix",
        "cpu_shares": "512",
        "vcpu_period": "50000",
        "vcpu_quota": "25000",
        "global_period": "100000",
        "global_quota": "-1",
        "pids_limit": "2048",
    }


def test_memory_and_block_tuning(virtocid: Virtocid) -> None:
    tuning = "<memtune><hard_limit unit='MiB'>48</hard_limit></memtune><blkiotune><weight>300</weight></blkiotune>"
    virtocid.run("web", more=tuning)
    limits = virtocid.tell("memtune", "web").split()
    assert limits[:3] == ["hard_limit", ":", str(48 * 1024)]
    assert virtocid.tell("blkiotune", "web").split()[:3] == ["weight", ":", "300"]


def test_vcpus(virtocid: Virtocid) -> None:
    virtocid.run("web", more="<vcpu cpuset='0-1,^1'>2</vcpu>")
    blocks = virtocid.tell("vcpuinfo", "web").split("\n\n")
    assert [block.split("\n")[0].split() for block in blocks] == [["VCPU:", "0"], ["VCPU:", "1"]]
    affinity = blocks[0].splitlines()[-1].split()[-1]
    assert affinity[0] == "y"
    assert set(affinity[1:]) <= {"-"}
    assert virtocid.tell("vcpucount", "web", "--maximum", "--live") == "2"
    assert virtocid.tell("vcpupin", "web").split() == ["0", "0", "1", "0"]
    virtocid.virsh("destroy", "web")
    assert "N/A" in virtocid.tell("vcpuinfo", "web")


def test_signals_reach_the_first_process(virtocid: Virtocid) -> None:
    script = 'for n in HUP USR2 RTMIN; do trap "echo got $n" $n; done; echo ready; while :; do sleep 0.1; done'
    virtocid.run("web", ("/bin/sh", "-c", script))
    virtocid.wait_for_output("web", "ready")
    for given, name in (("hup", "HUP"), ("SIGUSR2", "USR2")):
        virtocid.virsh("send-process-signal", "web", "1", given)
        virtocid.wait_for_output("web", f"got {name}")
    assert "only the first process" in virtocid.refusal("send-process-signal", "web", "7", "hup")
    assert "no signal" in virtocid.refusal("send-process-signal", "web", "1", "99")
    virtocid.virsh("send-process-signal", "web", "1", "kill")
    virtocid.wait_for_state("web", "shut off (crashed)")


def test_signal_for_all_processes(virtocid: Virtocid) -> None:
    virtocid.run("web", ("/bin/sh", "-c", "sleep 1000 & echo child $!; wait; echo waited; sleep 1000"))
    virtocid.wait_for_output("web", "child")
    virtocid.virsh("send-process-signal", "web", "-1", "kill")
    virtocid.wait_for_state("web", "shut off (crashed)")
