# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Streams of bytes on the server's port, each opened by a ticket that a call has given.

A client makes a connection of its own, with a certificate as for calls, and sends ``COVIRT-STREAM/1 TICKET`` and a
line feed. It is answered ``OK`` or ``ERROR`` with a reason, and a line feed; after OK the bytes are the stream's,
both ways, until one side closes. A ticket opens one stream, once, soon. docs/streams.md is for clients.

What a stream shows comes from a socket that its source opens. Bytes wait in the kernel, not here, while either side
does not read.
"""

import asyncio
import hashlib
import itertools
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from covirt.common.errors import Error
from covirt.rpc.errors import TooManyTickets

log = logging.getLogger(__name__)

# The first eleven bytes, by which the server knows the protocol.
STREAM_PREFIX: Final = b"COVIRT-STRE"
STREAM_GREETING: Final = b"COVIRT-STREAM/1 "
_MAX_LINE: Final = 200
_TICKET_BYTES: Final = 32
_LINE_SECONDS: Final = 10.0
_HIGH_BYTES: Final = 256 << 10
_CLOSE_SECONDS: Final = 3.0


class StreamSource(Protocol):
    """One stream, not open yet."""

    def open(self) -> socket.socket:
        """Its other end, which says ``OK`` or ``ERROR`` itself. May wait; raises Error."""
        ...

    def close(self) -> None:
        """The socket is closed: end what served it. Called once after open(), whether that went well or not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """A ticket's life, and how many there may be."""

    valid_seconds: float = 60.0
    max_tickets: int = 200
    max_streams: int = 64
    # Connections that have not shown their ticket yet; when there are more, the one that came first is dropped.
    max_waiting: int = 32
    # What a source gets to end at stop.
    stop_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issued:
    source: StreamSource
    what: str  # for the log
    deadline: float


