# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Console, commands and log of real guests, over the port of calls: tickets from verbs, bytes over mutual TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.channels import (
    ChannelFrame,
    ExecChannelExit,
    ExecChannelRequest,
    FrameKind,
    LogChannelRequest,
)
from covirt.hostapi.errors import Code
from covirt.rpc.server import RpcServer
from covirt.rpc.streams import STREAM_PREFIX
from covirt.rpc.tls import client_context, server_context
from tests.support.authority import TestAuthority
from tests.support.guest import TinyGuest
from tests.support.host_vms import HostVms, container_xml, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.raw_stomp import PlayService
from tests.support.roots import new_root
from tests.support.stream_client import StreamClient
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

SHELL = "sh -c 'echo hello; echo world; sleep 1000'"


class Streams:
    """A host, its port, and an engine's certificate."""

    def __init__(self, host: HostVms, pki: Path) -> None:
        files = TestAuthority().issue(pki)
        self.host = host
        self.server = RpcServer(
            PlayService(),
            tls=server_context(files),
            listen="127.0.0.1",
            port=0,
            protocols={STREAM_PREFIX: host.streams},
        )
        self.context = client_context(files)

    def open(self, verb: str, vm_id: str, **params: object) -> StreamClient:
        """Whatever it answers to the ticket."""
        answer = self.host.call(verb, vmID=vm_id, **params)
        assert answer["validSeconds"] == 60
        return StreamClient(self.server.port, self.context, answer["ticket"])


@pytest.fixture(scope="module")
def shared(
    libvirtd: Libvirtd, virtocid_daemon: Virtocid, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Streams]:
    with new_root() as root, serve_vms(root, oci_uri=virtocid_daemon.uri, qemu_uri=libvirtd.uri) as host:
        streams = Streams(host, tmp_path_factory.mktemp("pki"))
        streams.server.start()
        yield streams
        streams.server.stop()


@pytest.fixture
def streams(shared: Streams, virtocid: Virtocid) -> Iterator[Streams]:
    assert virtocid.running
    wait_until(lambda: shared.host.support.obstacle == "")
    yield shared
    wait_until(lambda: shared.host.streams.open_streams == 0)
    shared.host.destroy_all()


def test_a_command_inside_a_container(streams: Streams) -> None:
    vm_id = streams.host.run(container_xml("inside", SHELL))
    with streams.open("VM.openExec", vm_id) as client:
        assert client.line() == "OK"
        request = ExecChannelRequest(command=("sh", "-c", "read word; echo got $word; echo wrong >&2; exit 3"))
        words = [ChannelFrame(kind=FrameKind.REQUEST, data=request.encode()).encode()]
        words += [ChannelFrame(kind=FrameKind.STDIN, data=data).encode() for data in (b"this\n", b"")]
        client.socket.sendall(b"".join(words))
        frames = client.frames()
    assert b"".join(frame.data for frame in frames if frame.kind is FrameKind.STDOUT) == b"got this\n"
    assert b"".join(frame.data for frame in frames if frame.kind is FrameKind.STDERR) == b"wrong\n"
    assert ExecChannelExit.parse(frames[-1].data).exit_code == 3


def test_a_command_ends_with_its_client(streams: Streams, virtocid: Virtocid) -> None:
    vm_id = streams.host.run(container_xml("left", SHELL))
    with streams.open("VM.openExec", vm_id) as client:
        assert client.line() == "OK"
        request = ExecChannelRequest(command=("sh", "-c", "echo $$ >/tmp/mark; sleep 1001"), terminal=True)
        client.socket.sendall(ChannelFrame(kind=FrameKind.REQUEST, data=request.encode()).encode())
        wait_until(lambda: "sleep 1001" in _processes(streams, vm_id))
    wait_until(lambda: "sleep 1001" not in _processes(streams, vm_id))


def _processes(streams: Streams, vm_id: str) -> str:
    with streams.open("VM.openExec", vm_id) as client:
        assert client.line() == "OK"
        request = ExecChannelRequest(command=("ps", "-o", "args"))
        client.socket.sendall(ChannelFrame(kind=FrameKind.REQUEST, data=request.encode()).encode())
        frames = client.frames()
    return b"".join(frame.data for frame in frames if frame.kind is FrameKind.STDOUT).decode()


def test_a_container_s_log(streams: Streams) -> None:
    vm_id = streams.host.run(container_xml("logs", SHELL))
    with streams.open("VM.openLog", vm_id) as client:
        assert client.line() == "OK"
        client.socket.sendall(LogChannelRequest(follow=True).encode())
        client.hear(b"hello\n")
        client.hear(b"world\n")
    with streams.open("VM.openLog", vm_id) as client:
        assert client.line() == "OK"
        client.socket.sendall(LogChannelRequest(tail=1).encode())
        text, end = client.frames()
        assert (text.kind, text.data) == (FrameKind.STDOUT, b"world\n")
        assert end.kind is FrameKind.EXIT
        assert ExecChannelExit.parse(end.data).exit_code == 0


