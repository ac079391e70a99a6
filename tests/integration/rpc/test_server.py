# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The server over mutual TLS, and clients of every bad kind: none of them costs another one anything."""

import json
import logging
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import stomp

from covirt.rpc.errors import BadTls, PortNotServed
from covirt.rpc.server import RpcServer
from covirt.rpc.settings import ServerSettings
from covirt.rpc.stomp import Limits
from covirt.rpc.tls import TlsFiles, client_context, load_identity, server_context
from tests.support.authority import TestAuthority
from tests.support.raw_stomp import EVENTS, REQUESTS, PlayService, RawStomp
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority()


@pytest.fixture(scope="module")
def files(authority: TestAuthority, tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return authority.issue(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def context(files: TlsFiles) -> ssl.SSLContext:
    return client_context(files)


@contextmanager
def served(
    files: TlsFiles, service: PlayService | None = None, settings: ServerSettings | None = None
) -> Iterator[RpcServer]:
    server = RpcServer(
        service or PlayService(), tls=server_context(files), listen="127.0.0.1", port=0, settings=settings
    )
    server.start()
    try:
        yield server
    finally:
        if service is not None:
            service.go.set()
        server.stop()


@pytest.fixture
def server(files: TlsFiles) -> Iterator[RpcServer]:
    with served(files) as server:
        yield server


# An independent client.


class Listener(stomp.ConnectionListener):  # type: ignore[misc]  # stomp.py has no types
    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []
        self.errors: list[str] = []
        self.heartbeats_lost = 0

    def on_message(self, frame: Any) -> None:
        self.messages.append((frame.headers["destination"], json.loads(frame.body)))

    def on_error(self, frame: Any) -> None:
        self.errors.append(frame.headers["message"])

    def on_heartbeat_timeout(self) -> None:
        self.heartbeats_lost += 1


@contextmanager
def stomp_py(server: RpcServer, files: TlsFiles, *, heartbeats: tuple[int, int] = (0, 0)) -> Iterator[Any]:
    where = [("127.0.0.1", server.port)]
    client = stomp.Connection12(where, heartbeats=heartbeats, reconnect_attempts_max=1)
    client.set_ssl(where, ca_certs=str(files.ca), cert_file=str(files.certificate), key_file=str(files.key))
    client.set_listener("test", listener := Listener())
    client.connect(wait=True)
    try:
        yield client, listener
    finally:
        client.disconnect()


def test_an_independent_client_calls_and_hears_events(server: RpcServer, files: TlsFiles) -> None:
    with stomp_py(server, files, heartbeats=(2000, 2000)) as (client, listener):
        client.subscribe("mine", id="1")
        client.subscribe(EVENTS, id="2")
        body = json.dumps({"jsonrpc": "2.0", "method": "echo", "params": {"a": "ä:\n"}, "id": "x"})
        client.send(REQUESTS, body, headers={"reply-to": "mine"})
        wait_until(lambda: len(listener.messages) == 1)
        for number in range(3):
            server.publish(EVENTS, "|virt|VM_status|1", {"number": number})
        wait_until(lambda: len(listener.messages) == 4)
        wait_until(lambda: server.client_count == 1)
    answer, *events = listener.messages
    assert answer == ("mine", {"jsonrpc": "2.0", "id": "x", "result": {"a": "ä:\n"}})
    assert [event for _, event in events] == [
        {"jsonrpc": "2.0", "method": "|virt|VM_status|1", "params": {"number": number}} for number in range(3)
    ]
    assert (listener.errors, listener.heartbeats_lost) == ([], 0)
    wait_until(lambda: server.client_count == 0)


# Calls.


def test_answers(server: RpcServer, context: ssl.SSLContext) -> None:
    with RawStomp(server.port, context) as client:
        assert client.call("echo", [1]) == {"jsonrpc": "2.0", "id": "1", "result": [1]}
        assert client.call("inline", {"a": 1})["result"] == {"a": 1}
        assert client.call("refuse")["error"] == {"code": 1, "message": "Virtual machine does not exist"}


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ('[{"jsonrpc":"2.0","method":"echo","id":1}]', 1),  # as Vdsm's own client asks
        ('[{"jsonrpc":"2.0","method":"echo","id":1},{"jsonrpc":"2.0","method":"inline","id":2}]', [1, 2]),
        ('[{"jsonrpc":"2.0","method":"echo","id":1},{"jsonrpc":"2.0","method":"echo"}]', 1),
        ('[{"jsonrpc":"2.0","method":"echo","id":1},7]', [1, None]),
        ("7", None),
        ("[]", None),
        ("{", None),
        ('{"jsonrpc":"2.0","id":1,"result":1}', None),
    ],
)
def test_batches_and_nonsense(server: RpcServer, context: ssl.SSLContext, body: str, ids: Any) -> None:
    with RawStomp(server.port, context) as client:
        client.ask(body.encode())
        answer = json.loads(client.receive().body)
        assert ([one["id"] for one in answer] if isinstance(answer, list) else answer["id"]) == ids
        assert client.call("echo", [1])["result"] == [1]


