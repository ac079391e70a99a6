# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's side of a ticketed stream (streams.py): a connection of its own, whose bytes are the stream's."""

import asyncio
import ssl
from typing import Final

from covirt.rpc.errors import PeerUnreachable, StreamRefused
from covirt.rpc.streams import STREAM_GREETING

_LONGEST_ANSWER: Final = 4096
_BUFFER_BYTES: Final = 64 << 10  # the peer waits when so much was not read


async def open_stream(
    host: str, port: int, *, tls: ssl.SSLContext | None, ticket: str, timeout_seconds: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises PeerUnreachable, and StreamRefused with the peer's reason."""
    peer = f"{host}:{port}"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            name = host if tls is not None else None
            reader, writer = await asyncio.open_connection(
                host, port, ssl=tls, server_hostname=name, limit=_BUFFER_BYTES
            )
            writer.write(STREAM_GREETING + ticket.encode() + b"\n")
            await writer.drain()
            answer = (await _line(reader)).decode(errors="replace")
        if answer != "OK":
            raise StreamRefused(peer=peer, reason=answer.removeprefix("ERROR ") or "it says nothing")
    except BaseException as error:
        if writer is not None:
            writer.transport.abort()
        if isinstance(error, TimeoutError):
            raise PeerUnreachable(peer=peer, reason=f"it is silent for {timeout_seconds:g} s") from error
        if isinstance(error, OSError | UnicodeError):  # the latter for what can be no host's name
            raise PeerUnreachable(peer=peer, reason=getattr(error, "strerror", "") or error) from error
        raise
    return reader, writer


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The answer to the ticket; empty when the connection ends before."""
    try:
        line = await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return b""
    return line[:_LONGEST_ANSWER].rstrip(b"\r\n")
