# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Machines and containers on one bridge: they reach each other, and none pretends to be another."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from covirt.common.process import run
from tests.support.guest import BOOTED, TinyGuest
from tests.support.host_vms import HostVms, container_xml, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.network import LinuxBridge, fetch
from tests.support.roots import new_root
from tests.support.terminal import at_terminal
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

MAC = "52:54:00:77:00:02"
OTHER_MAC = "52:54:00:77:00:99"


@pytest.fixture
def host(libvirtd: Libvirtd, virtocid: Virtocid) -> Iterator[HostVms]:
    with new_root() as root, serve_vms(root, oci_uri=virtocid.uri, qemu_uri=libvirtd.uri) as running:
        wait_until(lambda: running.support.obstacle == "")
        yield running


def in_bridge(xml: str, bridge: str, address: str) -> str:
    """A container with one interface more."""
    domain = etree.fromstring(xml)
    interface = (
        f"<interface type='bridge'><source bridge='{bridge}'/><ip address='{address}' prefix='24'/></interface>"
    )
    devices = domain.find("devices")
    assert devices is not None
    devices.append(etree.fromstring(interface))
    return etree.tostring(domain, encoding="unicode")


def dropped(words: str) -> int:
    """Frames that a rule with these words has dropped."""
    chains = run(["ebtables", "-t", "nat", "-L", "--Lc"], timeout_seconds=10).stdout.decode().splitlines()
    found = [line for line in chains if words in line]
    assert found, chains
    return sum(int(line.partition("pcnt = ")[2].split()[0]) for line in found)


def test_kinds_meet_and_a_machine_that_pretends_is_not_heard(
    host: HostVms, tiny_guest: TinyGuest, libvirtd: Libvirtd, linux_bridge: LinuxBridge, open_dir: Path
) -> None:
    machine, container = linux_bridge.guest_address(2), linux_bridge.guest_address(3)
    log = open_dir / "console"
    open_dir.chmod(0o777)
    xml = machine_xml(tiny_guest, "machine", bridge=linux_bridge.name, address=f"{machine}/24", mac=MAC, log=log)
    vm_id = host.run(xml)
    served = in_bridge(container_xml("box", "/bin/httpd -f -h /www"), linux_bridge.name, container)
    host.run(served)
    wait_until(lambda: BOOTED.encode() in log.read_bytes(), timeout_seconds=60, what="a machine that has booted")
    assert b"virtual machine" in fetch(f"http://{machine}/index.html")
    # A machine that was on the bridge before anything asked: libvirt holds the filter, whoever made the machine.
    assert "covirt-spoof" in libvirtd.virsh("dumpxml", vm_id).stdout.decode()

    with at_terminal(["virsh", "-c", libvirtd.uri, "console", "machine"]) as shell:
        shell.wait_for("Escape character")
        shell.type(f"\nwget -q -O - http://{container}/index.html; echo re''ached\n")
        shell.wait_for("hello from a container")
        shell.type(
            f"ip link set eth0 down; ip link set eth0 address {OTHER_MAC}; ip link set eth0 up; echo ch''anged\n"
        )
        shell.wait_for("changed")
        shell.type(f"ping -c 1 -W 2 {container}; echo pi''nged\n")
        shell.wait_for("100% packet loss")
        assert dropped(f"-s ! {MAC}") > 0
        assert dropped("--ip-sport 67") == 0  # the rule is there; nothing here hands out addresses
        neighbours = json.loads(run(["ip", "-j", "neigh"], timeout_seconds=10).stdout)
        assert OTHER_MAC not in {one.get("lladdr") for one in neighbours}
        shell.type(f"ip link set eth0 down; ip link set eth0 address {MAC}; ip link set eth0 up\n")
        shell.type(f"wget -q -O - http://{container}/index.html\n")
        shell.wait_for("hello from a container")