def test_notifications_are_not_answered(files: TlsFiles, context: ssl.SSLContext) -> None:
    service = PlayService()
    with served(files, service) as server, RawStomp(server.port, context) as client:
        client.ask(b'{"jsonrpc":"2.0","method":"noted"}', flow_id="flow-1")
        client.ask(b'{"jsonrpc":"2.0","method":"fail"}')
        assert client.call("echo", [1])["result"] == [1]
        wait_until(lambda: len(service.calls) == 3)
        method, name, flow_id = service.calls[0]
    assert (method, flow_id) == ("noted", "flow-1")
    assert name.startswith("127.0.0.1:")
    assert name.endswith("/localhost")


@pytest.mark.parametrize("method", ["fail", "unspeakable"])
def test_a_bug_in_a_call_is_answered(server: RpcServer, context: ssl.SSLContext, method: str) -> None:
    with RawStomp(server.port, context) as client:
        assert client.call(method)["error"]["code"] == -32603
        assert client.call("echo", [1])["result"] == [1]


def test_slow_calls_hold_up_neither_others_nor_the_quick_ones(files: TlsFiles, context: ssl.SSLContext) -> None:
    service = PlayService()
    settings = ServerSettings(workers=3, priority_workers=1, max_running=2, max_waiting=5)
    with served(files, service, settings) as server, ExitStack() as stack:
        busy, other = (stack.enter_context(RawStomp(server.port, context)) for _ in range(2))
        for _ in range(4):
            busy.ask(b'{"jsonrpc":"2.0","method":"wait","id":1}')
        wait_until(lambda: service.waiting == 2)
        assert busy.call("quick")["result"] is None
        assert busy.call("inline")["result"] is None
        assert other.call("echo", [1])["result"] == [1]
        assert service.waiting == 2  # a client never has all workers
        for _ in range(10):
            busy.ask(b'{"jsonrpc":"2.0","method":"wait","id":1}')
        service.go.set()
        for _ in range(14):
            assert json.loads(busy.receive().body)["id"] == 1


def test_calls_that_hang_cost_threads_and_nobody_s_turn(files: TlsFiles, context: ssl.SSLContext) -> None:
    """As of a libvirt or a storage that is stopped: more of them than workers, and than one client may have."""
    service = PlayService()
    settings = ServerSettings(workers=2, priority_workers=1, max_running=2, overdue_seconds=0.02, replacements=4)
    with served(files, service, settings) as server, RawStomp(server.port, context) as client:
        for _ in range(4):
            client.ask(b'{"jsonrpc":"2.0","method":"wait","id":1}')
        wait_until(lambda: service.waiting == 4)
        assert client.call("echo", [1])["result"] == [1]
        for _ in range(4):  # more than are replaced: what is too much waits
            client.ask(b'{"jsonrpc":"2.0","method":"wait","id":1}')
        assert client.call("quick")["result"] is None
        wait_until(lambda: service.waiting == 6)
        service.go.set()
        for _ in range(8):
            assert json.loads(client.receive().body)["id"] == 1
        assert client.call("echo", [2])["result"] == [2]


