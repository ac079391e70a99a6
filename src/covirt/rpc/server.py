# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The server: one port, mutual TLS, STOMP, and calls that are answered by a pool of threads.

One thread moves bytes (asyncio). It never waits for a call: what may take longer runs in the pool, where quick calls
have workers of their own.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from covirt.common.complaints import Complaints
from covirt.common.listening import tcp_listener
from covirt.common.log import in_flow
from covirt.common.workers import WorkerPool
from covirt.rpc.broker import Broker, Call
from covirt.rpc.calls import Work
from covirt.rpc.connection import Connection, OtherProtocol
from covirt.rpc.errors import BadMessage, PortNotServed
from covirt.rpc.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Answer,
    Json,
    Request,
    failure,
    parse,
    refusal,
)
from covirt.rpc.settings import ServerSettings
from covirt.rpc.stomp import Frame

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 54321
_BACKLOG: Final = 100
_GOODBYE_SECONDS: Final = 2.0  # for the peer's end of TLS
_NO_DESCRIPTOR_SECONDS: Final = 0.5  # until the next try to accept


class Service(Protocol):
    """What answers calls."""

    def is_inline(self, method: str) -> bool:
        """Whether it is answered without waiting for anything, so that no thread is needed."""
        ...

    def is_quick(self, method: str) -> bool:
        """Whether it may have a reserved worker."""
        ...

    def answer(self, request: Request, *, client: str, flow_id: str) -> Answer:
        """Never raises."""
        ...


