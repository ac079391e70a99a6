# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The endpoint for metrics, asked by good and bad clients."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from covirt.common.metrics_server import MetricsServer, check_listen


@contextmanager
def serving(path: Path, text: bytes = b"a 1\n") -> Iterator[MetricsServer]:
    server = MetricsServer(str(path), lambda: ("text/plain; version=1.0.0", text), name="test")
    server.start()
    try:
        yield server
    finally:
        server.stop()


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(os.fspath(path))
    return client


def ask(path: Path, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer."""
    with connected(path) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while more := client.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def test_a_scrape(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    with serving(path):
        head, body = ask(path, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=1.0.0\r\nContent-Length: 4\r\n")
        assert body == b"a 1\n"
        head, body = ask(path, b"HEAD /metrics HTTP/1.1\r\n\r\n")
        assert b"Content-Length: 4" in head
        assert body == b""
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert not path.exists()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"hello\r\n\r\n", b"400"),
        (b"", b"400"),
        (b"GET /metrics HTTP/1.1 x\r\n\r\n", b"400"),
        (b"\x00\xff" * 10_000, b"400"),
    ],
)
def test_what_is_no_scrape(tmp_path: Path, request_: bytes, status: bytes) -> None:
    path = tmp_path / "metrics"
    with serving(path):
        try:
            head, body = ask(path, request_)
        except (BrokenPipeError, ConnectionResetError):  # it is not read beyond its limit
            assert len(request_) > 8192
            return
        assert head.startswith(b"HTTP/1.1 " + status)
        assert body == b""


def test_clients_that_say_nothing_do_not_keep_others_out(tmp_path: Path) -> None:
    """More of them than there are threads: each costs one of them a few seconds at most."""
    path = tmp_path / "metrics"
    with serving(path):
        idle = [connected(path) for _ in range(4)]
        try:
            assert ask(path, b"GET /metrics HTTP/1.1\r\n\r\n")[1] == b"a 1\n"
        finally:
            for client in idle:
                client.close()


def test_a_page_that_cannot_be_made_costs_one_scrape(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, pages = tmp_path / "metrics", iter([1 / 2])
    server = MetricsServer(str(path), lambda: (f"text/{next(pages)}", b""), name="test")
    server.start()
    try:
        assert b"text/0.5" in ask(path, b"GET /metrics HTTP/1.1\r\n\r\n")[0]
        for _ in range(4):  # more than there are threads
            assert ask(path, b"GET /metrics HTTP/1.1\r\n\r\n") == (b"", b"")
        assert ask(path, b"GET / HTTP/1.1\r\n\r\n")[0].startswith(b"HTTP/1.1 404")
    finally:
        server.stop()
    assert "Metrics could not be given" in caplog.text


def test_the_socket_of_a_killed_daemon_is_taken_over_and_no_other_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metrics"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(os.fspath(path))
    with serving(path):
        assert ask(path, b"GET /metrics HTTP/1.1\r\n\r\n")[1] == b"a 1\n"
    path.write_text("precious")
    with serving(path):
        assert "metrics cannot be served" in caplog.text
    assert path.read_text() == "precious"


def test_nowhere_is_the_default(tmp_path: Path) -> None:
    server = MetricsServer("", lambda: ("", b""), name="test")
    server.start()
    server.stop()


@pytest.mark.parametrize("text", ["", "127.0.0.1:9177", "[::1]:9177", "0.0.0.0:1", "/run/covirt/metrics"])
def test_places(text: str) -> None:
    check_listen(text)


@pytest.mark.parametrize("text", ["9177", "localhost:9177", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1", "/" * 200])
def test_no_places(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be like|path of more"):
        check_listen(text)
