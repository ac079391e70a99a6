# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tickets and streams over mutual TLS: one ticket is one stream, bytes wait where they come from, and all ends."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from covirt.common.errors import Unavailable
from covirt.rpc import streams
from covirt.rpc.errors import TooManyTickets
from covirt.rpc.server import RpcServer
from covirt.rpc.streams import STREAM_PREFIX, StreamSettings, TicketStreams
from covirt.rpc.tls import TlsFiles, client_context, server_context
from tests.support.authority import TestAuthority
from tests.support.raw_stomp import PlayService, RawStomp
from tests.support.stream_client import GREETING, StreamClient
from tests.support.waiting import wait_until


class PlaySource:
    """A stream whose far end is the test's."""

    def __init__(self, *, fails: Exception | None = None) -> None:
        self.far: socket.socket | None = None
        self.closed = threading.Event()
        self._fails = fails

    def open(self) -> socket.socket:
        if self._fails is not None:
            raise self._fails
        ours, self.far = socket.socketpair()
        self.far.settimeout(20)
        self.far.sendall(b"OK\n")
        return ours

    def close(self) -> None:
        if self.far is not None:
            self.far.close()
        self.closed.set()


class Bench:
    """A server with streams."""

    def __init__(self, files: TlsFiles, settings: StreamSettings) -> None:
        self.streams = TicketStreams(settings)
        self.server = RpcServer(
            PlayService(),
            tls=server_context(files),
            listen="127.0.0.1",
            port=0,
            protocols={STREAM_PREFIX: self.streams},
        )
        self.context = client_context(files)
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        self.streams.stop()

    def show(self, ticket: str) -> StreamClient:
        return StreamClient(self.server.port, self.context, ticket)

    def open(self, source: PlaySource) -> StreamClient:
        client = self.show(self.streams.issue(source, what="a play"))
        assert client.line() == "OK"
        return client


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return TestAuthority().issue(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def bench(files: TlsFiles) -> Iterator[Bench]:
    bench = Bench(files, StreamSettings(max_tickets=3, max_streams=2, max_waiting=2))
    yield bench
    bench.stop()


def far(source: PlaySource) -> socket.socket:
    assert source.far is not None
    return source.far


def test_bytes_go_both_ways_beside_calls(bench: Bench) -> None:
    source = PlaySource()
    with RawStomp(bench.server.port, bench.context) as calls, bench.open(source) as client:
        client.socket.sendall(b"up")
        assert far(source).recv(100) == b"up"
        far(source).sendall(b"down")
        client.hear(b"down")
        assert calls.call("echo", [1])["result"] == [1]
        assert bench.server.client_count == 1
    assert source.closed.wait(20)
    wait_until(lambda: bench.streams.open_streams == 0)


def test_what_is_said_with_the_ticket_is_not_lost(bench: Bench) -> None:
    source = PlaySource()
    ticket = bench.streams.issue(source, what="a play")
    connection = socket.create_connection(("127.0.0.1", bench.server.port), timeout=20)
    with bench.context.wrap_socket(connection, server_hostname="127.0.0.1") as client:
        client.sendall(GREETING + ticket.encode() + b"\r\nfirst words")
        assert client.recv(3) == b"OK\n"
        assert far(source).recv(100) == b"first words"


def test_the_far_end_s_last_words_are_heard(bench: Bench) -> None:
    source = PlaySource()
    with bench.open(source) as client:
        far(source).sendall(b"x" * 1_000_000 + b"end")
        far(source).shutdown(socket.SHUT_RDWR)
        assert client.rest() == b"x" * 1_000_000 + b"end"
    assert source.closed.wait(20)


def test_a_ticket_is_used_once(bench: Bench) -> None:
    source = PlaySource()
    ticket = bench.streams.issue(source, what="a play")
    with bench.show(ticket) as first:
        assert first.line() == "OK"
        with bench.show(ticket) as second:
            assert second.line() == "ERROR the ticket is not known, used, or too old: ask for another one"
            assert second.rest() == b""


@pytest.mark.parametrize("ticket", ["", "x", "\0", "x" * 500])
def test_what_is_no_ticket(bench: Bench, ticket: str) -> None:
    with bench.show(ticket) as client:
        assert client.line().startswith("ERROR the ticket is not known")
        assert client.rest() == b""


def test_an_old_ticket(files: TlsFiles) -> None:
    bench = Bench(files, StreamSettings(valid_seconds=0.0, max_tickets=1))
    try:
        for _ in range(3):  # old ones make room
            with bench.show(bench.streams.issue(PlaySource(), what="a play")) as client:
                assert client.line().startswith("ERROR the ticket is not known")
    finally:
        bench.stop()


def test_tickets_and_streams_are_bounded(bench: Bench) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(bench.open(PlaySource()))
        with bench.show(bench.streams.issue(PlaySource(), what="a play")) as third:
            assert third.line() == "ERROR there are too many streams: close one first"
    for _ in range(3):
        bench.streams.issue(PlaySource(), what="a play")
    with pytest.raises(TooManyTickets, match="3 tickets"):
        bench.streams.issue(PlaySource(), what="a play")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unavailable(message="nobody is\nat home"), "ERROR nobody is at home"),
        (ZeroDivisionError("a bug"), "ERROR the log of covirt-host knows why"),
    ],
)
def test_a_source_that_cannot_be_opened(bench: Bench, error: Exception, told: str) -> None:
    source = PlaySource(fails=error)
    with bench.show(bench.streams.issue(source, what="a play")) as client:
        assert client.line() == told
        assert client.rest() == b""
    assert source.closed.wait(20)
    wait_until(lambda: bench.streams.open_streams == 0)


