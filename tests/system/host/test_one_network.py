# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A machine and a container on a network that an engine made: one life of each, what is told of it, who is heard."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from covirt.common.process import Completed, run
from tests.support.covirt_host import CallFailed, CovirtHost, HostClient, serve_covirt_host
from tests.support.guest import BOOTED, TinyGuest
from tests.support.host_vms import container_xml, machine_xml
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_root
from tests.support.terminal import Terminal, at_terminal
from tests.support.virtocid import Virtocid
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

NET = "shopnet"
HOST, MACHINE, CONTAINER, NEIGHBOUR = (f"10.79.0.{last}" for last in (1, 2, 3, 77))
MAC, OTHER_MAC = "52:54:00:79:00:02", "52:54:00:79:00:99"
# "Powering down" has to be seen: it ends a while after it was asked to.
SLOW_END = "trap 'sleep 1; exit 0' TERM; while :; do sleep 1000 & wait; done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """Both are up and on the network."""

    client: HostClient
    virtocid: Virtocid
    machine: str
    container: str
    shell: Terminal

    def statuses(self, vm_id: str) -> list[str]:
        """What was told of one Vm, in the order in which it came."""
        return [params[vm_id]["status"] for topic, params in self.client.events if topic.endswith(vm_id)]

    def status(self, vm_id: str) -> str | None:
        return {vm["vmId"]: vm["status"] for vm in self.client.call("Host.getVMList")}.get(vm_id)

    def wait_for(self, vm_id: str, status: str) -> None:
        wait_until(lambda: self.status(vm_id) in (status, "Down"), timeout_seconds=60, what=f"the status {status}")
        assert self.status(vm_id) == status, self.client.call("VM.getStats", {"vmID": vm_id})

    def container_reaches(self, address: str) -> bool:
        """By ping, with more rights than the container has."""
        return self.in_container("busybox", "ping", "-c", "1", "-W", "2", address).status == 0

    def in_container(self, *argv: str) -> Completed:
        namespace = self.virtocid.root.run_dir / "virtocid/runs" / self.container / "bundle/namespaces/network"
        return run(["nsenter", f"--net={namespace}", *argv], timeout_seconds=30, check=False)

    def change_container(self, *changes: str) -> None:
        for change in changes:
            assert self.in_container("ip", *change.split()).status == 0, change

    def machine_reaches(self, address: str) -> bool:
        self.shell.type(f"ping -c 1 -W 2 {address} >/dev/null && echo an''swer || echo sil''ence; echo en''d\n")
        self.shell.wait_for("\n")
        return "answer" in self.shell.text_until("end")

    def in_machine(self, command: str) -> None:
        self.shell.type(f"{command}; echo do''ne\n")
        self.shell.wait_for("done")


@pytest.fixture
def host(libvirtd: Libvirtd, virtocid: Virtocid) -> Iterator[CovirtHost]:
    configuration = (
        f'[virt]\nqemu_uri = "{libvirtd.uri}"\noci_uri = "{virtocid.uri}"\nsample_seconds = 1\nhost_files = ["/"]\n'
        "[containers]\nenabled = true\n"
    )
    with new_root() as root, serve_covirt_host(root, configuration=configuration, port=free_port()) as running:
        yield running


@pytest.fixture
def network(host: CovirtHost) -> Iterator[str]:
    """A bridge of guests, on which the host has an address."""
    given = {"bridged": True, "ipaddr": HOST, "netmask": "255.255.255.0", "bootproto": "none"}
    with host.client() as client:
        set_up(client, {NET: given})
        yield NET
        for vm in client.call("Host.getVMList"):
            client.call("VM.destroy", {"vmID": vm["vmId"]})
        set_up(client, {NET: {"remove": True}})


def set_up(client: HostClient, networks: dict[str, Any]) -> None:
    params = {"networks": networks, "bondings": {}, "options": {"connectivityCheck": False}}
    assert client.call("Host.setupNetworks", params) is True


def on_network(xml: str, address: str) -> str:
    """A container's XML with one interface more."""
    domain = etree.fromstring(xml)
    interface = f"<interface type='bridge'><source bridge='{NET}'/><ip address='{address}' prefix='24'/></interface>"
    devices = domain.find("devices")
    assert devices is not None
    devices.append(etree.fromstring(interface))
    return etree.tostring(domain, encoding="unicode")


def create(client: HostClient, xml: str) -> str:
    answer = client.call("VM.create", {"vmID": "", "vmParams": {"xml": xml}})
    assert answer["status"] == "WaitForLaunch"
    vm_id: str = answer["vmId"]
    return vm_id