class TicketStreams:
    """Issues tickets to whoever asks, from any thread, and serves the streams in the server's loop."""

    def __init__(self, settings: StreamSettings | None = None) -> None:
        self.settings = settings or StreamSettings()
        self.open_streams = 0
        self._lock = threading.Lock()
        self._tickets: dict[bytes, _Issued] = {}  # by their hash: the tickets themselves are secrets
        self._live: dict[_Stream, None] = {}  # in the order of arrival
        self._numbers = itertools.count(1)
        self._threads: set[threading.Thread] = set()

    def issue(self, source: StreamSource, *, what: str) -> str:
        """A ticket for one stream. Raises TooManyTickets."""
        now = time.monotonic()
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        with self._lock:
            self._tickets = {key: one for key, one in self._tickets.items() if one.deadline > now}
            if len(self._tickets) >= self.settings.max_tickets:
                raise TooManyTickets(count=len(self._tickets), seconds=self.settings.valid_seconds)
            deadline = now + self.settings.valid_seconds
            self._tickets[_hash(ticket.encode())] = _Issued(source=source, what=what, deadline=deadline)
        return ticket

    def stop(self) -> None:
        """After the server: its connections are closed, and the sources are told so."""
        deadline = time.monotonic() + self.settings.stop_seconds
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # For RpcServer, which knows this by STREAM_PREFIX.

    def protocol(self, client: str) -> asyncio.Protocol:
        return _Stream(self, client)

    async def close_all(self) -> None:
        for stream in list(self._live):
            stream.abort()
        deadline = time.monotonic() + _CLOSE_SECONDS
        while (self._live or self.open_streams) and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    # For streams, in the loop.

    def take(self, ticket: bytes) -> _Issued | None:
        """What the ticket is for; from now on it is for nothing."""
        with self._lock:
            issued = self._tickets.pop(_hash(ticket), None)
        return issued if issued is not None and issued.deadline > time.monotonic() else None

    def came(self, stream: "_Stream") -> None:
        self._live[stream] = None
        waiting = [one for one in self._live if one.is_waiting]
        if len(waiting) > self.settings.max_waiting:
            waiting[0].refuse("too many others came and did not show a ticket either")

    def left(self, stream: "_Stream") -> None:
        self._live.pop(stream, None)

    def number(self) -> int:
        return next(self._numbers)

    async def open_source(self, source: StreamSource) -> socket.socket:
        """Raises what the source raises."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[socket.socket] = loop.create_future()

        def work() -> None:
            try:
                near = source.open()
            except Exception as error:  # noqa: BLE001 - a thread's top: whoever waits hears of a bug, too, and logs it
                loop.call_soon_threadsafe(opened.set_exception, error)
                return
            try:
                loop.call_soon_threadsafe(opened.set_result, near)
            except RuntimeError:  # the server has stopped meanwhile
                near.close()

        self._in_thread(work)
        return await opened

    def close_source(self, source: StreamSource) -> None:
        self._in_thread(source.close)

    def _in_thread(self, work: Callable[[], None]) -> None:
        """A thread for one call that may wait; there are no more of them than streams."""

        def body() -> None:
            try:
                work()
            except Exception:  # the top of a thread
                log.exception("A stream's source failed")
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=body, name="rpc-stream", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()


class _Stream(asyncio.Protocol):
    """The client's side of one stream."""

    def __init__(self, owner: TicketStreams, client: str) -> None:
        self._owner = owner
        self._client = client
        self._label = ""
        self._line = b""
        self._transport: asyncio.Transport | None = None
        self._far: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """For its ticket."""
        return self._timer is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_BYTES)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_LINE_SECONDS, self.refuse, "it has not shown a ticket in time")
        self._owner.came(self)

    def data_received(self, data: bytes) -> None:
        if self._far is not None:
            self._far.write(data)
            return
        if self._opening is None and not self.is_waiting:
            return  # it was refused
        self._line += data
        if self._opening is not None:
            return  # a little that was read before reading was paused
        line, end, rest = self._line.partition(b"\n")
        if end or len(line) > _MAX_LINE:
            self._line = rest
            self._begin(line.removesuffix(b"\r"))

    def pause_writing(self) -> None:
        if self._far is not None:
            self._far.pause_reading()

    def resume_writing(self) -> None:
        if self._far is not None:
            self._far.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        log.debug("Stream's client left %s error=%s", self._label, exc)
        self._transport = None
        self._owner.left(self)
        self._stop_timer()
        if self._far is not None:
            self._far.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def refuse(self, reason: str) -> None:
        """Nothing was opened."""
        log.info("Stream refused client=%s reason=%s", self._client, reason)
        self._stop_timer()
        if self._transport is not None:
            self._transport.write(f"ERROR {reason}\n".encode(errors="replace"))
            self._transport.close()

    def _begin(self, line: bytes) -> None:
        self._stop_timer()
        issued = self._owner.take(line.removeprefix(STREAM_GREETING)) if line.startswith(STREAM_GREETING) else None
        if issued is None:
            self.refuse("the ticket is not known, used, or too old: ask for another one")
        elif self._owner.open_streams >= self._owner.settings.max_streams:
            self.refuse("there are too many streams: close one first")
        else:
            self._label = f"stream={self._owner.number()} what={issued.what!r} client={self._client}"
            self._owner.open_streams += 1
            if self._transport is not None:
                self._transport.pause_reading()
            self._opening = asyncio.get_running_loop().create_task(self._open(issued.source))

    async def _open(self, source: StreamSource) -> None:
        over = False
        try:
            near = await self._owner.open_source(source)
            far, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: _Far(self, source), near)
            over = True  # from here on its end is told by _Far
            self._join(far)
        except (Error, OSError) as error:
            self.refuse(str(error).replace("\n", " "))
        except Exception:  # an edge: a source's bug costs its own stream
            log.exception("A stream could not be opened %s", self._label)
            self.refuse("the log of covirt-host knows why")
        finally:
            if not over:
                self.ended(source)

    def _join(self, far: asyncio.Transport) -> None:
        if self._transport is None:  # it left meanwhile
            far.close()
            return
        far.set_write_buffer_limits(high=_HIGH_BYTES)
        self._far = far
        log.info("Stream begun %s", self._label)
        if self._line:
            far.write(self._line)
        self._line = b""
        self._transport.resume_reading()

    def ended(self, source: StreamSource, error: Exception | None = None) -> None:
        """The source's side is over."""
        self._owner.open_streams -= 1
        self._owner.close_source(source)
        log.info("Stream ended %s error=%s", self._label, error)
        if self._transport is not None:
            self._transport.close()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def pause(self, *, paused: bool) -> None:
        """Whether to read from the client."""
        if self._transport is not None and not self._transport.is_closing():
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Far(asyncio.Protocol):
    """The source's side of one stream."""

    def __init__(self, stream: _Stream, source: StreamSource) -> None:
        self._stream = stream
        self._source = source

    def data_received(self, data: bytes) -> None:
        self._stream.write(data)

    def pause_writing(self) -> None:
        self._stream.pause(paused=True)

    def resume_writing(self) -> None:
        self._stream.pause(paused=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.ended(self._source, exc)


def _hash(ticket: bytes) -> bytes:
    return hashlib.sha256(ticket).digest()
