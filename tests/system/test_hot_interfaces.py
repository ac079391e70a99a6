# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Interfaces that come and go while a container runs, by virsh and libvirt-python."""

import os
from pathlib import Path

import libvirt
import pytest

from tests.support.listener import listening
from tests.support.network import LinuxBridge, fetch, new_linux_bridge
from tests.support.traces import traces_of_runs
from tests.support.virtocid import Virtocid, bridge_device, domain_xml
from tests.support.xml_facts import fact
from tests.system.test_network import links
from tests.system.test_virsh_lifecycle import each_runtime

_SERVER = ("/bin/httpd", "-f", "-h", "/www")
_MAC = "52:54:00:aa:00:01"


def interfaces(virtocid: Virtocid, name: str, *, inactive: bool = False) -> list[list[str]]:
    """Host name, type, source, model and MAC of each."""
    words = ["--inactive"] if inactive else []
    return [line.split() for line in virtocid.tell("domiflist", name, *words).splitlines()]


def attach(virtocid: Virtocid, name: str, xml: str, *flags: str) -> None:
    with virtocid.xml_file(xml) as path:
        virtocid.virsh("attach-device", name, str(path), *flags)


@each_runtime
def test_attached_and_detached(virtocid: Virtocid, linux_bridge: LinuxBridge, runtime: str) -> None:
    address = linux_bridge.guest_address(5)
    virtocid.run("web", _SERVER, runtime=runtime, devices=bridge_device(linux_bridge.name))
    with listening(virtocid) as listener:
        attach(virtocid, "web", bridge_device(linux_bridge.name, f"{address}/24", more=f"<mac address='{_MAC}'/>"))
        assert listener.line() == "device-added web net1"
        assert fetch(f"http://{address}/index.html") == b"hello from a container\n"
        assert set(links(virtocid, "web")) == {"lo", "eth0", "eth1"}
        host_name = interfaces(virtocid, "web")[1][0]
        assert virtocid.tell("domifstat", "web", host_name)
        virtocid.virsh("detach-interface", "web", "bridge", "--mac", _MAC)
        assert listener.line() == "device-removed web net1"
    assert set(links(virtocid, "web")) == {"lo", "eth0"}
    assert not Path(f"/sys/class/net/{host_name}").exists()
    assert not any(host_name in trace for trace in traces_of_runs(virtocid.root))
    assert len(interfaces(virtocid, "web", inactive=True)) == 1
    virtocid.virsh("destroy", "web")
    assert traces_of_runs(virtocid.root) == []


