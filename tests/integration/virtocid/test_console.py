# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Streams: what stock clients do with a console, and packets that only the wire client can send."""

import os
import pty
import socket
import termios
import threading
import time
from collections.abc import Callable, Iterator

import libvirt
import pytest

from covirt.common.process import Child, spawn
from covirt.common.root import Root
from covirt.virtocid.settings import ServerSettings
from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.framing import MAX_STREAM_PAYLOAD_BYTES, REMOTE_PROGRAM, Frame, FrameStatus, FrameType
from covirt.wire.structs import DomainArgs, RemoteError
from covirt.wire.structs_domain import DomainOpenConsoleArgs
from tests.support.fake_domains import Service, fake_service
from tests.support.wire_client import CallFailed, WireClient

_SECONDS = 20


@pytest.fixture
def service(root_dir: Root) -> Iterator[Service]:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with fake_service(root_dir) as running:
        with WireClient(running.server.socket_path) as client:
            client.open().call(proc.DOMAIN_CREATE, DomainArgs(dom=running.domains.remote("alpha")))
        yield running


@pytest.fixture
def connection(service: Service) -> Iterator["libvirt.virConnect"]:
    opened = libvirt.open(service.uri)
    yield opened
    opened.close()


@pytest.fixture
def client(service: Service) -> Iterator[WireClient]:
    with WireClient(service.server.socket_path) as one:
        yield one.open()


def open_echo(connection: "libvirt.virConnect") -> "libvirt.virStream":
    stream = connection.newStream()
    connection.lookupByName("alpha").openConsole("echo", stream)
    return stream


