# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The WebSockets of all streams, from the ticket that is shown to the end that is told."""

import asyncio
import itertools
import logging
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from covirt.common.errors import Denied, Error, Unavailable
from covirt.engine.auth.errors import Unauthenticated
from covirt.engine.auth.principal import Principal
from covirt.engine.commands.change import Change
from covirt.engine.commands.vms.common import subject_of
from covirt.engine.console.errors import BadTicket, LoginOver, StreamFailed, TooManyStreams
from covirt.engine.console.opening import Consoles, Opening
from covirt.engine.console.relay import Close, Counts, End, relay
from covirt.engine.console.tickets import Granted, StreamTickets
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.store import Store
from covirt.rpc.errors import StreamRefused
from covirt.rpc.stream_client import open_stream

log = logging.getLogger(__name__)

T = TypeVar("T")

STREAMS_PATH: Final = "/covirt/streams"
MOST_STREAMS: Final = 400  # each is two connections of the engine's
MOST_OF_ONE: Final = 100  # user: nobody takes all of them
_HOST_SECONDS: Final = 10.0
_THREADS: Final = 10  # that wait for hosts, so that a silent one never takes those of requests
_LONGEST_REASON_BYTES: Final = 120  # a WebSocket's close has room for 123
_CLOSE_SECONDS: Final = 5.0  # a client that does not read is not waited for
_CODES: Final[tuple[tuple[type[Error], Close], ...]] = (
    (LoginOver, Close.LOGIN_OVER),
    (Denied, Close.FORBIDDEN),
    (Unavailable, Close.UNAVAILABLE),
)
_STOPPED: Final = End(code=Close.ENGINE_STOPS, reason="the engine stops")
_BINARY: Final = "binary"  # the subprotocol that noVNC asked for once


class Logins(Protocol):
    def still(self, user_id: str, session_id: str | None) -> Principal:
        """Raises Unauthenticated when the user has lost the login since."""
        ...


@dataclass(eq=False, slots=True)
class _Live:
    """One that is open, or about to be. ``over`` belongs to ``loop``."""

    number: int
    granted: Granted
    address: str
    loop: asyncio.AbstractEventLoop
    over: "asyncio.Future[End]"
    counts: Counts = field(default_factory=Counts)
    began: float = field(default_factory=time.monotonic)

    def end(self, end: End) -> None:
        """From any thread."""
        try:
            self.loop.call_soon_threadsafe(self._end, end)
        except RuntimeError:
            log.debug("The server has ended before stream=%d", self.number)

    def _end(self, end: End) -> None:
        if not self.over.done():
            self.over.set_result(end)


