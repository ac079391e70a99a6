# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Three hosts at once, each with libvirtd, virtocid and covirt-host: over a network, one cut off, one killed."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from covirt.rpc.client import ClientSettings, RpcClient
from covirt.rpc.jsonrpc import Json
from covirt.rpc.tls import TlsFiles, client_context
from tests.support.authority import TestAuthority
from tests.support.covirt_host import PORT, HostClient
from tests.support.host_vms import container_xml
from tests.support.host_world import NIC, HostWorld
from tests.support.network import LinuxBridge, fetch
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

NET = "shopnet"
# Who is silent for a second is gone, and is looked for often.
WATCHFUL = ClientSettings(heartbeat_ms=500, connect_seconds=2.0, first_retry_seconds=0.1, last_retry_seconds=0.5)
# A page that changes while its container runs.
SERVER = "sh -c 'httpd -h /www; i=0; while :; do i=$((i+1)); echo $i >/www/count; sleep 0.1; done'"


class Watcher:
    """The engine's own client: its connection is made again by itself, and so is the subscription to events."""

    def __init__(self, host: HostWorld) -> None:
        self.events: list[tuple[str, Any]] = []
        tls = client_context(TlsFiles.in_directory(host.pki))
        self.client = RpcClient(host.address, PORT, tls=tls, settings=WATCHFUL)
        self.client.subscribe("jms.queue.events", self._hear)
        self.client.start()

    def _hear(self, name: str, params: Json) -> None:
        self.events.append((name, params))

    def statuses(self, vm_id: str) -> list[str]:
        """What was told of one Vm, in the order in which it came."""
        return [params[vm_id]["status"] for name, params in self.events if name == f"|virt|VM_status|{vm_id}"]

    def wait(self, *, connected: bool) -> None:
        wait_until(lambda: self.client.is_connected is connected, timeout_seconds=60, what=f"connected: {connected}")


@pytest.fixture
def watchers(hosts: list[HostWorld]) -> Iterator[list[Watcher]]:
    found = [Watcher(host) for host in hosts]
    for watcher in found:
        watcher.wait(connected=True)
    yield found
    for watcher in found:
        watcher.client.stop()


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
    domain = etree.fromstring(container_xml(name, SERVER))
    interface = f"<interface type='bridge'><source bridge='{NET}'/><ip address='{address}' prefix='24'/></interface>"
    devices = domain.find("devices")
    assert devices is not None
    devices.append(etree.fromstring(interface))
    xml = etree.tostring(domain, encoding="unicode")
    wait_until(lambda: bool(client.call("Host.getCapabilities")["containers"]), timeout_seconds=60)
    vm_id: str = client.call("VM.create", {"vmID": "", "vmParams": {"xml": xml}})["vmId"]
    wait_until(lambda: statuses(client).get(vm_id) == "Up", timeout_seconds=60, what=f"{name} to be up")
    return vm_id


def count(page: str) -> int:
    """How far the container behind a page has come."""
    return int(re.sub(rb"\D", b"", fetch(f"http://{page}/count")) or b"0")


def statuses(client: HostClient) -> dict[str, Any]:
    return {vm["vmId"]: vm["status"] for vm in client.call("Host.getVMList")}


def test_one_cut_off_and_healed_and_one_killed_and_revived(
    hosts: list[HostWorld], watchers: list[Watcher], linux_bridge: LinuxBridge
) -> None:
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
    before, since = count(pages[1]), status_time(watchers[1], ids[1])
    second.cut_off(cut=True)
    with pytest.raises(OSError, match=r"timed out|No route"):
        socket.create_connection((second.address, PORT), timeout=1)
    watchers[1].wait(connected=False)
    assert b"hello" in fetch(f"http://{pages[0]}/index.html")
    assert [watcher.client.is_connected for watcher in watchers] == [True, False, True]
    second.cut_off(cut=False)
    watchers[1].wait(connected=True)
    # It ran on, and nobody touched it.
    wait_until(lambda: count(pages[1]) > before + 10, what="a container that has run on")
    assert status_time(watchers[1], ids[1]) == since
    assert watchers[1].statuses(ids[1]) == ["Up"]
    watchers[1].client.call("VM.pause", {"vmID": ids[1]})
    watchers[1].client.call("VM.cont", {"vmID": ids[1]})
    watchers[1].client.call("VM.destroy", {"vmID": ids[1]})
    told = ["Up", "Paused", "Up", "Down"]
    wait_until(lambda: len(watchers[1].statuses(ids[1])) >= len(told), what="events after the cut")
    assert watchers[1].client.call("Host.getVMList") == []  # what was told before comes before this answer
    assert watchers[1].statuses(ids[1]) == told

    third.kill()
    watchers[2].wait(connected=False)
    client = first.client()
    assert statuses(client) == {ids[0]: "Up"}
    client.close()
    third.start()
    third.ready()
    watchers[2].wait(connected=True)
    client = third.client()
    try:
        assert set(client.call("Host.getCapabilities")["networks"]) == {NET}
        assert statuses(client) == {ids[2]: "Down"}
        [ended] = client.call("VM.getStats", {"vmID": ids[2]})
        assert ended["exitMessage"]
        after = serve_page(client, linux_bridge.guest_address(30), "after")
        wait_until(lambda: watchers[2].statuses(after) == ["Up"], what="events of a host that was revived")
        # Nobody was there to hear of its end, or it was told once.
        assert watchers[2].statuses(ids[2]) in (["Up"], ["Up", "Down"])
    finally:
        client.close()
    assert b"hello" in fetch(f"http://{linux_bridge.guest_address(30)}/index.html")
    assert [watchers[0].statuses(vm_id) for vm_id in ids] == [["Up"], [], []]


def status_time(watcher: Watcher, vm_id: str) -> str:
    """When its status changed last, by its host's clock."""
    vms: Any = watcher.client.call("Host.getVMList")
    times: dict[str, str] = {vm["vmId"]: vm["statusTime"] for vm in vms}
    return times[vm_id]