class RpcServer:
    """start() returns once clients can connect; stop() once nothing of it is left but calls that do not end.

    ``tls``: None only where nobody else can reach the port. ``protocols``: what else is spoken on it, by the first
    bytes of a connection (at most eleven).
    """

    def __init__(
        self,
        service: Service,
        *,
        tls: ssl.SSLContext | None,
        listen: str = "::",
        port: int = DEFAULT_PORT,
        protocols: Mapping[bytes, OtherProtocol] | None = None,
        settings: ServerSettings | None = None,
    ) -> None:
        self.settings = settings or ServerSettings()
        self.complaints = Complaints(log)
        self.protocols = dict(protocols or {})
        self.port = port  # with port 0, the one that was had
        self._service = service
        self._tls = tls
        self._address = listen
        self._pool = WorkerPool(
            workers=self.settings.workers,
            priority_workers=self.settings.priority_workers,
            name="rpc",
            replacements=self.settings.replacements,
            overdue_seconds=self.settings.overdue_seconds,
        )
        self._broker = Broker()
        self._connections: dict[int, Connection] = {}
        self._handshakes: dict[asyncio.Task[None], _Stranger] = {}  # in the order of arrival
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: socket.socket | None = None
        self._acceptor: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="rpc-loop", daemon=True)

    # For the composition root.

    def start(self) -> None:
        """Serve. Raises PortNotServed."""
        try:
            self._listener = tcp_listener(self._address, self.port, backlog=_BACKLOG)
        except OSError as error:
            raise PortNotServed(port=self.port, address=self._address, reason=error.strerror or error) from error
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(self._listener), self._loop).result()
        log.info("Serving address=%s port=%d tls=%s", self._address, self.port, self._tls is not None)

    def stop(self) -> None:
        """Take no more calls, let those that run finish within limits, and let go of every client."""
        if self._loop is None or not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._stop_listening(), self._loop).result()
        self._pool.stop(timeout_seconds=self.settings.stop_seconds)
        asyncio.run_coroutine_threadsafe(self._close_connections(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        log.info("Stopped serving port=%d", self.port)

    def publish(self, destination: str, method: str, params: Mapping[str, Json]) -> None:
        """Send a notification to the subscribers of a destination; from any thread, in the order of the calls.

        Never waits. Raises ValueError, TypeError when the parameters are not JSON.
        """
        body = Request(method=method, params=params).encode()
        self._in_loop(lambda: self._deliver_event(destination, body))

    @property
    def client_count(self) -> int:
        return len(self._connections)

    # For connections, in the loop.

    def admit(self, connection: Connection) -> bool:
        if len(self._connections) >= self.settings.max_connections:
            self.complaints.warning("Client refused: there are too many client=%s", connection.client.name)
            return False
        self._connections[id(connection.client)] = connection
        return True

    def forget(self, connection: Connection) -> None:
        self._connections.pop(id(connection.client), None)
        self._broker.forget(connection.client)

    def received(self, connection: Connection, frame: Frame) -> None:
        outcome = self._broker.receive(connection.client, frame)
        if outcome.answer is not None:
            connection.send(outcome.answer)
        if outcome.call is not None:
            self._take_call(connection, outcome.call)

    def account(self, connection: Connection) -> None:
        """What all clients together hold is bounded: of begun frames, and of what they have not read."""
        self._bound(connection, lambda one: one.buffered_bytes, self.settings.max_buffered_bytes)
        self._bound(connection, lambda one: one.unsent_bytes, self.settings.max_unsent_bytes)

    def _bound(self, connection: Connection, held: Callable[[Connection], int], limit: int) -> None:
        if held(connection) <= self.settings.unconnected.header_bytes:
            return
        connections = self._connections.values()
        if sum(map(held, connections)) > limit:
            max(connections, key=held).drop("it holds most of what clients may hold")

    # Calls.

    def _take_call(self, connection: Connection, call: Call) -> None:
        try:
            requests = [_as_request(message) for message in parse(call.body, max_values=self.settings.max_values)]
        except BadMessage as error:
            requests = [error]
        methods = [request.method for request in requests if isinstance(request, Request)]
        if len(requests) == 1 and all(self._service.is_inline(method) for method in methods):
            self._reply(connection, call, self._answer(connection.client.name, call, requests))
            return
        quick = all(self._service.is_quick(method) for method in methods)
        connection.calls.add(Work(call=call, requests=requests, quick=quick))

    def begin(self, connection: Connection, work: Work) -> bool:
        """Have a worker answer; False when the server is stopping."""

        def job() -> None:
            body = self._answer(connection.client.name, work.call, work.requests)
            self._in_loop(lambda: self._finish(connection, work, body))

        return self._pool.submit(job, priority=work.quick)

    def _finish(self, connection: Connection, work: Work, body: bytes) -> None:
        self._reply(connection, work.call, body)
        connection.finished(work)

    def _answer(self, client: str, call: Call, requests: list[Request | BadMessage]) -> bytes:
        answers = [
            encoded for request in requests if (encoded := self._answer_one(client, call, request)) is not None
        ]
        # Vdsm answers a batch of one, which its own client always sends, with one object.
        return answers[0] if len(answers) == 1 else b"[" + b",".join(answers) + b"]" if answers else b""

    def _answer_one(self, client: str, call: Call, request: Request | BadMessage) -> bytes | None:
        if isinstance(request, BadMessage):
            log.info("Bad message client=%s flow_id=%s reason=%r", client, call.flow_id, str(request))
            return refusal(request).encode()
        try:
            with in_flow(call.flow_id):
                answer = self._service.answer(request, client=client, flow_id=call.flow_id)
            return None if request.id is None else answer.encode()
        except Exception:  # an edge: whoever asked gets an answer, whatever happened
            log.exception("A call failed client=%s flow_id=%s method=%s", client, call.flow_id, request.method)
            return None if request.id is None else failure(request.id, INTERNAL_ERROR, "see the log").encode()

    def _reply(self, connection: Connection, call: Call, body: bytes) -> None:
        if not body:
            return
        frames = self._broker.answers(connection.client, call.reply_to, body)
        if not frames:
            log.info("An answer finds nobody client=%s flow_id=%s", connection.client.name, call.flow_id)
        for frame in frames:
            connection.send(frame)

    def _deliver_event(self, destination: str, body: bytes) -> None:
        for client, frame in self._broker.events(destination, body):
            self._connections[id(client)].send(frame)

    # The loop's thread.

    def _run(self) -> None:
        assert self._loop is not None  # noqa: S101 - made by start()
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _serve(self, listener: socket.socket) -> None:
        self._acceptor = asyncio.create_task(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        """Not asyncio's own server: that one lets any number of strangers begin a handshake."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listener)
            except OSError as error:
                self.complaints.warning("Connections cannot be accepted reason=%s", error.strerror)
                await asyncio.sleep(_NO_DESCRIPTOR_SECONDS)
                continue
            if len(self._handshakes) >= self.settings.max_handshakes:
                self._drop_handshake()
            stranger = _Stranger(address=address[0], socket=accepted)
            task = loop.create_task(self._greet(stranger))
            self._handshakes[task] = stranger
            task.add_done_callback(partial(self._greeted, stranger))
            await asyncio.sleep(0)  # however many wait to be accepted, others are served in between

    def _drop_handshake(self) -> None:
        """The oldest of the address that has most, so that one stranger drives out nobody but itself."""
        most, _ = Counter(stranger.address for stranger in self._handshakes.values()).most_common(1)[0]
        task = next(task for task, stranger in self._handshakes.items() if stranger.address == most)
        del self._handshakes[task]  # it may end only after others have come
        task.cancel()

    async def _greet(self, stranger: "_Stranger") -> None:
        stranger.begun = True
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: Connection(self),
                stranger.socket,
                ssl=self._tls,
                ssl_handshake_timeout=self.settings.handshake_seconds if self._tls else None,
                ssl_shutdown_timeout=_GOODBYE_SECONDS if self._tls else None,
            )
        except OSError as error:  # ssl.SSLError is one
            stranger.socket.close()
            self.complaints.warning("Client refused: no good TLS reason=%r", str(error))

    def _greeted(self, stranger: "_Stranger", task: asyncio.Task[None]) -> None:
        self._handshakes.pop(task, None)
        if task.cancelled():
            stranger.leave()

    async def _stop_listening(self) -> None:
        tasks = [*([self._acceptor] if self._acceptor is not None else []), *self._handshakes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    async def _close_connections(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in list(self._connections.values()):
            connection.close()
        for other in self.protocols.values():
            await other.close_all()
        deadline = loop.time() + self.settings.flush_seconds
        while self._connections and loop.time() < deadline:
            await asyncio.sleep(0.005)
        for connection in list(self._connections.values()):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)

    def _in_loop(self, action: Callable[[], None]) -> None:
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: this call outlived stop()
            self._loop.call_soon_threadsafe(action)


@dataclass(eq=False, slots=True)
class _Stranger:
    """Who has connected, and has not shown a certificate yet."""

    address: str
    socket: socket.socket
    begun: bool = False  # the socket is asyncio's

    def leave(self) -> None:
        with contextlib.suppress(OSError):
            # asyncio forgets a cancelled handshake that it had hardly begun with; by this it hears of its end.
            self.socket.shutdown(socket.SHUT_RDWR)
        if not self.begun:
            self.socket.close()


def _as_request(message: Request | Answer | BadMessage) -> Request | BadMessage:
    if isinstance(message, Answer):
        return BadMessage(reason="it is an answer, and nothing was asked", code=INVALID_REQUEST)
    return message
