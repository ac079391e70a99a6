# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The server against clients that do what stock ones never would, and what it owes to all others meanwhile."""

import contextlib
import os
import random
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covirt.common.daemon_lock import AnotherDaemonRuns, acquire_daemon_lock
from covirt.common.files import make_directory
from covirt.common.root import Root
from covirt.virtocid.errors import SocketPathTooLong, UnknownSocketGroup
from covirt.virtocid.events import EventBus
from covirt.virtocid.server import VirtocidServer
from covirt.virtocid.settings import ServerSettings
from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.constants import LifecycleEvent
from covirt.wire.framing import KEEPALIVE_PROGRAM, QEMU_PROGRAM, REMOTE_PROGRAM, Frame, FrameStatus, FrameType
from covirt.wire.structs import DomainArgs, DomainFlagsArgs, ListArgs, RemoteDomain, RemoteError
from covirt.wire.structs_connect import ConnectDomainEventRegisterAnyArgs, ConnectOpenArgs, ConnectSupportsFeatureArgs
from covirt.wire.structs_events import LifecycleMsg
from tests.support.fake_domains import FakeDomains, Service, fake_service, translate
from tests.support.wire_client import CallFailed, WireClient

_SECONDS = 20


@pytest.fixture
def service(root_dir: Root) -> Iterator[Service]:
    with fake_service(root_dir) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[WireClient]:
    with WireClient(service.server.socket_path) as one:
        yield one.open()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def alpha(service: Service) -> RemoteDomain:
    return next(iter(service.domains.domains.values())).remote


def fails_with(code: int, action: Callable[[], object]) -> RemoteError:
    with pytest.raises(CallFailed) as caught:
        action()
    assert caught.value.error.code == code
    return caught.value.error


def is_gone(client: WireClient) -> bool:
    """Whether the server has closed the connection."""
    try:
        while True:
            client.frame()
    except (EOFError, ConnectionError):
        return True


def test_modes_of_the_sockets(service: Service) -> None:
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (service.server.socket_path, service.server.readonly_socket_path)
    ]
    assert modes == [0o660, 0o666]
    assert sorted(os.listdir(service.root.libvirt_dir)) == ["virtocid-sock", "virtocid-sock-ro"]


def test_group_of_the_socket(root_dir: Root) -> None:
    def server(group: str) -> VirtocidServer:
        domains = FakeDomains()
        return VirtocidServer(
            root=root_dir, handlers=domains.table(), translate=translate, bus=EventBus(), group=group
        )

    with pytest.raises(UnknownSocketGroup, match="no-such-group"):
        server("no-such-group").start()
    running = server("adm")
    running.start()
    try:
        assert running.socket_path.group() == "adm"
    finally:
        running.stop()
    assert os.listdir(root_dir.libvirt_dir) == []
    running.stop()  # a second time is no error


def test_socket_path_that_no_client_could_reach(root_dir: Root) -> None:
    deep = Root(root_dir.path / ("x" * 90))
    server = VirtocidServer(root=deep, handlers=FakeDomains().table(), translate=translate, bus=EventBus())
    with pytest.raises(SocketPathTooLong):
        server.start()


def test_dead_socket_file_is_replaced_and_second_daemon_refused(root_dir: Root) -> None:
    make_directory(root_dir.libvirt_dir)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(root_dir.libvirt_dir / "virtocid-sock"))
    dead.close()
    with fake_service(root_dir) as service:
        with WireClient(service.server.socket_path) as client:
            client.open()
        with pytest.raises(AnotherDaemonRuns):
            acquire_daemon_lock(root_dir, "virtocid")


def test_nothing_is_answered_before_open(service: Service) -> None:
    with WireClient(service.server.socket_path) as client:
        error = fails_with(39, lambda: client.call(proc.CONNECT_GET_HOSTNAME, None))
        assert error.message == "the connection is not open yet"
        client.open()
        assert client.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"
        fails_with(55, lambda: client.call(proc.CONNECT_OPEN, ConnectOpenArgs(name="", flags=0)))