def test_wrong_requests_are_errors_that_the_client_sees(streams: Streams) -> None:
    vm_id = streams.host.run(container_xml("wrong", SHELL))
    no_command, no_frame = b'{"command": []}', b"\xff" * 100
    wrong_requests = {
        ("VM.openExec", ChannelFrame(kind=FrameKind.REQUEST, data=no_command).encode()): "command must be a list",
        ("VM.openExec", no_frame): "it announces a frame of 4294967295 bytes",
        ("VM.openLog", b'{"tial": 20}\n'): "there is no field 'tial'",
        ("VM.openLog", b'{"since": "yesterday"}\n'): "yesterday",
    }
    for (verb, words), reason in wrong_requests.items():
        with streams.open(verb, vm_id) as client:
            assert client.line() == "OK"
            client.socket.sendall(words)
            (end,) = client.frames()
        told = ExecChannelExit.parse(end.data)
        assert end.kind is FrameKind.EXIT
        assert told.exit_code == 125
        assert reason in str(told.error)


def test_a_guest_that_is_down(streams: Streams) -> None:
    vm_id = streams.host.create(container_xml("over", "echo done"))
    wait_until(lambda: streams.host.status(vm_id) == "Down")
    for verb in ("VM.openConsole", "VM.openExec"):
        refused = streams.host.refusal(verb, vmID=vm_id)
        assert refused.code == Code.VM_IS_DOWN
        assert "over is not running" in refused.message
    with streams.open("VM.openLog", vm_id) as client:
        assert client.line() == "OK"
        client.socket.sendall(LogChannelRequest().encode())
        assert next(frame.data for frame in client.frames()) == b"done\n"


def test_a_container_s_console(streams: Streams) -> None:
    vm_id = streams.host.run(container_xml("console", "sh -i"))
    with streams.open("VM.openConsole", vm_id) as client:
        assert client.line() == "OK"
        client.socket.sendall(b"echo $((6*7))\n")
        client.hear(b"42")
        streams.host.call("VM.destroy", vmID=vm_id)
        client.rest()  # it ends with its guest


def test_a_machine_s_console(streams: Streams, tiny_guest: TinyGuest) -> None:
    vm_id = streams.host.run(machine_xml(tiny_guest, "console"))
    with streams.open("VM.openConsole", vm_id) as first:
        assert first.line() == "OK"
        first.hear(b"GUEST-BOOTED")
        with streams.open("VM.openConsole", vm_id) as second:
            assert "Active console session exists" in second.line()
        with streams.open("VM.openConsole", vm_id, force=True) as third:
            assert third.line() == "OK"
            first.rest()  # the first one is over


DISPLAY = "<graphics type='vnc' port='-1'><listen type='none'/></graphics></devices>"


def test_a_machine_s_display(streams: Streams, tiny_guest: TinyGuest) -> None:
    vm_id = streams.host.run(machine_xml(tiny_guest, "screen").replace("</devices>", DISPLAY))
    with streams.open("VM.openDisplay", vm_id) as client:
        assert client.line() == "OK"
        client.hear(b"RFB 003.008\n")
        client.socket.sendall(b"RFB 003.008\n")
        client.heard = b""
        client.hear(b"\1\1")  # one way in, which is none: the ticket was the way in
        client.socket.sendall(b"\1" + b"\1")
        client.hear(b"QEMU (screen)")
        streams.host.call("VM.destroy", vmID=vm_id)
        client.rest()  # it ends with its guest


def test_a_machine_without_a_display(streams: Streams, tiny_guest: TinyGuest) -> None:
    vm_id = streams.host.run(machine_xml(tiny_guest, "dark"))
    with streams.open("VM.openDisplay", vm_id) as client:
        assert client.line() == "ERROR there is no display of type vnc"


def test_what_a_kind_does_not_have(streams: Streams, tiny_guest: TinyGuest) -> None:
    vm_id = streams.host.run(machine_xml(tiny_guest, "refused"))
    for verb in ("VM.openExec", "VM.openLog"):
        refused = streams.host.refusal(verb, vmID=vm_id)
        assert refused.code == Code.UNSUPPORTED
        assert "which is a virtual machine" in refused.message
    container_id = streams.host.run(container_xml("screenless", SHELL))
    refused = streams.host.refusal("VM.openDisplay", vmID=container_id)
    assert refused.code == Code.UNSUPPORTED
    assert "it has no display; its console shows what it prints" in refused.message
    absent = "00000000-0000-0000-0000-000000000000"
    assert streams.host.refusal("VM.openConsole", vmID=absent).code == Code.NO_SUCH_VM


def test_a_guest_that_is_gone_when_the_ticket_is_shown(streams: Streams) -> None:
    vm_id = streams.host.run(container_xml("gone", SHELL))
    answer = streams.host.call("VM.openConsole", vmID=vm_id)
    streams.host.call("VM.destroy", vmID=vm_id)
    client = StreamClient(streams.server.port, streams.context, answer["ticket"])
    with client:
        assert client.line().startswith("ERROR ")
        assert client.rest() == b""