class Streams:
    """``tls`` is what hosts are shown. Serves in the web server's loop; check() is for a thread that looks now and
    then whether those who watch still may."""

    def __init__(
        self, store: Store, tickets: StreamTickets, consoles: Consoles, logins: Logins, *, tls: ssl.SSLContext | None
    ) -> None:
        self._store = store
        self._tickets = tickets
        self._consoles = consoles
        self._logins = logins
        self._tls = tls
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._live: set[_Live] = set()
        self._limiter: CapacityLimiter | None = None
        self._stopping = False

    def stop(self) -> None:
        """End all, before the web server does: it would wait for those that nobody reads."""
        with self._lock:
            self._stopping = True
            live = tuple(self._live)
        for one in live:
            one.end(_STOPPED)

    def route(self) -> WebSocketRoute:
        return WebSocketRoute(f"{STREAMS_PATH}/{{ticket}}", self._serve)

    def counts(self) -> Mapping[str, int]:
        """How many there are of each kind."""
        with self._lock:
            return Counter(live.granted.request.stream.value for live in self._live)

    def check(self) -> None:
        """End those whose user is not logged in any more, or has lost the permit."""
        with self._lock:
            live = tuple(self._live)
        found: dict[tuple[object, ...], End | None] = {}  # who watches much is asked about once
        for one in live:
            granted = one.granted
            key = (granted.asked.user_id, granted.session_id, granted.vm_id, granted.request.facts.right)
            if key not in found:
                found[key] = self._obstacle(granted)
            if (end := found[key]) is not None:
                one.end(end)

    def _obstacle(self, granted: Granted) -> End | None:
        try:
            self._require_still(granted)
        except (Denied, NoSuchObject) as error:
            return _end_of(error)
        return None

    def _require_still(self, granted: Granted) -> None:
        """Raises LoginOver, MissingPermit, NoSuchObject."""
        asked = granted.asked
        if asked.user_id is None:
            return
        try:
            principal = self._logins.still(asked.user_id, granted.session_id)
        except Unauthenticated as error:
            raise LoginOver from error
        with self._store.read() as session:
            now = replace(asked, principal_ids=principal.ids)
            Change(session, now).require(granted.request.facts.right, subject_of(granted.vm_id))

    # In the loop.

    async def _serve(self, websocket: WebSocket) -> None:
        address = websocket.client.host if websocket.client else "unknown"
        try:
            granted = self._tickets.take(websocket.path_params["ticket"])
        except BadTicket as error:
            log.info("Stream refused address=%s reason=%s", address, error)
            await websocket.close()  # which is status 403
            return
        loop = asyncio.get_running_loop()
        live = _Live(next(self._numbers), granted, address, loop, loop.create_future())
        await websocket.accept(_BINARY if _BINARY in websocket.scope["subprotocols"] else None)
        try:
            self._admit(live)
            await self._lived(websocket, live)
        except TooManyStreams as error:
            await _close(websocket, _end_of(error))
        finally:
            with self._lock:
                self._live.discard(live)

    def _admit(self, live: _Live) -> None:
        """Raises TooManyStreams."""
        with self._lock:
            own = sum(one.granted.asked.user_id == live.granted.asked.user_id for one in self._live)
            if len(self._live) >= MOST_STREAMS or own >= MOST_OF_ONE:
                raise TooManyStreams(count=len(self._live), own=own)
            self._live.add(live)
            if self._stopping:
                live.over.set_result(_STOPPED)

    async def _lived(self, websocket: WebSocket, live: _Live) -> None:
        """Errors are told by the code and reason that a WebSocket is closed with: a browser's scripts see nothing of
        what is answered before it is open."""
        granted, address = live.granted, live.address
        try:
            reader, writer = await self._opened(live)
        except Error as error:
            log.info("Stream not opened %s reason=%s", _label(live), error)
            await _close(websocket, _end_of(error))
            reason = str(error)
            await self._in_thread(lambda: self._consoles.not_opened(granted, address, reason))
            return
        log.info("Stream begun %s", _label(live))
        try:
            await self._in_thread(lambda: self._consoles.opened(granted, address))
            end = await relay(websocket, reader, writer, request=granted.request, counts=live.counts, over=live.over)
        except Error as error:
            end = _end_of(error)
        finally:
            writer.transport.abort()
        seconds = time.monotonic() - live.began
        counts = live.counts
        log.info(
            "Stream ended %s seconds=%.1f to_guest_bytes=%d to_client_bytes=%d reason=%s",
            *(_label(live), seconds, counts.to_guest, counts.to_client, end.reason),
        )
        await _close(websocket, end)
        await self._in_thread(lambda: self._consoles.ended(granted, address, seconds=seconds, reason=end.reason))

    async def _opened(self, live: _Live) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await self._in_thread(lambda: self._require_still(live.granted))
        opening: Opening = await self._in_thread(lambda: self._consoles.open(live.granted))
        try:
            reader, writer = await open_stream(
                opening.address, opening.port, tls=self._tls, ticket=opening.ticket, timeout_seconds=_HOST_SECONDS
            )
        except StreamRefused as error:
            raise StreamFailed(host=opening.host, reason=error.fields["reason"]) from error
        writer.write(live.granted.request.first)
        return reader, writer

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._limiter is None:
            self._limiter = CapacityLimiter(_THREADS)
        return await to_thread.run_sync(work, limiter=self._limiter)


def _end_of(error: Error) -> End:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Close.REFUSED)
    return End(code=code, reason=str(error))


async def _close(websocket: WebSocket, end: End) -> None:
    if end.code is None:
        return
    reason = end.reason.encode()[:_LONGEST_REASON_BYTES].decode(errors="ignore")
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await websocket.close(end.code, reason)
    except (TimeoutError, WebSocketDisconnect, RuntimeError):  # it has left, or the server stops
        log.debug("A stream's client has left before it was told the end")


def _label(live: _Live) -> str:
    granted = live.granted
    return (
        f"stream={live.number} kind={granted.request.stream} vm={granted.vm_id} user={granted.asked.user_name} "
        f"address={live.address} flow={granted.asked.correlation_id or '-'}"
    )