def test_who_shows_no_ticket_has_few_places(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has shown one is not counted."""
    monkeypatch.setattr(streams, "_LINE_SECONDS", 100.0)  # a busy machine is not to end them for being slow
    with bench.open(PlaySource()), ExitStack() as stack:
        silent = [stack.enter_context(RawStomp(bench.server.port, bench.context, connect=False)) for _ in range(5)]
        for client in silent:
            client.socket.sendall(GREETING)
            client.socket.setblocking(False)
        refused: dict[RawStomp, bytes] = {}

        def are_three() -> bool:
            refused.update({client: words for client in silent if client not in refused and (words := _said(client))})
            return len(refused) >= 3

        wait_until(are_three)
        assert all(words.startswith(b"ERROR too many others came") for words in refused.values())
        with bench.open(PlaySource()):
            pass


def _said(client: RawStomp) -> bytes:
    try:
        return client.socket.recv(100)
    except ssl.SSLWantReadError:
        return b""


def send_until_it_waits(sender: socket.socket) -> int:
    """How many bytes were taken before nothing was taken for half a second."""
    sender.settimeout(0.5)
    sent = 0
    try:
        while sent < 100 << 20:
            sent += sender.send(b"x" * 65536)
    except TimeoutError:
        pass
    sender.settimeout(20)
    return sent


def test_bytes_wait_where_they_come_from(bench: Bench) -> None:
    """Who sends is held up by who does not read, and goes on afterwards."""
    source = PlaySource()
    with bench.open(source) as client:
        sent = send_until_it_waits(far(source))
        assert sent < 50 << 20
        got = 0
        while got < sent:
            got += len(client.socket.recv(1 << 20))
        client.socket.sendall(b"still there")
        assert far(source).recv(100) == b"still there"


def test_words_wait_for_who_does_not_listen(bench: Bench) -> None:
    source = PlaySource()
    with bench.open(source) as client:
        sent = send_until_it_waits(client.socket)
        assert sent < 50 << 20
        got = 0
        while got < sent:
            got += len(far(source).recv(1 << 20))


def test_a_client_that_leaves_while_the_source_opens(bench: Bench) -> None:
    source = PlaySource()
    go = threading.Event()
    opened = source.open
    source.open = lambda: (go.wait(20), opened())[1]  # type: ignore[method-assign]  # a slow one
    client = bench.show(bench.streams.issue(source, what="a play"))
    wait_until(lambda: bench.streams.open_streams == 1)
    client.socket.close()
    go.set()
    assert source.closed.wait(20)
    wait_until(lambda: bench.streams.open_streams == 0)


def test_streams_end_with_the_server(files: TlsFiles) -> None:
    bench, source = Bench(files, StreamSettings()), PlaySource()
    with bench.open(source) as client:
        bench.stop()
        assert client.rest() == b""
    assert source.closed.wait(20)
