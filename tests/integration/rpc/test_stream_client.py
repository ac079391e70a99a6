# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's side of a stream: what it says first, what it takes for an answer, and that nothing is left of it."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.rpc.errors import PeerUnreachable, StreamRefused
from covirt.rpc.stream_client import open_stream
from covirt.rpc.tls import client_context
from tests.support.authority import TestAuthority
from tests.support.played_streams import PlayedStreams


@pytest.fixture
def host() -> Iterator[PlayedStreams]:
    played = PlayedStreams()
    yield played
    played.stop()


def opened(port: int, ticket: str = "good", *, seconds: float = 20, address: str = "127.0.0.1") -> bytes:
    """What comes after the answer; the stream is closed then."""

    async def run() -> bytes:
        reader, writer = await open_stream(address, port, tls=None, ticket=ticket, timeout_seconds=seconds)
        try:
            async with asyncio.timeout(20):
                return await reader.readexactly(5)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    return asyncio.run(run())


def test_what_comes_with_the_answer_is_the_stream_s(host: PlayedStreams) -> None:
    host.answer = b"OK\nfirst"
    assert opened(host.port) == b"first"
    assert host.tickets == ["good"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"ERROR there is an active session\n", "there is an active session"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400 Bad Request"),
        (b"\n", "it says nothing"),
        (b"x" * 200_000, "it says nothing"),
    ],
)
def test_a_host_that_refuses(host: PlayedStreams, answer: bytes, reason: str) -> None:
    host.answer = answer
    with pytest.raises(StreamRefused) as caught:
        opened(host.port)
    assert caught.value.fields["reason"] == reason
    gc.collect()  # what was left open would be told now


def test_a_host_that_is_silent(host: PlayedStreams) -> None:
    host.answer = b""
    with pytest.raises(PeerUnreachable, match=r"it is silent for 0\.3 s"):
        opened(host.port, seconds=0.3)
    gc.collect()


def test_a_host_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    with pytest.raises(PeerUnreachable, match=f"127.0.0.1:{port} cannot be reached: "):
        opened(port)
    with pytest.raises(PeerUnreachable):
        opened(port, address="a" * 70 + ".example.com")


def test_a_host_that_does_not_speak_tls(host: PlayedStreams, tmp_path: Path) -> None:
    tls = client_context(TestAuthority().issue(tmp_path))

    async def run() -> None:
        await open_stream("127.0.0.1", host.port, tls=tls, ticket="good", timeout_seconds=1)

    with pytest.raises(PeerUnreachable):
        asyncio.run(run())
    assert "good" not in "".join(host.tickets)  # it is a secret, and was told to nobody
