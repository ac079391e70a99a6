# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes between a WebSocket and a host: nothing piles up here, for who does not read makes the other side wait."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from covirt.common.channels import BadChannelFrame, ChannelDecoder, FrameKind
from covirt.engine.console.errors import BadStreamInput
from covirt.engine.console.request import StreamRequest
from covirt.engine.vms.kinds import Stream

_BYTES: Final = 64 << 10
_TYPED: Final = frozenset({FrameKind.STDIN, FrameKind.RESIZE})


class Close(IntEnum):
    """What a WebSocket is closed with; 4000 and more are ours, and end with HTTP's status for the same."""

    ENDED = 1000
    ENGINE_STOPS = 1012
    BAD_INPUT = 4400
    LOGIN_OVER = 4401
    FORBIDDEN = 4403
    REFUSED = 4409
    UNAVAILABLE = 4503


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Why a stream is over. Without a code the client has left."""

    code: Close | None
    reason: str


GUEST_ENDED: Final = End(code=Close.ENDED, reason="it has ended")
CLIENT_LEFT: Final = End(code=None, reason="the client has left")


@dataclass(slots=True)
class Counts:
    """Bytes so far."""

    to_guest: int = 0
    to_client: int = 0


async def relay(
    websocket: WebSocket,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    request: StreamRequest,
    counts: Counts,
    over: "asyncio.Future[End]",
) -> End:
    """Until either side ends, or ``over`` says so. The writer is closed then; the WebSocket is the caller's."""
    up = asyncio.ensure_future(_up(websocket, writer, request.stream, counts))
    down = asyncio.ensure_future(_down(websocket, reader, framed=request.facts.framed, counts=counts))
    waiting: set[asyncio.Future[End]] = {up, down, over}
    try:
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in (over, down, up):
                if each in done and (each is not up or up.result() is not GUEST_ENDED):
                    return each.result()
            # The host takes no more, and what it said last is still on its way.
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        writer.transport.abort()


async def _down(websocket: WebSocket, reader: asyncio.StreamReader, *, framed: bool, counts: Counts) -> End:
    """What the guest says."""
    async with contextlib.aclosing(_messages(reader, framed=framed)) as messages:
        try:
            async for message in messages:
                counts.to_client += len(message)
                await websocket.send_bytes(message)
        except WebSocketDisconnect:
            return CLIENT_LEFT
    return GUEST_ENDED


async def _messages(reader: asyncio.StreamReader, *, framed: bool) -> AsyncGenerator[bytes]:
    """Of frames one each, so that a client need not put them together."""
    decoder = ChannelDecoder()
    while True:
        try:
            data = await reader.read(_BYTES)
        except OSError:  # cut off
            return
        if not data:
            return
        if not framed:
            yield data
            continue
        for frame in decoder.feed(data):
            yield frame.encode()


async def _up(websocket: WebSocket, writer: asyncio.StreamWriter, stream: Stream, counts: Counts) -> End:
    """What the client says."""
    decoder = ChannelDecoder()
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return CLIENT_LEFT
        try:
            data = _said(message, stream, decoder)
        except BadStreamInput as error:
            return End(code=Close.BAD_INPUT, reason=str(error))
        counts.to_guest += len(data)
        try:
            writer.write(data)
            await writer.drain()
        except OSError:
            return GUEST_ENDED


def _said(message: Any, stream: Stream, decoder: ChannelDecoder) -> bytes:
    """Raises BadStreamInput."""
    data = message.get("bytes")
    if data is None:
        if stream is not Stream.CONSOLE:  # terminals in browsers send what is typed as text
            raise BadStreamInput(reason="a message must be binary")
        return str(message.get("text", "")).encode(errors="replace")
    if stream is Stream.LOG:
        raise BadStreamInput(reason="a log is only read")
    if stream is Stream.EXEC:
        try:
            kinds = {frame.kind for frame in decoder.feed(data)}
        except BadChannelFrame as error:
            raise BadStreamInput(reason=error.fields["reason"]) from error
        if not kinds <= _TYPED:
            raise BadStreamInput(reason="a client sends frames of kind 1 (stdin) and 4 (resize) only")
    return bytes(data)
