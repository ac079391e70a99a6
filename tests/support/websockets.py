# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A client of the engine's streams, over the library websockets; every wait is bounded."""

import asyncio
import ssl
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from covirt.common.channels import ChannelDecoder, ChannelFrame, ExecChannelExit, FrameKind

T = TypeVar("T")

SECONDS: Final = 60.0


class StreamSocket:
    """``url`` is wss://…/covirt/streams/TICKET.

    Its loop runs while something is waited for: the library's client without a loop reads and writes in two threads,
    and OpenSSL allows one.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None, *, subprotocol: str | None = None) -> None:
        self.heard = b""
        self._runner = asyncio.Runner()
        try:
            self._socket = self._run(_connected(url, tls, subprotocol))
        except BaseException:
            self._runner.close()
            raise

    def __enter__(self) -> "StreamSocket":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            self._run(self._closed())
        finally:
            self._runner.close()

    async def _closed(self) -> None:
        """Also when what was said last is not taken."""
        try:
            async with asyncio.timeout(2):
                await self._socket.close()
        except TimeoutError:
            self._socket.transport.abort()

    @property
    def subprotocol(self) -> str | None:
        """The one that was agreed on."""
        return self._socket.subprotocol

    def say(self, data: bytes | str) -> None:
        self._run(self._socket.send(data))

    def overfill(self, most_bytes: int) -> int:
        """Say more than is taken; how many bytes that were."""
        return self._run(self._overfill(most_bytes))

    async def _overfill(self, most_bytes: int) -> int:
        said = 0
        while said < most_bytes:
            try:
                async with asyncio.timeout(1):
                    await self._socket.send(b"x" * 65536)
            except TimeoutError:
                break
            said += 65536
        return said

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(SECONDS):
                return await work

        return self._runner.run(bounded())

    def type(self, data: bytes) -> None:
        """Into a command."""
        self.say(ChannelFrame(kind=FrameKind.STDIN, data=data).encode())

    def message(self) -> bytes:
        """The next one. Raises ConnectionClosed."""
        data = self._run(self._socket.recv())
        assert isinstance(data, bytes)
        return data

    def hear(self, expected: bytes) -> None:
        """Until this was heard, cut into whatever messages."""
        while expected not in self.heard:
            self.heard += self.message()

    def frame(self) -> ChannelFrame:
        """The next message, which is exactly one."""
        (frame,) = ChannelDecoder().feed(self.message())
        return frame

    def frames(self) -> list[ChannelFrame]:
        """All until the end."""
        found = []
        try:
            while True:
                found.append(self.frame())
        except ConnectionClosed:
            return found

    def closed(self) -> tuple[int, str]:
        """With which code, and why; what comes before that is passed over."""
        while True:
            try:
                self.message()
            except ConnectionClosed as error:
                if error.rcvd is None:
                    raise
                return error.rcvd.code, error.rcvd.reason


async def _connected(url: str, tls: ssl.SSLContext | None, subprotocol: str | None) -> ClientConnection:
    return await connect(
        url,
        ssl=tls,
        subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
        compression=None,
        max_size=4 << 20,
        ping_interval=None,
        open_timeout=SECONDS,
        close_timeout=1,
    )


def said(frames: list[ChannelFrame], kind: FrameKind) -> bytes:
    """What a command has written."""
    return b"".join(frame.data for frame in frames if frame.kind is kind)


def exit_of(frames: list[ChannelFrame]) -> ExecChannelExit:
    """How it ended."""
    assert frames
    assert frames[-1].kind is FrameKind.EXIT
    return ExecChannelExit.parse(frames[-1].data)
