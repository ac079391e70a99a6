# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A virtual machine and a container, driven through the whole program by a client that is not ours."""

import base64
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from covirt.common.channels import LogChannelRequest
from covirt.hostapi.errors import Code
from covirt.rpc.tls import TlsFiles, client_context
from tests.support.covirt_host import SECONDS, CallFailed, CovirtHost, HostClient, serve_covirt_host
from tests.support.guest import TinyGuest
from tests.support.host_vms import container_xml, machine_xml
from tests.support.libvirtd import Libvirtd
from tests.support.raw_stomp import RawStomp
from tests.support.roots import new_root
from tests.support.stream_client import StreamClient
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

PORT = 54371
_MANY = 20


@contextmanager
def host_on(libvirtd: Libvirtd, virtocid: Virtocid, *, port: int) -> Iterator[CovirtHost]:
    configuration = (
        f'[virt]\nqemu_uri = "{libvirtd.uri}"\noci_uri = "{virtocid.uri}"\nsample_seconds = 1\nhost_files = ["/"]\n'
        "[containers]\nenabled = true\n"
    )
    with new_root() as root, serve_covirt_host(root, configuration=configuration, port=port) as host:
        yield host


@pytest.fixture(scope="module")
def running(libvirtd: Libvirtd, virtocid_daemon: Virtocid) -> Iterator[CovirtHost]:
    with host_on(libvirtd, virtocid_daemon, port=PORT) as host:
        yield host


@pytest.fixture
def client(running: CovirtHost, virtocid: Virtocid) -> Iterator[HostClient]:
    assert virtocid.running
    with running.client() as client:
        ready_for_containers(client)
        yield client
        for vm in client.call("Host.getVMList"):
            client.call("VM.destroy", {"vmID": vm["vmId"]})


def ready_for_containers(client: HostClient) -> None:
    wait_until(lambda: bool(client.call("Host.getCapabilities")["containers"]), timeout_seconds=SECONDS)


def create(client: HostClient, xml: str) -> str:
    vm_id: str = client.call("VM.create", {"vmID": "", "vmParams": {"xml": xml}})["vmId"]
    return vm_id


def wait_for_status(client: HostClient, vm_id: str, status: str) -> None:
    def is_so() -> bool:
        return {vm["vmId"]: vm["status"] for vm in client.call("Host.getVMList")}.get(vm_id) == status

    wait_until(is_so, timeout_seconds=60, what=f"status {status}")


def xml_of(kind: str, guest: TinyGuest, name: str) -> str:
    return machine_xml(guest, name) if kind == "machine" else container_xml(name, "sleep 1000")


@pytest.mark.parametrize("kind", ["machine", "container"])
def test_one_life(client: HostClient, tiny_guest: TinyGuest, kind: str) -> None:
    vm_id = create(client, xml_of(kind, tiny_guest, "one"))
    wait_for_status(client, vm_id, "Up")
    assert [vm["vmId"] for vm in client.call("Host.getAllVmStats")] == [vm_id]
    client.call("VM.pause", {"vmID": vm_id})
    client.call("VM.cont", {"vmID": vm_id})
    client.call("VM.destroy", {"vmID": vm_id})
    told = client.wait_for_event(f"|virt|VM_status|{vm_id}", status="Down")[vm_id]
    assert (told["exitCode"], told["exitReason"]) == (0, 6)
    statuses = [params[vm_id]["status"] for method, params in client.events if vm_id in method]
    up = "Powering up" if kind == "machine" else "Up"
    assert statuses == [up, "Paused", up, "Down"]
    assert client.call("Host.getVMList") == []