def test_names_of_other_drivers_are_refused(service: Service) -> None:
    with WireClient(service.server.socket_path) as client:
        fails_with(5, lambda: client.open("qemu:///system"))
        client.open("oci:///system?tenant=7")
        assert client.call(proc.CONNECT_GET_URI, None).uri == "oci:///system?tenant=7"


@pytest.mark.parametrize("how", ["socket", "flag"])
def test_every_procedure_that_writes_is_refused_read_only(service: Service, how: str) -> None:
    path = service.server.readonly_socket_path if how == "socket" else service.server.socket_path
    with WireClient(path) as client:
        client.open(flags=1 if how == "flag" else 0)
        fails_with(29, lambda: client.call(proc.DOMAIN_CREATE, DomainArgs(dom=alpha(service))))
        fails_with(29, lambda: client.call(proc.DOMAIN_DESTROY, DomainArgs(dom=alpha(service))))
        secure = DomainFlagsArgs(dom=alpha(service), flags=1)
        fails_with(29, lambda: client.call(proc.DOMAIN_GET_XML_DESC, secure))
        plain = DomainFlagsArgs(dom=alpha(service), flags=0)
        assert "***" in client.call(proc.DOMAIN_GET_XML_DESC, plain).xml
        assert client.call(proc.CONNECT_LIST_ALL_DOMAINS, ListArgs(need_results=1, flags=0)).ret == 3


def test_unknown_programs_versions_and_procedures_are_answered(client: WireClient) -> None:
    for program, version, procedure, code in (
        (QEMU_PROGRAM, 1, 1, 3),
        (0x12345678, 1, 1, 3),
        (REMOTE_PROGRAM, 2, 1, 39),
        (REMOTE_PROGRAM, 1, 9999, 3),
        (REMOTE_PROGRAM, 1, -5, 3),
    ):
        client.send(Frame(program=program, version=version, procedure=procedure, type=FrameType.CALL, serial=77))
        reply = client.reply(77)
        assert (reply.program, reply.version, reply.procedure) == (program, version, procedure)
        assert reply.status == FrameStatus.ERROR
        assert codec_of(RemoteError).decode(reply.payload).code == code


def test_ping_is_answered_also_before_open_and_while_calls_run(service: Service) -> None:
    with WireClient(service.server.socket_path) as client:
        assert client.ping().program == KEEPALIVE_PROGRAM
        client.open()
        for _ in range(30):
            client.start(proc.DOMAIN_SHUTDOWN, DomainArgs(dom=alpha(service)))
        pong = client.ping()
        assert (pong.program, pong.procedure, pong.type, pong.serial) == (KEEPALIVE_PROGRAM, 2, 2, 0)


def test_calls_in_flight_are_limited_and_all_are_answered(service: Service, client: WireClient) -> None:
    serials = [client.start(proc.DOMAIN_SHUTDOWN, DomainArgs(dom=alpha(service))) for _ in range(12)]
    until(lambda: service.domains.slow_calls == 5)
    time.sleep(0.05)
    assert service.domains.slow_calls == 5
    service.domains.gate.set()
    for serial in reversed(serials):
        assert client.reply(serial).status == FrameStatus.OK
    assert service.domains.slow_calls == 12


def test_stuck_handlers_do_not_stop_others(service: Service, client: WireClient) -> None:
    """Twenty workers wait for something slow; list and state still get through, for everybody."""
    stuck = [WireClient(service.server.socket_path).open() for _ in range(5)]
    for one in stuck:
        for _ in range(5):
            one.start(proc.DOMAIN_SHUTDOWN, DomainArgs(dom=alpha(service)))
    until(lambda: service.domains.slow_calls == 20)
    assert client.call(proc.CONNECT_LIST_ALL_DOMAINS, ListArgs(need_results=1, flags=0)).ret == 3
    assert client.call(proc.DOMAIN_GET_STATE, DomainFlagsArgs(dom=alpha(service), flags=0)).state == 5
    for one in stuck:
        one.close()


def test_pipelined_calls_are_matched_by_serial(client: WireClient) -> None:
    serials = [client.start(proc.CONNECT_GET_HOSTNAME, None) for _ in range(500)]
    for serial in sorted(serials, key=lambda serial: serial * 263 % 500):
        assert client.reply(serial).status == FrameStatus.OK