# Peers that must not get in.


def test_only_certificates_of_the_authority_get_in(
    server: RpcServer, context: ssl.SSLContext, files: TlsFiles, tmp_path: Path
) -> None:
    stranger = TestAuthority().issue(tmp_path / "stranger")
    wrong_ca = client_context(stranger)
    with pytest.raises(ssl.SSLCertVerificationError):
        RawStomp(server.port, wrong_ca)
    # It believes the server, and the server does not believe it: with TLS 1.3 it hears so when it reads.
    wrong_ca.load_verify_locations(cafile=files.ca)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        RawStomp(server.port, wrong_ca)
    none = ssl.create_default_context(cafile=str(files.ca))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        RawStomp(server.port, none)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        RawStomp(server.port, None)
    assert server.client_count == 0
    with RawStomp(server.port, context) as client:
        assert client.call("echo", [1])["result"] == [1]


def test_old_tls_is_refused(server: RpcServer, files: TlsFiles) -> None:
    old = client_context(files)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        RawStomp(server.port, old)


def test_a_new_certificate_is_used_without_a_restart(authority: TestAuthority, tmp_path: Path) -> None:
    files = authority.issue(tmp_path, "127.0.0.1")
    context = server_context(files)
    server = RpcServer(PlayService(), tls=context, listen="127.0.0.1", port=0)
    server.start()
    try:
        client = client_context(files)
        with RawStomp(server.port, client) as before:
            first = before.socket.getpeercert(binary_form=True)  # type: ignore[attr-defined]  # it is TLS
            load_identity(context, authority.issue(tmp_path, "127.0.0.1"))
            with RawStomp(server.port, client) as after:
                assert after.socket.getpeercert(binary_form=True) != first  # type: ignore[attr-defined]
            assert before.call("echo", [1])["result"] == [1]
    finally:
        server.stop()


def test_what_cannot_be_used_for_tls_is_named(files: TlsFiles, tmp_path: Path) -> None:
    with pytest.raises(BadTls, match=str(tmp_path)):
        server_context(TlsFiles.in_directory(tmp_path))
    (tmp_path / "ca").write_text("nonsense")
    with pytest.raises(BadTls, match=f"{tmp_path}/ca"):
        server_context(TlsFiles(key=files.key, certificate=files.certificate, ca=tmp_path / "ca"))


def test_a_port_that_is_taken(server: RpcServer, files: TlsFiles) -> None:
    second = RpcServer(PlayService(), tls=None, listen="127.0.0.1", port=server.port)
    with pytest.raises(PortNotServed, match=f"port {server.port} of 127.0.0.1"):
        second.start()
    second.stop()


# Peers that get in and behave badly.

HASTY = ServerSettings(
    handshake_seconds=0.3,
    detection_seconds=0.3,
    frame_seconds=0.3,
    max_connections=4,
    max_handshakes=4,
    connected=Limits(body_bytes=100_000),
    max_buffered_bytes=150_000,
)