def test_a_secret_is_with_its_container_alone(running: CovirtHost, client: HostClient, virtocid: Virtocid) -> None:
    """It came over the wire, and is in no file, log or argument of the host's but virtocid's own."""
    assert "vm-secrets" in client.call("Host.getCapabilities")["covirtExtensions"]
    value = base64.b64encode(b"correct horse battery staple").decode()
    secrets = [{"name": "db", "value": value}, {"name": "db", "value": value, "environment": "DB_PASSWORD"}]
    settings = {"xml": container_xml("keeper", "sleep 1000"), "secrets": secrets}
    vm_id = client.call("VM.create", {"vmID": "", "vmParams": settings}, flow_id="flow-1")["vmId"]
    wait_for_status(client, vm_id, "Up")
    assert virtocid.exec("keeper", "--", "cat", "/run/secrets/db").stdout == b"correct horse battery staple"
    with pytest.raises(CallFailed) as caught:
        client.call("VM.create", {"vmID": "", "vmParams": settings | {"secrets": [secrets[0] | {"uid": "x"}]}})
    told = [
        str(caught.value),
        json.dumps(client.call("Host.dumpxmls", {"vmList": [vm_id]})),
        json.dumps(client.events),
    ]
    told += [text_of(path) for path in running.root.path.rglob("*") if path.is_file()]
    told += [text_of(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert any(vm_id in text for text in told)
    assert not any(word in text for word in (value, "correct horse") for text in (*told, virtocid.log))
    client.call("VM.destroy", {"vmID": vm_id})
    assert virtocid.tell("secret-list") == ""


def text_of(path: Path) -> str:
    with contextlib.suppress(OSError):  # gone meanwhile
        return path.read_text(errors="replace")
    return ""


def test_what_the_host_has(client: HostClient) -> None:
    capabilities = client.call("Host.getCapabilities")
    assert "pc" in capabilities["emulatedMachines"]
    assert capabilities["kvmEnabled"] in ("true", "false")
    assert capabilities["additionalFeatures"] == ["CONTAINERS"]
    assert capabilities["cd_change_pdiv"] is True
    assert client.call("Host.getStats")["vmCount"] == 0


@pytest.mark.parametrize("kind", ["machine", "container"])
def test_guests_outlive_a_killed_agent(
    tiny_guest: TinyGuest, libvirtd: Libvirtd, virtocid: Virtocid, kind: str
) -> None:
    """One goes on, one ends meanwhile: the first is found again, and the end of the other is told."""
    hypervisor = libvirtd if kind == "machine" else Libvirtd(uri=virtocid.uri)
    with host_on(libvirtd, virtocid, port=PORT + 1) as host:
        with host.client() as client:
            ready_for_containers(client)
            ids = [create(client, xml_of(kind, tiny_guest, name)) for name in ("stays", "ends")]
            for vm_id in ids:
                wait_for_status(client, vm_id, "Up")
        host.kill()
        hypervisor.virsh("destroy", "ends")
        host.start()
        with host.client() as client:
            wait_for_status(client, ids[0], "Up")
            wait_for_status(client, ids[1], "Down")
            (ended,) = client.call("VM.getStats", {"vmID": ids[1]})
            assert ended["exitMessage"]
            for vm_id in ids:
                client.call("VM.destroy", {"vmID": vm_id})
            assert client.call("Host.getVMList") == []


def test_a_container_s_log_over_the_same_port(running: CovirtHost, client: HostClient) -> None:
    assert {"vm-streams", "vm-display"} <= set(client.call("Host.getCapabilities")["covirtExtensions"])
    xml = container_xml("told", "sh -c 'echo hello; sleep 1000'")
    vm_id = client.call("VM.create", {"vmID": "", "vmParams": {"xml": xml}}, flow_id="flow-of-a-start")["vmId"]
    wait_for_status(client, vm_id, "Up")
    wait_until(lambda: f"[vm-start-{vm_id[:8]}] flow=flow-of-a-start " in running.log)
    answer = client.call("VM.openLog", {"vmID": vm_id}, flow_id="flow-of-a-stream")
    with StreamClient(PORT, client_context(TlsFiles.in_directory(running.pki)), answer["ticket"]) as stream:
        assert stream.line() == "OK"
        stream.socket.sendall(LogChannelRequest(follow=True).encode())
        stream.hear(b"hello\n")
    wait_until(lambda: "Stream ended" in running.log)
    assert "flow_id=flow-of-a-stream" in running.log.partition("Stream begun")[2]
    assert answer["ticket"] not in running.log


def test_many_calls_that_hang_in_one_libvirt(
    running: CovirtHost, client: HostClient, tiny_guest: TinyGuest, virtocid: Virtocid
) -> None:
    """More than there are workers, and of one client: the other libvirt's guests are served as ever."""
    machine, container = (create(client, xml_of(kind, tiny_guest, kind)) for kind in ("machine", "container"))
    for vm_id in (machine, container):
        wait_for_status(client, vm_id, "Up")
    with RawStomp(running.port, client_context(TlsFiles.in_directory(running.pki))) as other:
        os.kill(virtocid.pid, signal.SIGSTOP)
        try:
            for number in range(_MANY):
                request = {"jsonrpc": "2.0", "method": "VM.reset", "params": {"vmID": container}, "id": str(number)}
                other.ask(json.dumps(request).encode())
            request = {"jsonrpc": "2.0", "method": "VM.pause", "params": {"vmID": machine}, "id": "paused"}
            other.ask(json.dumps(request).encode())
            client.wait_for_event(f"|virt|VM_status|{machine}", status="Paused")
            client.call("VM.cont", {"vmID": machine})
        finally:
            os.kill(virtocid.pid, signal.SIGCONT)
        answered = {json.loads(other.receive().body)["id"] for _ in range(_MANY + 1)}
    assert answered == {"paused", *(str(number) for number in range(_MANY))}
    wait_until(lambda: _is_done(client, "VM.pause", container), timeout_seconds=SECONDS)  # it is connected again


def _is_done(client: HostClient, verb: str, vm_id: str) -> bool:
    try:
        client.call(verb, {"vmID": vm_id})
    except CallFailed as failure:
        if failure.code != Code.RESOURCE_UNAVAILABLE:
            raise
        return False
    return True
