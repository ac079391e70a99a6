# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Three hosts at once, each with libvirtd, virtocid and covirt-host: over a network, one cut off, one killed."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.support.authority import TestAuthority
from tests.support.covirt_host import PORT, HostClient
from tests.support.host_vms import container_xml
from tests.support.host_world import NIC, HostWorld
from tests.support.network import LinuxBridge, fetch
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

NET = "shopnet"


@pytest.fixture
def hosts(linux_bridge: LinuxBridge, open_dir: Path) -> Iterator[list[HostWorld]]:
    authority = TestAuthority()
    client = open_dir / "client"
    authority.issue(client)
    found = []
    with ExitStack() as stack:
        for number in (1, 2, 3):
            kept = open_dir / f"host{number}"
            kept.mkdir(mode=0o711)
            address = linux_bridge.guest_address(10 + number)
            authority.issue(kept / "host/etc/pki/vdsm", address)
            host = HostWorld(name=f"host{number}", address=address, kept=kept, pki=client, bridge=linux_bridge)
            stack.callback(host.stop)
            host.start()
            found.append(host)
        for host in found:
            host.ready()
        yield found


def make_network(host: HostWorld) -> None:
    """Over the very NIC that the engine's connection comes by."""
    wanted = {"nic": NIC, "ipaddr": host.address, "netmask": "255.255.255.0", "bootproto": "none"}
    client = host.client()
    try:
        options = {"connectivityCheck": False, "commitOnSuccess": True}
        client.call("Host.setupNetworks", {"networks": {NET: wanted}, "bondings": {}, "options": options})
    finally:
        client.close()


def serve_page(client: HostClient, address: str, name: str) -> str:
    """A container on the network that serves a page; its id."""
    domain = etree.fromstring(container_xml(name, "/bin/httpd -f -h /www"))
    interface = f"<interface type='bridge'><source bridge='{NET}'/><ip address='{address}' prefix='24'/></interface>"
    devices = domain.find("devices")
    assert devices is not None
    devices.append(etree.fromstring(interface))
    xml = etree.tostring(domain, encoding="unicode")
    wait_until(lambda: bool(client.call("Host.getCapabilities")["containers"]), timeout_seconds=60)
    vm_id: str = client.call("VM.create", {"vmID": "", "vmParams": {"xml": xml}})["vmId"]
    wait_until(lambda: statuses(client).get(vm_id) == "Up", timeout_seconds=60, what=f"{name} to be up")
    return vm_id


def statuses(client: HostClient) -> dict[str, Any]:
    return {vm["vmId"]: vm["status"] for vm in client.call("Host.getVMList")}


def test_one_cut_off_and_healed_and_one_killed_and_revived(hosts: list[HostWorld], linux_bridge: LinuxBridge) -> None:
    pages = [linux_bridge.guest_address(20 + number) for number in (1, 2, 3)]
    ids = []
    for host, page in zip(hosts, pages, strict=True):
        make_network(host)
        client = host.client()
        try:
            ids.append(serve_page(client, page, f"page-{host.name}"))
        finally:
            client.close()
    for page in pages:
        assert b"hello from a container" in fetch(f"http://{page}/index.html")

    first, second, third = hosts
    second.cut_off(cut=True)
    with pytest.raises(OSError, match=r"timed out|No route"):
        socket.create_connection((second.address, PORT), timeout=1)
    assert b"hello" in fetch(f"http://{pages[0]}/index.html")
    second.cut_off(cut=False)
    client = second.client()
    assert statuses(client) == {ids[1]: "Up"}
    client.close()
    assert b"hello" in fetch(f"http://{pages[1]}/index.html")

    third.kill()
    client = first.client()
    assert statuses(client) == {ids[0]: "Up"}
    client.close()
    third.start()
    third.ready()
    client = third.client()
    try:
        assert set(client.call("Host.getCapabilities")["networks"]) == {NET}
        assert "Up" not in statuses(client).values()
        serve_page(client, linux_bridge.guest_address(30), "after")
    finally:
        client.close()
    assert b"hello" in fetch(f"http://{linux_bridge.guest_address(30)}/index.html")