@pytest.fixture
def guests(
    host: CovirtHost, network: str, virtocid: Virtocid, libvirtd: Libvirtd, tiny_guest: TinyGuest, open_dir: Path
) -> Iterator[Guests]:
    log = open_dir / "console"
    open_dir.chmod(0o777)
    box = machine_xml(tiny_guest, "box", bridge=network, address=f"{MACHINE}/24", mac=MAC, log=log)
    shop = on_network(container_xml("shop", f'sh -c "{SLOW_END}"'), CONTAINER)
    with host.client() as client:
        wait_until(lambda: bool(client.call("Host.getCapabilities")["containers"]), timeout_seconds=60)
        machine, container = create(client, box), create(client, shop)
        wait_until(lambda: log.exists() and BOOTED.encode() in log.read_bytes(), timeout_seconds=60)
        with at_terminal(["virsh", "-c", libvirtd.uri, "console", "box"]) as shell:
            shell.wait_for("Escape character")
            made = Guests(client=client, virtocid=virtocid, machine=machine, container=container, shell=shell)
            for vm_id in (machine, container):
                made.wait_for(vm_id, "Up")
            yield made


def test_both_are_heard_as_themselves_only_and_each_change_is_told_once(guests: Guests) -> None:
    assert guests.machine_reaches(CONTAINER)
    assert guests.container_reaches(MACHINE)

    guests.in_machine(f"ip link set eth0 down; ip link set eth0 address {OTHER_MAC}; ip link set eth0 up")
    assert not guests.machine_reaches(CONTAINER)
    guests.in_machine(f"ip link set eth0 down; ip link set eth0 address {MAC}; ip link set eth0 up")
    assert guests.machine_reaches(CONTAINER)

    shown = guests.in_container("ip", "-j", "link", "show", "dev", "eth0")
    own = json.loads(shown.stdout)[0]["address"]
    guests.change_container("link set eth0 down", f"link set eth0 address {OTHER_MAC}", "link set eth0 up")
    assert not guests.container_reaches(MACHINE)
    guests.change_container("link set eth0 down", f"link set eth0 address {own}", "link set eth0 up")
    assert guests.container_reaches(MACHINE)
    guests.change_container(f"address del {CONTAINER}/24 dev eth0", f"address add {NEIGHBOUR}/24 dev eth0")
    assert not guests.container_reaches(MACHINE)

    client = guests.client
    for vm_id in (guests.machine, guests.container):
        for verb, status in (("VM.pause", "Paused"), ("VM.cont", "Up")):
            for _ in range(2):  # the second time nothing is left to do, and nothing to tell
                assert client.call(verb, {"vmID": vm_id}) == {"vmList": {}}
                assert guests.status(vm_id) == status
        with pytest.raises(CallFailed, match="cannot be moved to another host while it runs") as refused:
            client.call("VM.migrate", {"vmID": vm_id, "params": {"dst": "elsewhere", "mode": "remote"}})
        assert refused.value.code == 75
        assert client.call("VM.shutdown", {"vmID": vm_id, "delay": 0, "message": ""}) is True
        guests.wait_for(vm_id, "Down")
        # Nothing tells a machine without an agent's "Up" but a minute; a container has no guest to wait for.
        up = "Powering up" if vm_id == guests.machine else "Up"
        told = [up, "Paused", up, "Powering down", "Down"]
        client.wait_for_event(f"|virt|VM_status|{vm_id}", status="Down")
        assert guests.statuses(vm_id) == told
        [ended] = client.call("VM.getStats", {"vmID": vm_id})
        client.call("VM.destroy", {"vmID": vm_id})
        assert client.call("Host.ping2") is True  # what was told before comes before this answer
        assert guests.statuses(vm_id) == told
        # A machine's guest ended by itself, as with Vdsm; virtocid knows who ended a container.
        assert (ended["exitCode"], ended["exitReason"]) == (0, 7 if vm_id == guests.machine else 6)
    times = [params["notify_time"] for _, params in client.events]
    assert times == sorted(times)


def test_a_container_that_ends_by_itself_tells_how(host: CovirtHost) -> None:
    with host.client() as client:
        wait_until(lambda: bool(client.call("Host.getCapabilities")["containers"]), timeout_seconds=60)
        for command, code, reason, message in (
            ("sh -c 'exit 3'", 1, 1, "exit code 3"),
            ("true", 0, 7, ""),
            ("/bin/nothing", 1, 3, "nothing"),
        ):
            vm_id = create(client, container_xml("shop", command))
            told = client.wait_for_event(f"|virt|VM_status|{vm_id}", status="Down")[vm_id]
            [shown] = client.call("VM.getStats", {"vmID": vm_id})
            for words in (told, shown):
                assert (words["exitCode"], words["exitReason"]) == (code, reason), words
                assert message in words["exitMessage"], words
            client.call("VM.destroy", {"vmID": vm_id})
            downs = [topic for topic, params in client.events if vm_id in topic and params[vm_id]["status"] == "Down"]
            assert len(downs) == 1
