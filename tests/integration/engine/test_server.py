# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's HTTPS server against clients that take their time."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from covirt.engine.config import ServerConfig
from covirt.engine.pki.pki import Pki
from covirt.engine.server import EngineServer

_HEAD = b"GET / HTTP/1.1\r\nHost: engine\r\n"
_SECONDS = 0.5

Connect = Callable[[], ssl.SSLSocket]


async def _slow(request: Request) -> Response:
    """Longer than a head may take: a body, and an answer."""
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    monkeypatch.setattr("covirt.engine.server._HEAD_SECONDS", _SECONDS)
    monkeypatch.setattr("covirt.engine.server._HttpOfShortBodies.body_seconds", 12 * _SECONDS)
    pki = Pki(tmp_path / "pki", names=("localhost",))
    config = replace(ServerConfig(), listen="127.0.0.1", port=0)
    server = EngineServer(
        Starlette(routes=[Route("/", _slow, methods=["GET", "POST"])]), config, pki.server_context()
    )
    server.start()
    context = ssl.create_default_context(cadata=pki.authority_pem.decode())
    opened: list[ssl.SSLSocket] = []

    def connected() -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        opened.append(context.wrap_socket(plain, server_hostname="localhost"))
        return opened[-1]

    try:
        yield connected
    finally:
        for each in opened:
            each.close()
        server.stop()


def _is_ended(client: ssl.SSLSocket) -> bool:
    try:
        return client.recv(100) == b""
    except (ConnectionError, ssl.SSLError):
        return True


def _answer(client: ssl.SSLSocket) -> bytes:
    """The body, which is one digit."""
    found = b""
    while not found.partition(b"\r\n\r\n")[2]:
        found += client.recv(1000)
    return found.partition(b"\r\n\r\n")[2]


async def _who(request: Request) -> Response:
    return PlainTextResponse(request.client.host if request.client else "")


@pytest.mark.parametrize(("listen", "connected"), [("::", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1")])
def test_an_address_is_told_as_people_know_it(tmp_path: Path, listen: str, connected: str) -> None:
    """Also that of a client of IPv4 on a socket of both families."""
    pki = Pki(tmp_path / "pki", names=("localhost",))
    config = replace(ServerConfig(), listen=listen, port=0)
    server = EngineServer(Starlette(routes=[Route("/", _who)]), config, pki.server_context())
    server.start()
    try:
        context = ssl.create_default_context(cadata=pki.authority_pem.decode())
        with (
            socket.create_connection((connected, server.port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(_HEAD + b"\r\n")
            assert _answer(client) == connected.encode()
    finally:
        server.stop()


@pytest.mark.parametrize("said", [b"", b"G", _HEAD])
def test_a_head_that_does_not_end(connect: Connect, said: bytes) -> None:
    client = connect()
    client.sendall(said)
    assert _is_ended(client)


def test_the_second_head_of_a_connection(connect: Connect) -> None:
    client = connect()
    client.sendall(_HEAD + b"\r\n")
    assert _answer(client) == b"0"
    client.sendall(_HEAD)
    assert _is_ended(client)


def test_a_body_that_does_not_end(connect: Connect) -> None:
    """A byte now and then does not keep a connection."""
    client = connect()
    client.sendall(b"POST / HTTP/1.1\r\nHost: engine\r\nContent-Length: 1000\r\n\r\na")
    client.settimeout(_SECONDS)
    for _ in range(100):
        try:
            client.sendall(b"b")
            assert client.recv(100) == b""
        except TimeoutError:
            continue
        except (ConnectionError, ssl.SSLError):
            pass
        return
    pytest.fail("the connection is still there")


def test_a_body_may_take_longer(connect: Connect) -> None:
    client = connect()
    client.sendall(b"POST / HTTP/1.1\r\nHost: engine\r\nContent-Length: 2\r\n\r\na")
    time.sleep(2 * _SECONDS)
    client.sendall(b"b")
    assert _answer(client) == b"2"
    time.sleep(2 * _SECONDS)  # and so may the next request
    client.sendall(_HEAD + b"\r\n")
    assert _answer(client) == b"0"