def test_bytes_one_at_a_time(service: Service) -> None:
    with WireClient(service.server.socket_path) as client:
        frame = Frame(program=REMOTE_PROGRAM, procedure=66, type=FrameType.CALL, serial=9).encode()
        for position in range(len(frame)):
            client.socket.sendall(frame[position : position + 1])
        assert client.reply(9).status == FrameStatus.OK


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", 27) + bytes(24),
        struct.pack(">I", 33554437),
        struct.pack(">I", 70000),  # allowed once the connection is open, not before
        Frame(program=REMOTE_PROGRAM, procedure=1, type=FrameType.REPLY).encode(),
        Frame(program=REMOTE_PROGRAM, procedure=318, type=FrameType.MESSAGE).encode(),
        Frame(program=REMOTE_PROGRAM, procedure=309, type=FrameType.CALL_WITH_FDS).encode(),
        Frame(program=REMOTE_PROGRAM, procedure=1, type=99).encode(),
    ],
    ids=["http", "short", "oversized", "large-before-open", "reply", "message", "descriptors", "type-99"],
)
def test_who_does_not_speak_the_protocol_is_dropped(service: Service, client: WireClient, rubbish: bytes) -> None:
    with WireClient(service.server.socket_path) as other:
        other.socket.sendall(rubbish)
        assert is_gone(other)
    assert client.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"


def test_random_bytes_harm_nobody(service: Service, client: WireClient) -> None:
    source = random.Random(42)  # noqa: S311 - the same bytes every time
    for _ in range(200):
        with WireClient(service.server.socket_path) as other, contextlib.suppress(OSError):
            other.socket.sendall(source.randbytes(source.randrange(200)))
    until(lambda: service.server.client_count == 1)
    assert client.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"


def test_arguments_that_cannot_be_decoded_are_an_answer(client: WireClient) -> None:
    client.send(Frame(program=REMOTE_PROGRAM, procedure=9, type=FrameType.CALL, serial=5, payload=b"\xff" * 40))
    assert codec_of(RemoteError).decode(client.reply(5).payload).code == 39
    assert client.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"


def test_half_open_client_is_dropped_in_time(root_dir: Root) -> None:
    with (
        fake_service(root_dir, settings=ServerSettings(open_timeout_seconds=0.1)) as service,
        WireClient(service.server.socket_path) as silent,
        WireClient(service.server.socket_path) as other,
    ):
        other.open()
        assert is_gone(silent)
        assert other.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"


def test_client_that_closes_its_half_is_let_go(service: Service) -> None:
    with WireClient(service.server.socket_path) as client:
        client.open()
        client.socket.shutdown(socket.SHUT_WR)
        assert is_gone(client)
    until(lambda: service.server.client_count == 0)


def test_client_that_never_pongs_is_dropped(root_dir: Root) -> None:
    settings = ServerSettings(keepalive_interval_seconds=0.05, keepalive_count=2)
    with (
        fake_service(root_dir, settings=settings) as service,
        WireClient(service.server.socket_path) as dead,
        WireClient(service.server.socket_path) as old,
    ):
        old.open()  # does not know keepalive, so it is never pinged
        dead.call(proc.CONNECT_SUPPORTS_FEATURE, ConnectSupportsFeatureArgs(feature=10))
        dead.open()
        ping = dead.frame()
        assert (ping.program, ping.procedure) == (KEEPALIVE_PROGRAM, 1)
        assert is_gone(dead)
        assert old.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"


def test_client_that_pongs_stays(root_dir: Root) -> None:
    settings = ServerSettings(keepalive_interval_seconds=0.05, keepalive_count=2)
    with fake_service(root_dir, settings=settings) as service, WireClient(service.server.socket_path) as client:
        client.call(proc.CONNECT_SUPPORTS_FEATURE, ConnectSupportsFeatureArgs(feature=10))
        client.open()
        for _ in range(8):
            assert client.frame().procedure == 1
            client.send(Frame(program=KEEPALIVE_PROGRAM, procedure=2, type=FrameType.MESSAGE))
        assert client.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"