def test_virsh_attach_interface_in_both(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.run("web")
    virtocid.virsh(
        "attach-interface",
        "web",
        "bridge",
        linux_bridge.name,
        "--mac",
        _MAC,
        "--target",
        "hot0",
        "--live",
        "--config",
    )
    assert [line[0] for line in interfaces(virtocid, "web")] == ["hot0"]
    assert interfaces(virtocid, "web", inactive=True)[0][3:] == interfaces(virtocid, "web")[0][3:]
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert interfaces(virtocid, "web")[0][4] == _MAC
    virtocid.virsh("detach-interface", "web", "bridge", "--persistent")
    assert interfaces(virtocid, "web") == interfaces(virtocid, "web", inactive=True) == []
    assert not Path("/sys/class/net/hot0").exists()


def test_mac_that_was_chosen_here_is_the_same_in_both(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.run("web")
    virtocid.virsh("attach-interface", "web", "bridge", linux_bridge.name, "--persistent")
    assert interfaces(virtocid, "web")[0][4] == interfaces(virtocid, "web", inactive=True)[0][4]


def test_definition_alone(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.run("web")
    virtocid.virsh("attach-interface", "web", "bridge", linux_bridge.name, "--mac", _MAC, "--config")
    assert interfaces(virtocid, "web") == []
    assert set(links(virtocid, "web")) == {"lo"}
    assert interfaces(virtocid, "web", inactive=True)[0][4] == _MAC
    virtocid.virsh("detach-interface", "web", "bridge", "--config")
    assert interfaces(virtocid, "web", inactive=True) == []


def test_without_flags_a_domain_that_is_off_is_changed(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.define("web")
    virtocid.virsh("attach-interface", "web", "bridge", linux_bridge.name, "--current")
    assert len(interfaces(virtocid, "web")) == 1
    assert "not running" in virtocid.refusal("attach-interface", "web", "bridge", linux_bridge.name, "--live")


def test_names_stay_when_others_go(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    device = bridge_device(linux_bridge.name)
    virtocid.run("web", devices=device * 3)
    before = interfaces(virtocid, "web")
    virtocid.virsh("detach-device-alias", "web", "net1")
    assert interfaces(virtocid, "web") == [before[0], before[2]]
    assert set(links(virtocid, "web")) == {"lo", "eth0", "eth2"}
    virtocid.restart()
    assert interfaces(virtocid, "web") == [before[0], before[2]]
    attach(virtocid, "web", device)
    assert set(links(virtocid, "web")) == {"lo", "eth0", "eth1", "eth2"}
    aliases = [fact(virtocid.tell("dumpxml", "web"), f"devices/interface[{n}]/alias/@name") for n in (1, 2, 3)]
    assert aliases == ["net0", "net2", "net3"]
    assert interfaces(virtocid, "web")[2][0] == before[1][0]  # the host-side name is free again
    named = [line.split()[0] for line in virtocid.tell("domifaddr", "web", "--source", "agent").splitlines()]
    assert set(named) <= {"lo", "-", "eth0", "eth1", "eth2"}


def test_link_state(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    address = linux_bridge.guest_address(6)
    more = f"<mac address='{_MAC}'/><target dev='hot0'/>"
    virtocid.run("web", _SERVER, devices=bridge_device(linux_bridge.name, f"{address}/24", more=more))
    virtocid.virsh("domif-setlink", "web", "hot0", "down")
    assert links(virtocid, "web")["eth0"]["operstate"] != "UP"
    assert virtocid.tell("domif-getlink", "web", "hot0") == "hot0 down"
    assert virtocid.tell("domif-getlink", "web", "hot0", "--config") == "hot0 up"
    virtocid.virsh("domif-setlink", "web", _MAC, "up")
    assert fetch(f"http://{address}/index.html")
    virtocid.virsh("domif-setlink", "web", "hot0", "down", "--config")
    assert virtocid.tell("domif-getlink", "web", "hot0", "--config") == "hot0 down"
    assert links(virtocid, "web")["eth0"]["operstate"] == "UP"
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert links(virtocid, "web")["eth0"]["operstate"] != "UP"


def test_another_bridge(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    """As Vdsm does when a network is changed: updateDeviceFlags with the new source."""
    with new_linux_bridge() as other:
        more = f"<mac address='{_MAC}'/><target dev='hot0'/>"
        virtocid.run("web", devices=bridge_device(linux_bridge.name, more=more))
        with virtocid.connect() as connection:
            domain = connection.lookupByName("web")
            domain.updateDeviceFlags(bridge_device(other.name, more=more), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        assert os.readlink("/sys/class/net/hot0/master").endswith(f"/{other.name}")
        assert interfaces(virtocid, "web")[0][2] == other.name
        assert interfaces(virtocid, "web", inactive=True)[0][2] == linux_bridge.name
        with virtocid.xml_file(bridge_device("nobridge0", more=more)) as path:
            assert "nobridge0" in virtocid.refusal("update-device", "web", str(path), "--live")
        assert os.readlink("/sys/class/net/hot0/master").endswith(f"/{other.name}")
        virtocid.restart()
        assert interfaces(virtocid, "web")[0][2] == other.name


def test_spoof_filter_can_be_turned_off_and_on(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    device = bridge_device(linux_bridge.name, more=f"<mac address='{_MAC}'/><target dev='hot0'/>")
    virtocid.run("web", devices=device)
    for trusted, filtered in (("yes", False), ("no", True)):
        with virtocid.xml_file(device.replace("<interface ", f"<interface trustGuestRxFilters='{trusted}' ")) as path:
            virtocid.virsh("update-device", "web", str(path), "--live")
        assert any("filter" in trace and "hot0" in trace for trace in traces_of_runs(virtocid.root)) == filtered


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("<target dev='hot9'/>", "host-side name"),
        ("<target dev='hot0'/><mtu size='1400'/>", "MTU"),
        ("<target dev='hot0'/><ip address='192.0.2.1' prefix='24'/>", "addresses"),
    ],
)
def test_what_a_running_interface_keeps(
    virtocid: Virtocid, linux_bridge: LinuxBridge, change: str, word: str
) -> None:
    more = f"<mac address='{_MAC}'/>"
    virtocid.run("web", devices=bridge_device(linux_bridge.name, more=f"{more}<target dev='hot0'/>"))
    with virtocid.connect() as connection, pytest.raises(libvirt.libvirtError, match=word) as caught:
        connection.lookupByName("web").updateDeviceFlags(bridge_device(linux_bridge.name, more=more + change), 1)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_UNSUPPORTED


class TestErrors:
    """With the codes that Vdsm and others look at."""

    def code(self, virtocid: Virtocid, call: str, *arguments: object) -> int:
        with virtocid.connect() as connection:
            domain = connection.lookupByName("web")
            with pytest.raises(libvirt.libvirtError) as caught:
                getattr(domain, call)(*arguments)
        code = caught.value.get_error_code()
        assert isinstance(code, int)
        return code

    def test_device_that_is_not_there(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        virtocid.run("web")
        device = bridge_device(linux_bridge.name, more=f"<mac address='{_MAC}'/>")
        missing = libvirt.VIR_ERR_DEVICE_MISSING
        assert self.code(virtocid, "detachDevice", device) == missing
        assert self.code(virtocid, "detachDeviceFlags", device, 2) == missing
        assert self.code(virtocid, "detachDeviceAlias", "net7", 1) == missing
        assert self.code(virtocid, "updateDeviceFlags", device, 1) == missing

    def test_device_that_is_there_twice(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        virtocid.run("web", devices=bridge_device(linux_bridge.name) * 2)
        code = self.code(virtocid, "detachDevice", bridge_device(linux_bridge.name))
        assert code == libvirt.VIR_ERR_OPERATION_FAILED

    def test_address_that_is_used_already(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        device = bridge_device(linux_bridge.name, more=f"<mac address='{_MAC}'/>")
        virtocid.run("web", devices=device)
        assert self.code(virtocid, "attachDevice", device) == libvirt.VIR_ERR_OPERATION_FAILED
        assert self.code(virtocid, "attachDeviceFlags", device, 2) == libvirt.VIR_ERR_OPERATION_FAILED

    def test_nonsense(self, virtocid: Virtocid) -> None:
        virtocid.run("web")
        assert self.code(virtocid, "attachDevice", "<interface/>") == libvirt.VIR_ERR_XML_ERROR
        assert self.code(virtocid, "attachDevice", "<hostdev/>") == libvirt.VIR_ERR_XML_ERROR
        assert self.code(virtocid, "attachDevice", "<console/>") == libvirt.VIR_ERR_OPERATION_UNSUPPORTED
        assert self.code(virtocid, "attachDeviceFlags", "<console/>", 64) == libvirt.VIR_ERR_INVALID_ARG

    def test_transient_domain_has_no_definition(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        with virtocid.xml_file(domain_xml("web")) as path:
            virtocid.virsh("create", str(path))
        device = bridge_device(linux_bridge.name)
        assert self.code(virtocid, "attachDeviceFlags", device, 3) == libvirt.VIR_ERR_OPERATION_INVALID
        attach(virtocid, "web", device)
        assert len(interfaces(virtocid, "web")) == 1

    def test_read_only_client(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        virtocid.run("web")
        with virtocid.xml_file(bridge_device(linux_bridge.name)) as path:
            for command in ("attach-device", "detach-device", "update-device"):
                assert "read only" in virtocid.refusal(command, "web", str(path), readonly=True)
        assert "read only" in virtocid.refusal("detach-device-alias", "web", "net0", readonly=True)

    def test_attach_that_fails_leaves_nothing(self, virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
        virtocid.run("web", devices=bridge_device(linux_bridge.name, f"{linux_bridge.guest_address(2)}/24"))
        before, xml = traces_of_runs(virtocid.root), virtocid.tell("dumpxml", "web")
        route = f"<route address='203.0.113.0' prefix='24' gateway='{linux_bridge.guest_address(7)}'/>"
        device = bridge_device(linux_bridge.name, more=f"{route}<target dev='hot0'/>")
        assert self.code(virtocid, "attachDeviceFlags", device, 3) == libvirt.VIR_ERR_OPERATION_FAILED
        assert traces_of_runs(virtocid.root) == before
        assert virtocid.tell("dumpxml", "web") == xml
        attach(virtocid, "web", bridge_device(linux_bridge.name, more="<target dev='hot0'/>"))


def test_paused_container(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    virtocid.run("web")
    virtocid.virsh("suspend", "web")
    attach(virtocid, "web", bridge_device(linux_bridge.name, more=f"<mac address='{_MAC}'/>"))
    assert set(links(virtocid, "web")) == {"lo", "eth0"}
    virtocid.virsh("detach-interface", "web", "bridge")
    assert set(links(virtocid, "web")) == {"lo"}
    assert virtocid.state("web") == "paused (user)"


def test_domains_name_of_its_own_alias(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    """Vdsm names its devices itself, and knows them by that name in the event."""
    virtocid.run("web")
    alias = "<alias name='ua-0b7fa1bb-16d5-4a4c-8b5e-3f5c1d0f5c11'/>"
    device = bridge_device(linux_bridge.name, more=alias)
    with listening(virtocid) as listener:
        attach(virtocid, "web", device)
        assert listener.line() == "device-added web ua-0b7fa1bb-16d5-4a4c-8b5e-3f5c1d0f5c11"
        with virtocid.xml_file(device) as path:
            virtocid.virsh("detach-device", "web", str(path))
        assert listener.line() == "device-removed web ua-0b7fa1bb-16d5-4a4c-8b5e-3f5c1d0f5c11"


def test_reboot_and_reset_keep_what_was_attached(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    """As with a virtual machine, and unlike a stop and a start."""
    virtocid.run("web", _SERVER)
    attach(virtocid, "web", bridge_device(linux_bridge.name, more=f"<mac address='{_MAC}'/>"))
    virtocid.virsh("reset", "web")
    assert interfaces(virtocid, "web")[0][4] == _MAC
    assert set(links(virtocid, "web")) == {"lo", "eth0"}
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert interfaces(virtocid, "web") == []
