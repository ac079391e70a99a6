# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The server: one port, mutual TLS, STOMP, and calls that are answered by a pool of threads.

One thread moves bytes (asyncio). It never waits for a call: what may take longer runs in the pool, where quick calls
have workers of their own.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from covirt.common.workers import WorkerPool
from covirt.rpc.broker import Broker, Call
from covirt.rpc.connection import Connection, ProtocolFactory
from covirt.rpc.errors import BadMessage, PeerUnreachable
from covirt.rpc.jsonrpc import INVALID_REQUEST, Answer, Json, Request, parse, refusal
from covirt.rpc.stomp import Frame

log = logging.getLogger(__name__)

_CONNECTIONS: Final = 100  # engines and tools; each may cost some MiB
_HANDSHAKE_SECONDS: Final = 10.0
_BACKLOG: Final = 100
_BATCH: Final = 100
_STOP_SECONDS: Final = 5.0


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
    """``protocols``: what else is spoken on the port, by the first bytes of a connection (at most eleven)."""

    def __init__(
        self,
        service: Service,
        *,
        tls: ssl.SSLContext | None,
        listen: str = "::",
        port: int = 54321,
        workers: int = 16,
        priority_workers: int = 4,
        protocols: Mapping[bytes, ProtocolFactory] | None = None,
        max_connections: int = _CONNECTIONS,
    ) -> None:
        self._service = service
        self._tls = tls
        self._address = (listen, port)
        self._protocols = dict(protocols or {})
        self._max_connections = max_connections
        self._pool = WorkerPool(workers=workers, priority_workers=priority_workers, name="rpc")
        self._broker = Broker()
        self._connections: dict[int, Connection] = {}
        self._handed_over: set[asyncio.Transport] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="rpc-loop")
        self._started = threading.Event()
        self._failure: OSError | None = None
        self._stop: asyncio.Event | None = None
        self.port = port

    # For the composition root.

    def start(self) -> None:
        """Serve. Raises PeerUnreachable when the port cannot be had."""
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            where = f"port {self._address[1]} of {self._address[0]}"
            raise PeerUnreachable(peer=where, reason=self._failure.strerror) from self._failure

    def stop(self) -> None:
        """Let go of every client, and wait for the calls under way, within limits."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        if not self._pool.stop(timeout_seconds=_STOP_SECONDS):
            log.warning("Some calls are still under way")

    def publish(self, destination: str, method: str, params: Mapping[str, Json]) -> None:
        """Send a notification to the subscribers of a destination; from any thread, and in the order of the calls."""
        body = Request(method=method, params=params).encode()
        self._in_loop(lambda: self._deliver(destination, body))

    @property
    def client_count(self) -> int:
        return len(self._connections)

    # For connections, in the loop.

    def admit(self, connection: Connection) -> bool:
        if len(self._connections) >= self._max_connections:
            return False
        self._connections[id(connection.client)] = connection
        return True

    def forget(self, connection: Connection) -> None:
        self._connections.pop(id(connection.client), None)
        self._broker.forget(connection.client)

    def handed_over(self, connection: Connection, transport: asyncio.Transport) -> None:
        """The connection speaks something else from here on."""
        self.forget(connection)
        self._handed_over = {one for one in self._handed_over if not one.is_closing()} | {transport}

    def received(self, connection: Connection, frame: Frame) -> None:
        outcome = self._broker.receive(connection.client, frame)
        for client, message in outcome.frames:
            self._connections[id(client)].send(message)
        if outcome.call is not None:
            self._take_call(connection, outcome.call)

    # Calls.

    def _take_call(self, connection: Connection, call: Call) -> None:
        try:
            messages = parse(call.body)
            requests = [message for message in messages if isinstance(message, Request)]
            if len(requests) != len(messages) or len(requests) > _BATCH:
                raise BadMessage(reason="these are not requests, or too many", code=INVALID_REQUEST)
        except BadMessage as error:
            log.info("Bad message client=%s flow_id=%s reason=%s", call.client.name, call.flow_id, error)
            self._deliver(call.reply_to, refusal(error).encode())
            return
        if len(requests) == 1 and self._service.is_inline(requests[0].method):
            self._deliver(call.reply_to, self._answer(call, requests))
            return
        connection.call_begins(call)
        priority = all(self._service.is_quick(request.method) for request in requests)
        if not self._pool.submit(lambda: self._work(connection, call, requests), priority=priority):
            connection.call_ends()

    def _work(self, connection: Connection, call: Call, requests: list[Request]) -> None:
        """In the pool."""
        body = self._answer(call, requests)

        def finish() -> None:
            connection.call_ends()
            self._deliver(call.reply_to, body)

        self._in_loop(finish)

    def _answer(self, call: Call, requests: list[Request]) -> bytes:
        answers = [
            answer
            for request in requests
            if (answer := self._service.answer(request, client=call.client.name, flow_id=call.flow_id)).id is not None
        ]
        # Vdsm answers a batch of one, which its own client sends, with one object.
        if len(requests) > 1 and answers:
            return b"[" + b",".join(answer.encode() for answer in answers) + b"]"
        return answers[0].encode() if answers else b""

    def _deliver(self, destination: str, body: bytes) -> None:
        if body and destination:
            for client, message in self._broker.messages(destination, body):
                self._connections[id(client)].send(message)

    # The loop.

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            listener = _listener(*self._address)
        except OSError as error:
            self._failure = error
            self._started.set()
            return
        self.port = listener.getsockname()[1]
        server = await self._loop.create_server(
            lambda: Connection(self, self._protocols),
            sock=listener,
            ssl=self._tls,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS if self._tls else None,
            backlog=_BACKLOG,
        )
        self._started.set()
        log.info("Serving address=%s port=%d tls=%s", self._address[0], self.port, self._tls is not None)
        await self._stop.wait()
        server.close()
        for connection in list(self._connections.values()):
            connection.abort()
        for transport in self._handed_over:
            transport.abort()
        await asyncio.sleep(0)  # for connection_lost()

    def _in_loop(self, action: Callable[[], None]) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop is closed: the server has stopped
            log.debug("An answer comes after the end")


def _listener(address: str, port: int) -> socket.socket:
    """Of both families for "::", and of IPv4 alone where there is no IPv6."""
    if address == "::" and not socket.has_dualstack_ipv6():
        address = "0.0.0.0"  # noqa: S104 - as asked for
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, dualstack_ipv6=address == "::")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