@pytest.fixture
def hasty(files: TlsFiles, context: ssl.SSLContext) -> Iterator[tuple[RpcServer, RawStomp]]:
    """A server with small limits, and a good client of it that must notice nothing."""
    with served(files, settings=HASTY) as server, RawStomp(server.port, context) as good:
        yield server, good
        assert good.call("echo", [1])["result"] == [1]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"CONN",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 20,
        b"CONNECT\n",
        b"CONNECT\naccept-version:1.2\n\n",
        b"CONNECT\naccept-version:1.1\n\n\0",
        b"CONNECT\ncontent-length:5000\n\n",
        b"SUBSCRIBE\nid:1\ndestination:jms.queue.events\n\n\0",
        b"CONNECT\naccept-version:1.2\n\n\0SEND\ndestination:a",
        b"CONNECT\naccept-version:1.2\n\n\0SEND\ncontent-length:100001\n\n",
        b"CONNECT\naccept-version:1.2\n\n\0SEND\ncontent-length:9000\n\nhalf",
        b"CONNECT\naccept-version:1.2\n\n\0" + b"NONSENSE" * 9000,
        b"CONNECT\naccept-version:1.2\n\n\0BEGIN\ntransaction:1\n\n\0",
        b"CONNECT\naccept-version:1.2\nheart-beat:1,0\n\n\0",  # it promises heartbeats and sends none
    ],
)
def test_whoever_says_nothing_good_is_dropped(
    hasty: tuple[RpcServer, RawStomp], context: ssl.SSLContext, said: bytes
) -> None:
    server, _ = hasty
    with RawStomp(server.port, context, connect=False) as bad:
        bad.socket.sendall(said)
        assert bad.ends()
    wait_until(lambda: server.client_count == 1)


def test_an_error_tells_why(hasty: tuple[RpcServer, RawStomp], context: ssl.SSLContext) -> None:
    with RawStomp(hasty[0].port, context) as bad:
        bad.socket.sendall(b"SEND\ncontent-length:x\n\n")
        assert "content-length is 'x'" in bad.receive().headers["message"]
        assert bad.ends()


def test_half_open_strangers_have_few_places(hasty: tuple[RpcServer, RawStomp], context: ssl.SSLContext) -> None:
    server, _ = hasty
    with ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20)) for _ in range(30)
        ]
        for stranger in strangers[:15]:
            stranger.sendall(b"\x16\x03\x01\x02\x00")
        with RawStomp(server.port, context) as another:
            assert another.call("echo", [1])["result"] == [1]
        for stranger in strangers:  # the first ones at once, the others when their time is over
            try:
                assert stranger.recv(100) == b""
            except ConnectionError:
                continue


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00"])
def test_strangers_over_the_limit_are_gone_at_once(files: TlsFiles, said: bytes) -> None:
    """Not when their time is over: each costs some hundred KiB until then."""
    settings = ServerSettings(max_handshakes=4, handshake_seconds=600)
    with served(files, settings=settings) as server, ExitStack() as stack:
        strangers = []
        for _ in range(60):
            strangers.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20)))
            strangers[-1].sendall(said)

        def is_there(stranger: socket.socket) -> bool:
            ready, _, _ = select.select([stranger], [], [], 0)
            return not ready

        wait_until(lambda: sum(map(is_there, strangers)) <= 4, what="the others to be dropped")
        assert sum(map(is_there, strangers)) == 4


def test_there_are_only_so_many_clients(hasty: tuple[RpcServer, RawStomp], context: ssl.SSLContext) -> None:
    server, _ = hasty
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(RawStomp(server.port, context))
        with pytest.raises((ConnectionError, ssl.SSLError)):
            RawStomp(server.port, context)


def test_begun_frames_of_all_clients_are_bounded(
    hasty: tuple[RpcServer, RawStomp], context: ssl.SSLContext, files: TlsFiles
) -> None:
    server, _ = hasty
    with RawStomp(server.port, context) as first, RawStomp(server.port, context) as second:
        first.socket.sendall(b"SEND\ncontent-length:100000\n\n" + b"x" * 90_000)
        second.socket.sendall(b"SEND\ncontent-length:100000\n\n" + b"x" * 80_000)
        assert first.ends()