def test_slow_client_is_dropped_and_delays_nobody(root_dir: Root) -> None:
    settings = ServerSettings(max_queued_bytes=100_000)
    with (
        fake_service(root_dir, settings=settings) as service,
        WireClient(service.server.socket_path) as slow,
        WireClient(service.server.socket_path) as quick,
    ):
        for one in (slow, quick):
            one.open()
            one.call(
                proc.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
                ConnectDomainEventRegisterAnyArgs(event_id=0, dom=None),
            )
        dom = alpha(service)
        for number in range(20_000):
            service.domains.bus.lifecycle(dom, LifecycleEvent.STARTED, number)
            event = codec_of(LifecycleMsg).decode(quick.frame().payload)
            assert event.detail == number
            if service.server.client_count == 1:
                break
        assert service.server.client_count == 1
        assert is_gone(slow)


def test_client_that_does_not_read_its_answers_is_not_worked_for(root_dir: Root) -> None:
    """Its calls wait where they are cheap, and its memory here is bounded."""
    settings = ServerSettings(output_high_bytes=10_000)
    with (
        fake_service(root_dir, settings=settings, names=2000) as service,
        WireClient(service.server.socket_path) as greedy,
        WireClient(service.server.socket_path) as other,
    ):
        greedy.open()
        other.open()
        args = ListArgs(need_results=1, flags=0)
        serials = [greedy.start(proc.CONNECT_LIST_ALL_DOMAINS, args) for _ in range(40)]
        assert other.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"
        for serial in serials:
            assert greedy.reply(serial).status == FrameStatus.OK


def test_too_many_clients_are_refused(root_dir: Root) -> None:
    with fake_service(root_dir, settings=ServerSettings(max_clients=2)) as service:
        with WireClient(service.server.socket_path) as first, WireClient(service.server.socket_path) as second:
            first.open()
            second.open()
            with WireClient(service.server.socket_path) as third:
                assert is_gone(third)
        until(lambda: service.server.client_count == 0)
        with WireClient(service.server.socket_path) as again:
            again.open()


def stranger(path: Path, *, uid: int = 65534) -> WireClient:
    """A client that the kernel says is somebody without any right."""
    os.seteuid(uid)
    try:
        return WireClient(path)
    finally:
        os.seteuid(0)


def test_strangers_take_no_place_of_those_with_rights(root_dir: Root) -> None:
    settings = ServerSettings(max_clients=3, max_readonly_clients=2)
    with fake_service(root_dir, settings=settings) as service, contextlib.ExitStack() as clients:
        path = service.server.readonly_socket_path
        for uid in (65533, 65534):
            clients.enter_context(stranger(path, uid=uid)).open()
        assert is_gone(clients.enter_context(stranger(path, uid=65532)))
        for path in (service.server.socket_path, service.server.readonly_socket_path):
            clients.enter_context(WireClient(path)).open()


def test_strangers_send_small_packets_and_end_them(root_dir: Root) -> None:
    settings = ServerSettings(readonly_packet_seconds=0.2)
    with fake_service(root_dir, settings=settings) as service, contextlib.ExitStack() as clients:
        path = service.server.readonly_socket_path
        large, late, slow = (clients.enter_context(stranger(path)).open() for _ in range(3))
        root = clients.enter_context(WireClient(service.server.socket_path)).open()
        large.socket.sendall(struct.pack(">I", (256 << 10) + 1))
        assert is_gone(large)
        for client in (late, root):
            client.socket.sendall(struct.pack(">I", 100))
        assert is_gone(late)
        for _ in range(3):  # one packet after another is fine, however long it goes on
            time.sleep(0.1)
            assert slow.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"
        assert service.server.client_count == 2


def test_memory_for_one_stranger_is_bounded_over_all_its_clients(root_dir: Root) -> None:
    settings = ServerSettings(max_readonly_bytes_per_user=500_000)
    with fake_service(root_dir, settings=settings) as service, contextlib.ExitStack() as clients:
        path = service.server.readonly_socket_path
        greedy = [clients.enter_context(stranger(path)).open() for _ in range(5)]
        other = clients.enter_context(stranger(path, uid=65533)).open()
        for client in greedy:
            with contextlib.suppress(OSError):
                client.socket.sendall(struct.pack(">I", 200_000) + bytes(150_000))
        until(lambda: service.server.client_count == 4)
        assert other.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"