def receive(stream: "libvirt.virStream", count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = stream.recv(262144)
        assert piece, "the stream ended early"
        received += piece
    return received


def packet(serial: int, status: FrameStatus, payload: bytes = b"", kind: FrameType = FrameType.STREAM) -> Frame:
    return Frame(program=REMOTE_PROGRAM, procedure=201, type=kind, serial=serial, status=status, payload=payload)


def start_console(client: WireClient, service: Service, dev_name: str | None = None) -> int:
    args = DomainOpenConsoleArgs(dom=service.domains.remote("alpha"), dev_name=dev_name, flags=0)
    serial = client.start(proc.DOMAIN_OPEN_CONSOLE, args)
    reply = client.frame()
    assert (reply.type, reply.serial, reply.status) == (FrameType.REPLY, serial, FrameStatus.OK)
    return serial


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def test_echo_and_finish(service: Service, connection: "libvirt.virConnect") -> None:
    stream = open_echo(connection)
    assert stream.send(b"hello") == 5
    assert receive(stream, 5) == b"hello"
    stream.finish()
    assert service.domains.console_closed.wait(_SECONDS)
    assert connection.getHostname() == "fake.example"


def test_echo_and_abort(service: Service, connection: "libvirt.virConnect") -> None:
    stream = open_echo(connection)
    stream.send(b"hello")
    stream.abort()
    assert service.domains.console_closed.wait(_SECONDS)
    assert connection.getHostname() == "fake.example"


def test_end_of_file_from_the_container(service: Service, connection: "libvirt.virConnect") -> None:
    stream = open_echo(connection)
    stream.send(b"exit\n")
    assert receive(stream, 5) == b"exit\n"
    assert stream.recv(100) == b""
    stream.finish()
    assert service.domains.console_closed.wait(_SECONDS)


def test_megabytes_through_an_echo(connection: "libvirt.virConnect") -> None:
    stream = open_echo(connection)
    sent = os.urandom(4 << 20)

    def feed() -> None:
        position = 0
        while position < len(sent):
            position += stream.send(sent[position : position + 100_000])

    feeder = threading.Thread(target=feed, name="feeder")
    feeder.start()
    received = receive(stream, len(sent))
    feeder.join()
    assert received == sent
    stream.finish()


def test_client_that_leaves_without_a_word_frees_the_console(service: Service) -> None:
    with WireClient(service.server.socket_path) as client:
        start_console(client.open(), service)
    assert service.domains.console_closed.wait(_SECONDS)


def test_console_that_cannot_be_opened(connection: "libvirt.virConnect") -> None:
    stream = connection.newStream()
    with pytest.raises(libvirt.libvirtError, match="not running"):
        connection.lookupByName("beta").openConsole(None, stream)
    assert connection.getHostname() == "fake.example"


def test_virsh_console(service: Service) -> None:
    controller, terminal = pty.openpty()
    argv = ["virsh", "--connect", service.uri, "console", "alpha", "echo"]
    with spawn(argv, stdin=terminal, stdout=terminal, stderr=terminal) as child:
        wait_until_ready(controller, terminal, child)
        os.write(controller, b"one two\r")
        read_until(controller, child, b"one two")
        os.write(controller, b"\x1d")  # ^]
        assert child.wait(timeout_seconds=_SECONDS) == 0
    assert service.domains.console_closed.wait(_SECONDS)
    os.close(controller)
    os.close(terminal)


def test_virsh_console_ends_when_the_shell_does(service: Service) -> None:
    controller, terminal = pty.openpty()
    argv = ["virsh", "--connect", service.uri, "console", "alpha", "echo"]
    with spawn(argv, stdin=terminal, stdout=terminal, stderr=terminal) as child:
        wait_until_ready(controller, terminal, child)
        os.write(controller, b"exit\n")
        assert child.wait(timeout_seconds=_SECONDS) == 0
    os.close(controller)
    os.close(terminal)


def wait_until_ready(controller: int, terminal: int, child: Child) -> None:
    """virsh throws away what was typed before it made the terminal raw, which is after its greeting."""
    read_until(controller, child, b"Escape character is ^]")
    until(lambda: not termios.tcgetattr(terminal)[3] & termios.ICANON)


def read_until(descriptor: int, child: Child, text: bytes) -> None:
    seen = b""
    while text not in seen:
        assert child.poll() is None, seen
        seen += os.read(descriptor, 4096)


def test_end_is_an_empty_packet_and_finish_is_answered(service: Service, client: WireClient) -> None:
    serial = start_console(client, service, "echo")
    client.send(packet(serial, FrameStatus.CONTINUE))  # an empty packet of a client means nothing
    client.send(packet(serial, FrameStatus.CONTINUE, b"exit\n"))
    assert client.frame() == packet(serial, FrameStatus.CONTINUE, b"exit\n")
    assert client.frame() == packet(serial, FrameStatus.CONTINUE)
    client.send(packet(serial, FrameStatus.OK))
    assert client.frame() == packet(serial, FrameStatus.OK)


def test_abort_is_answered_with_ok_and_late_packets_are_ignored(service: Service, client: WireClient) -> None:
    serial = start_console(client, service, "echo")
    client.send(packet(serial, FrameStatus.ERROR))
    assert client.frame() == packet(serial, FrameStatus.OK)
    client.send(packet(serial, FrameStatus.CONTINUE, b"late"))
    client.send(packet(serial, FrameStatus.OK))
    client.send(packet(12345, FrameStatus.CONTINUE, b"never opened"))
    assert client.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"


def test_hole_is_refused(service: Service, client: WireClient) -> None:
    serial = start_console(client, service, "echo")
    client.send(packet(serial, FrameStatus.CONTINUE, bytes(12), FrameType.STREAM_HOLE))
    answer = client.frame()
    assert (answer.type, answer.status) == (FrameType.STREAM, FrameStatus.ERROR)
    assert codec_of(RemoteError).decode(answer.payload).domain == 38
    assert service.domains.console_closed.wait(_SECONDS)


def test_serial_of_an_open_stream_is_taken(service: Service, client: WireClient) -> None:
    serial = start_console(client, service)
    args = DomainOpenConsoleArgs(dom=service.domains.remote("alpha"), dev_name=None, flags=0)
    payload = proc.DOMAIN_OPEN_CONSOLE.args_codec.encode(args)
    client.send(Frame(program=REMOTE_PROGRAM, procedure=201, type=FrameType.CALL, serial=serial, payload=payload))
    assert client.frame().status == FrameStatus.ERROR


def test_streams_are_limited(root_dir: Root) -> None:
    settings = ServerSettings(max_streams_per_client=2)
    with fake_service(root_dir, settings=settings) as service, WireClient(service.server.socket_path) as client:
        client.open().call(proc.DOMAIN_CREATE, DomainArgs(dom=service.domains.remote("alpha")))
        args = DomainOpenConsoleArgs(dom=service.domains.remote("alpha"), dev_name=None, flags=0)
        for _ in range(2):
            client.call(proc.DOMAIN_OPEN_CONSOLE, args)
        with pytest.raises(CallFailed):
            client.call(proc.DOMAIN_OPEN_CONSOLE, args)
        assert service.domains.console_closed.wait(_SECONDS)


def test_container_that_writes_faster_than_the_client_reads_is_slowed_down(root_dir: Root) -> None:
    settings = ServerSettings(output_high_bytes=100_000, max_queued_bytes=1_000_000)
    with fake_service(root_dir, settings=settings) as service, WireClient(service.server.socket_path) as client:
        client.open().call(proc.DOMAIN_CREATE, DomainArgs(dom=service.domains.remote("alpha")))
        serial = start_console(client, service)
        container = service.domains.consoles[0]
        written = fill(container)
        assert written < 4_000_000  # socket buffers and the queue, not everything a container can write
        received = 0
        while received < written:
            frame = client.frame()
            assert (frame.serial, frame.status) == (serial, FrameStatus.CONTINUE)
            assert len(frame.payload) <= MAX_STREAM_PAYLOAD_BYTES
            received += len(frame.payload)
        container.setblocking(True)
        container.sendall(b"more")
        assert client.frame().payload == b"more"


def fill(peer: socket.socket) -> int:
    """Write until nothing has gone for a while."""
    peer.setblocking(False)
    written = 0
    last = time.monotonic()
    while time.monotonic() - last < 0.3:
        try:
            written += peer.send(bytes(65536))
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    return written


def test_input_nobody_reads_stops_the_client_and_then_fails_the_stream(root_dir: Root) -> None:
    settings = ServerSettings(stream_stall_seconds=0.2)
    with fake_service(root_dir, settings=settings) as service, WireClient(service.server.socket_path) as client:
        client.open().call(proc.DOMAIN_CREATE, DomainArgs(dom=service.domains.remote("alpha")))
        serial = start_console(client, service)
        for _ in range(100):
            client.send(packet(serial, FrameStatus.CONTINUE, bytes(100_000)))
        answer = client.frame()
        assert answer.status == FrameStatus.ERROR
        message = codec_of(RemoteError).decode(answer.payload).message
        assert message is not None
        assert "input" in message
        assert client.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"
        assert service.domains.console_closed.wait(_SECONDS)


def test_input_that_is_read_late_arrives_whole(service: Service, client: WireClient) -> None:
    serial = start_console(client, service)
    sent = os.urandom(3 << 20)
    received = bytearray()

    def read() -> None:
        time.sleep(0.2)
        while len(received) < len(sent):
            received.extend(service.domains.consoles[0].recv(65536))

    reader = threading.Thread(target=read, name="container")
    reader.start()
    for start in range(0, len(sent), 200_000):
        client.send(packet(serial, FrameStatus.CONTINUE, sent[start : start + 200_000]))
    reader.join(_SECONDS)
    assert bytes(received) == sent
    client.send(packet(serial, FrameStatus.OK))
    assert client.frame() == packet(serial, FrameStatus.OK)


def test_input_before_finish_is_not_lost(service: Service, client: WireClient) -> None:
    serial = start_console(client, service)
    client.send(packet(serial, FrameStatus.CONTINUE, bytes(900_000)))
    client.send(packet(serial, FrameStatus.OK))
    assert client.frame() == packet(serial, FrameStatus.OK)
    console = service.domains.consoles[0]
    received = 0
    while piece := console.recv(65536):
        received += len(piece)
    assert received == 900_000