def test_who_reads_nothing_is_dropped_and_holds_nobody_up(files: TlsFiles, context: ssl.SSLContext) -> None:
    settings = ServerSettings(output_high_bytes=100_000, output_limit_bytes=1_000_000)
    with served(files, settings=settings) as server, ExitStack() as stack:
        good, deaf = (stack.enter_context(RawStomp(server.port, context)) for _ in range(2))
        for client in (good, deaf):
            client.subscribe(EVENTS)
        params = {"text": "x" * 100_000}
        # More than any socket's buffers hold; the good client reads all of it, in order.
        for number in range(200):
            server.publish(EVENTS, "event", {"number": number, **params})
            assert json.loads(good.receive().body)["params"]["number"] == number
            if server.client_count == 1:
                break
        assert server.client_count == 1
        assert good.call("echo", [1])["result"] == [1]


def test_what_all_clients_left_unread_is_bounded(files: TlsFiles, context: ssl.SSLContext) -> None:
    """Each may leave more than this, but not both."""
    settings = ServerSettings(output_limit_bytes=100_000_000, max_unsent_bytes=1_500_000)
    with served(files, settings=settings) as server, ExitStack() as stack:
        good, *deaf = (stack.enter_context(RawStomp(server.port, context)) for _ in range(3))
        for client in (good, *deaf):
            client.subscribe(EVENTS)
        for _ in range(300):
            server.publish(EVENTS, "event", {"text": "x" * 100_000})
            good.receive()
            if server.client_count == 2:
                break
        assert server.client_count == 2
        assert good.call("echo", [1])["result"] == [1]


def test_calls_of_who_reads_nothing_wait(files: TlsFiles, context: ssl.SSLContext) -> None:
    service = PlayService()
    settings = ServerSettings(output_high_bytes=100_000, max_running=1)
    with served(files, service, settings) as server, RawStomp(server.port, context) as greedy:
        for number in range(30):
            greedy.ask(b'{"jsonrpc":"2.0","method":"large","id":%d}' % number)
        wait_until(lambda: len(service.calls) >= 1)
        with RawStomp(server.port, context) as other:
            assert other.call("echo", [1])["result"] == [1]
        answers = [json.loads(greedy.receive().body)["id"] for _ in range(30)]
        assert answers == list(range(30))


def test_heartbeats_come_while_nothing_else_does(server: RpcServer, context: ssl.SSLContext) -> None:
    with RawStomp(server.port, context, connect=False) as client:
        client.send("CONNECT", accept_version="1.2", heart_beat="0,1000")
        assert client.receive().headers["heart-beat"] == "1000,0"
        assert client.socket.recv(1) == b"\n"


# The end.


def test_stop_lets_calls_finish_and_clients_hear_their_answers(files: TlsFiles, context: ssl.SSLContext) -> None:
    service = PlayService()
    with served(files, service) as server, RawStomp(server.port, context) as client:
        client.ask(b'{"jsonrpc":"2.0","method":"wait","id":1}')
        wait_until(lambda: service.waiting == 1)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        service.go.set()
        assert json.loads(client.receive().body)["id"] == 1
        assert client.ends()
        stopper.join()
        server.publish(EVENTS, "late", {})  # nobody hears it


def test_stop_does_not_wait_for_ever(files: TlsFiles, context: ssl.SSLContext) -> None:
    service = PlayService()
    with served(files, service, ServerSettings(stop_seconds=0.2)) as server, RawStomp(server.port, context) as client:
        client.ask(b'{"jsonrpc":"2.0","method":"wait","id":1}')
        wait_until(lambda: service.waiting == 1)
        server.stop()
        assert client.ends()


def test_complaints_about_strangers_are_bounded(server: RpcServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(60):
            with socket.create_connection(("127.0.0.1", server.port)) as stranger:
                stranger.sendall(b"nonsense, again and again")
                stranger.settimeout(20)
                try:
                    while stranger.recv(100):
                        pass
                except ConnectionError:
                    continue
    assert 0 < len(caplog.records) <= 20