def test_calls_of_strangers_run_a_few_at_a_time_and_are_all_answered(root_dir: Root) -> None:
    settings = ServerSettings(max_readonly_calls_per_user=1)
    with fake_service(root_dir, settings=settings) as service, contextlib.ExitStack() as clients:
        path = service.server.readonly_socket_path
        args = ListArgs(need_results=1, flags=0)
        strangers = [clients.enter_context(stranger(path)).open() for _ in range(4)]
        gone = clients.enter_context(stranger(path)).open()
        serials = [[one.start(proc.CONNECT_LIST_ALL_DOMAINS, args) for _ in range(10)] for one in strangers]
        for _ in range(10):
            gone.start(proc.CONNECT_LIST_ALL_DOMAINS, args)
        gone.close()
        for one, own in zip(strangers, serials, strict=True):
            for serial in own:
                assert one.reply(serial).status == FrameStatus.OK


def test_calls_that_wait_leave_reserved_workers_to_quick_ones(root_dir: Root) -> None:
    settings = ServerSettings(workers=1, priority_workers=3, max_calls_per_client=20)
    with fake_service(root_dir, settings=settings) as service, WireClient(service.server.socket_path) as client:
        client.open()
        client.start(proc.DOMAIN_SHUTDOWN, DomainArgs(dom=alpha(service)))
        until(lambda: service.domains.slow_calls == 1)
        for _ in range(8):
            client.start(proc.DOMAIN_UNDEFINE, DomainArgs(dom=alpha(service)))
        until(lambda: service.domains.slow_calls == 2)
        assert client.call(proc.CONNECT_GET_HOSTNAME, None).hostname == "fake.example"
        assert service.domains.slow_calls == 2


def test_events_come_in_order_to_everybody_who_asked(service: Service) -> None:
    clients = [WireClient(service.server.socket_path).open() for _ in range(2)]
    dom = alpha(service)
    ids = [
        [
            client.call(
                proc.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
                ConnectDomainEventRegisterAnyArgs(event_id=0, dom=only),
            ).callback_id
            for only in (None, dom)
        ]
        for client in clients
    ]
    for number in range(300):
        service.domains.bus.lifecycle(dom, LifecycleEvent.STARTED, number)
    for client, own in zip(clients, ids, strict=True):
        for number in range(300):
            for callback_id in own:
                frame = client.frame()
                assert (frame.type, frame.serial, frame.procedure) == (FrameType.MESSAGE, 0, 318)
                body = codec_of(LifecycleMsg).decode(frame.payload)
                assert (body.callback_id, body.detail) == (callback_id, number)
        client.close()


def test_no_event_comes_after_deregistration(service: Service, client: WireClient) -> None:
    args = ConnectDomainEventRegisterAnyArgs(event_id=0, dom=None)
    registered = client.call(proc.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)
    deregister = proc.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY
    client.call(deregister, deregister.args(callback_id=registered.callback_id))
    service.domains.bus.reboot(alpha(service))
    service.domains.bus.lifecycle(alpha(service), LifecycleEvent.STARTED, 0)
    reply = client.start(proc.CONNECT_GET_HOSTNAME, None)
    assert client.frame().serial == reply
    fails_with(8, lambda: client.call(deregister, deregister.args(callback_id=registered.callback_id)))


def test_stop_answers_what_runs_and_closes_everybody(root_dir: Root) -> None:
    with fake_service(root_dir) as service, WireClient(service.server.socket_path) as client:
        client.open()
        serial = client.start(proc.DOMAIN_SHUTDOWN, DomainArgs(dom=alpha(service)))
        until(lambda: service.domains.slow_calls == 1)
        service.domains.gate.set()
        service.server.stop()
        assert client.reply(serial).status == FrameStatus.OK
        assert is_gone(client)
        assert not service.server.socket_path.exists()
