# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's client against the real server: answers, failures that tell what may have happened, coming back."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from covirt.rpc.client import ClientSettings, RpcClient
from covirt.rpc.errors import CallFailed, CallTooLarge, PeerLost, PeerSilent, PeerUnreachable
from covirt.rpc.jsonrpc import Answer, Json
from covirt.rpc.server import RpcServer
from covirt.rpc.settings import MAX_CALL_BYTES, ServerSettings
from covirt.rpc.stomp import Frame
from covirt.rpc.tls import TlsFiles, client_context, server_context
from tests.support.authority import TestAuthority
from tests.support.raw_stomp import EVENTS, PlayService
from tests.support.waiting import free_port, wait_until

QUICK = ClientSettings(first_retry_seconds=0.02, last_retry_seconds=0.1, connect_seconds=5.0, call_seconds=20.0)


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority()


@pytest.fixture(scope="module")
def files(authority: TestAuthority, tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return authority.issue(tmp_path_factory.mktemp("pki"))


class Watched:
    """A client, and all that its listeners were told."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, settings: ClientSettings = QUICK) -> None:
        self.told: list[object] = []
        self.client = RpcClient("127.0.0.1", port, tls=tls, on_state=self.told.append, settings=settings)
        self.client.subscribe(EVENTS, self._hear)
        self.client.start()

    def _hear(self, name: str, params: Json) -> None:
        self.told.append(name)
        assert params is not None, "a listener's bug costs nobody an event"

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop()


@contextmanager
def served(files: TlsFiles, service: PlayService, port: int = 0) -> Iterator[RpcServer]:
    settings = ServerSettings(stop_seconds=0.2)
    server = RpcServer(service, tls=server_context(files), listen="127.0.0.1", port=port, settings=settings)
    server.start()
    try:
        yield server
    finally:
        service.go.set()
        server.stop()


def subscribed(server: RpcServer, watched: Watched) -> None:
    """The client hears events when this returns."""
    watched.client.wait_connected(20)
    assert watched.client.call("inline", [1]) == [1]  # behind the subscription, in order
    assert server.client_count == 1


def test_calls_and_events(files: TlsFiles) -> None:
    service = PlayService()
    with served(files, service) as server, Watched(server.port, client_context(files)) as watched:
        subscribed(server, watched)
        assert watched.client.call("echo", {"a": [1, None]}, flow_id="flow-7") == {"a": [1, None]}
        assert service.calls[-1][2] == "flow-7"
        with pytest.raises(CallFailed, match="Virtual machine does not exist") as caught:
            watched.client.call("refuse")
        assert caught.value.code == 1
        assert len(str(watched.client.call("large"))) == 4 << 20
        for number in range(5):
            server.publish(EVENTS, str(number), {})
        wait_until(lambda: len(watched.told) == 6)
        assert watched.told == [True, "0", "1", "2", "3", "4"]


def test_many_threads_call_at_once(files: TlsFiles) -> None:
    service = PlayService()
    with served(files, service) as server, Watched(server.port, client_context(files)) as watched:
        watched.client.wait_connected(20)
        wrong: list[object] = []

        def ask(number: int) -> None:
            for turn in range(20):
                text = f"{number}.{turn}" * 10_000
                if watched.client.call("echo", [text]) != [text]:
                    wrong.append(turn)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def test_what_would_cost_the_connection_is_not_sent(files: TlsFiles) -> None:
    with served(files, PlayService()) as server, Watched(server.port, client_context(files)) as watched:
        watched.client.wait_connected(20)
        with pytest.raises(CallTooLarge, match="echo would be a message of 4194"):
            watched.client.call("echo", ["x" * MAX_CALL_BYTES])
        assert watched.client.call("echo", ["x" * (MAX_CALL_BYTES - 200)])
        assert watched.told == [True]


def test_a_call_has_a_time_limit(files: TlsFiles) -> None:
    service = PlayService()
    with served(files, service) as server, Watched(server.port, client_context(files)) as watched:
        watched.client.wait_connected(20)
        with pytest.raises(PeerSilent, match=r"has not answered wait within 0\.05 s"):
            watched.client.call("wait", timeout_seconds=0.05)
        service.go.set()
        assert watched.client.call("echo", [1]) == [1]  # the late answer confuses nobody


def test_it_comes_back_with_its_subscriptions(files: TlsFiles) -> None:
    service, port = PlayService(), free_port()
    with Watched(port, client_context(files)) as watched:
        with pytest.raises(PeerUnreachable, match=r"Connection refused|not made yet"):
            watched.client.call("echo")
        with served(files, service, port) as server:
            subscribed(server, watched)
            failures: list[Exception] = []

            def ask() -> None:
                try:
                    watched.client.call("wait")
                except PeerLost as error:
                    failures.append(error)

            thread = threading.Thread(target=ask)
            thread.start()
            wait_until(lambda: service.waiting == 1)
            server.stop()
            thread.join()
            assert "ended before it answered wait" in str(failures[0])
        wait_until(lambda: watched.told == [True, False])
        with served(files, service, port) as server:
            subscribed(server, watched)
            server.publish(EVENTS, "again", {})
            wait_until(lambda: watched.told == [True, False, True, "again"])


def test_a_host_with_another_s_certificate_is_not_talked_to(files: TlsFiles, tmp_path: Path) -> None:
    other = TestAuthority().issue(tmp_path)
    with served(other, PlayService()) as server, Watched(server.port, client_context(files)) as watched:
        wait_until(lambda: "not made yet" not in str(_unreachable(watched.client)))
        with pytest.raises(PeerUnreachable, match="TLS: "):
            watched.client.wait_connected(0.01)


def test_a_certificate_for_another_name_is_refused(authority: TestAuthority, files: TlsFiles, tmp_path: Path) -> None:
    misnamed = authority.issue(tmp_path, "other.example")
    with served(misnamed, PlayService()) as server:
        with Watched(server.port, client_context(files)) as watched:
            wait_until(lambda: "TLS: " in str(_unreachable(watched.client)))
        with Watched(server.port, client_context(files, check_host_name=False)) as watched:
            watched.client.wait_connected(20)


def test_a_host_killed_in_the_middle_of_an_answer(files: TlsFiles) -> None:
    """Half of it came: the call fails, what came is not mixed with what comes later, and events go on."""
    context = server_context(files)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Watched(port, client_context(files)) as watched:
            accepted, _ = listener.accept()
            listener.close()
            with context.wrap_socket(accepted, server_side=True) as host:
                host.sendall(CONNECTED)
                watched.client.wait_connected(20)
                with ThreadPoolExecutor(1) as pool:
                    asked = pool.submit(watched.client.call, "echo", ["x" * 1000])
                    heard = b""
                    while b"echo" not in heard:
                        heard += host.recv(65536)
                    answer = Frame(command="MESSAGE", body=Answer(id="1", result="x" * 100_000).encode()).encode()
                    host.sendall(answer[:50_000])
                    # As the kernel ends the connections of who is killed while something is unread.
                    host.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    host.close()
                    with pytest.raises(PeerLost, match="ended before it answered echo"):
                        asked.result(20)
            with served(files, PlayService(), port) as server:
                subscribed(server, watched)
                server.publish(EVENTS, "again", {})
                wait_until(lambda: watched.told == [True, False, True, "again"])


def test_what_can_be_no_host_is_told_and_tried_again() -> None:
    client = RpcClient(f"{'a' * 70}.example", 54321, tls=None, settings=QUICK)
    client.start()
    try:
        wait_until(lambda: "label" in str(_unreachable(client)))
        assert client._io.is_alive()
    finally:
        client.stop()


def _unreachable(client: RpcClient) -> PeerUnreachable | None:
    try:
        client.wait_connected(0.01)
    except PeerUnreachable as error:
        return error
    return None


CONNECTED = Frame(command="CONNECTED", headers={"version": "1.2", "heart-beat": "50,50"}).encode()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "does not answer CONNECT"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n\0", "not a STOMP"),
        (Frame(command="ERROR", headers={"message": "Version unsupported"}).encode(), "Version unsupported"),
        (CONNECTED, "it has said nothing for"),
        (CONNECTED + b"nonsense\n\n\0", "not a STOMP"),
        (CONNECTED + Frame(command="ERROR", headers={"message": "no"}).encode(), "it says no"),
        (CONNECTED + Frame(command="MESSAGE", body=b"{").encode(), "not a JSON-RPC"),
    ],
)
def test_a_peer_that_is_silent_or_no_host_is_left(said: bytes, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = ClientSettings(
        connect_seconds=0.3, heartbeat_ms=50, first_retry_seconds=0.02, last_retry_seconds=0.1, call_seconds=20
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.sendall(said)
                accepted.append(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with Watched(listener.getsockname()[1], None, settings):
                wait_until(lambda: reason in caplog.text, timeout_seconds=10)
                wait_until(lambda: len(accepted) > 1, timeout_seconds=10)  # it tries again
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in accepted:
                connection.close()


def test_heartbeats_keep_an_idle_connection(files: TlsFiles) -> None:
    settings = ClientSettings(heartbeat_ms=1000, first_retry_seconds=0.02)
    with served(files, PlayService()) as server, Watched(server.port, client_context(files), settings) as watched:
        watched.client.wait_connected(20)
        wait_until(lambda: watched.client.is_connected and threading.Event().wait(2.5) is False)
        assert watched.told == [True]
        assert watched.client.call("echo", [1]) == [1]


def test_listeners_that_are_too_slow_learn_that_they_must_ask(
    files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()
    told: list[object] = []
    settings = ClientSettings(max_events=10, first_retry_seconds=0.02)

    def slow(name: str, _: Json) -> None:
        assert go.wait(60)
        told.append(name)

    with served(files, PlayService()) as server:
        client = RpcClient(
            "127.0.0.1", server.port, tls=client_context(files), on_state=told.append, settings=settings
        )
        client.subscribe(EVENTS, slow)
        client.start()
        client.wait_connected(20)
        client.call("inline")
        for number in range(30):
            server.publish(EVENTS, str(number), {})
        wait_until(lambda: "faster than they are listened to" in caplog.text)
        go.set()
        wait_until(lambda: told.count(True) == 2)
        client.stop()
    assert told[0] is True
    lost = told.index(False)
    assert told[1:lost] == [str(number) for number in range(lost - 1)]
    assert told[lost + 1] is True
