# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Servers of every kind of ill will, asked from inside their network namespace."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covirt.oci.idmap import IdMap
from covirt.oci.namespaces import make_namespaces, remove_namespaces
from covirt.oci.network_probe import Endpoint, ProbeFailed, probe_http, probe_tcp

pytestmark = pytest.mark.root

HERE = Path("/proc/self/ns/net")
Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(serve: Serve, *, family: socket.AddressFamily = socket.AF_INET) -> Iterator[Endpoint]:
    """A server for one client, in this process's own network namespace."""
    listener = socket.socket(family)
    listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    listener.listen(1)

    def one() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client, contextlib.suppress(OSError):
                serve(client)

    thread = threading.Thread(target=one, name="server")
    thread.start()
    try:
        address, port = listener.getsockname()[:2]
        yield Endpoint(namespace=HERE, address=address, port=port)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def hang_up(_client: socket.socket) -> None:
    """No word of it."""


def saying(answer: bytes) -> Serve:
    def serve(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(answer)

    return serve


def ask(endpoint: Endpoint, *, timeout_seconds: float = 30.0) -> int:
    return probe_http(endpoint, path="/health", host="example.org", timeout_seconds=timeout_seconds)


def test_a_port_that_is_open() -> None:
    with serving(hang_up) as endpoint:
        probe_tcp(endpoint, timeout_seconds=30)
    with serving(hang_up, family=socket.AF_INET6) as endpoint:
        probe_tcp(endpoint, timeout_seconds=30)


def test_a_port_that_is_not() -> None:
    with serving(hang_up) as endpoint:
        pass
    with pytest.raises(ProbeFailed, match=r"127\.0\.0\.1:.*Connection refused"):
        probe_tcp(endpoint, timeout_seconds=30)


@pytest.mark.parametrize(
    ("line", "status"), [(b"200 OK", 200), (b"404", 404), (b"503 Not Now", 503), (b"302 x", 302)]
)
def test_the_status_of_an_answer(line: bytes, status: int) -> None:
    with serving(saying(b"HTTP/1.1 " + line + b"\r\nLocation: http://elsewhere/\r\n\r\nbody")) as endpoint:
        assert ask(endpoint) == status


def test_what_is_asked() -> None:
    asked: list[bytes] = []

    def serve(client: socket.socket) -> None:
        asked.append(client.recv(4096))
        client.sendall(b"HTTP/1.0 204 \n")

    with serving(serve) as endpoint:
        assert ask(endpoint) == 204
    assert asked[0].startswith(b"GET /health HTTP/1.1\r\nHost: example.org\r\n")
    assert asked[0].endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "hung up"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n", "not HTTP"),
        (b"HTTP/1.1 20", "not HTTP"),
        (b"\x00" * 100_000, "not HTTP"),
        (b"HTTP/1.1 200 " + b"x" * 100_000, "not HTTP"),
    ],
)
def test_an_answer_that_is_none(answer: bytes, reason: str) -> None:
    with serving(saying(answer)) as endpoint, pytest.raises(ProbeFailed, match=reason):
        ask(endpoint)


def test_an_answer_that_never_comes() -> None:
    release = threading.Event()

    def wait(_client: socket.socket) -> None:
        release.wait(60)

    with serving(wait) as endpoint:
        with pytest.raises(ProbeFailed, match=r"no answer within 0\.2 seconds"):
            ask(endpoint, timeout_seconds=0.2)
        release.set()


def test_an_answer_that_comes_a_byte_at_a_time_takes_no_longer() -> None:
    def serve(client: socket.socket) -> None:
        client.recv(4096)
        while client.send(b"H"):
            threading.Event().wait(0.01)

    with serving(serve) as endpoint, pytest.raises(ProbeFailed, match="no answer within"):
        ask(endpoint, timeout_seconds=0.3)


def test_it_is_asked_inside(open_dir: Path) -> None:
    """A port of the host's is not one of the container's, whose namespace belongs to another user namespace."""
    namespaces = make_namespaces(IdMap(uid_first=1_000_000, gid_first=1_000_000, count=65536), open_dir / "ns")
    try:
        with serving(hang_up) as here:
            there = Endpoint(namespace=namespaces.network, address=here.address, port=here.port)
            with pytest.raises(ProbeFailed):
                probe_tcp(there, timeout_seconds=5)
            probe_tcp(here, timeout_seconds=30)
    finally:
        remove_namespaces(open_dir / "ns")
    assert not os.path.exists(open_dir / "ns")


def test_a_namespace_that_is_gone(open_dir: Path) -> None:
    with pytest.raises(ProbeFailed, match="No such file"):
        probe_tcp(Endpoint(namespace=open_dir / "none", address="127.0.0.1", port=1), timeout_seconds=5)
