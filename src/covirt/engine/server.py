# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""HTTPS: uvicorn in a thread of its own, with our listener, our TLS and our limits."""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final, cast

import anyio.to_thread
import h11
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from covirt.common.errors import Unavailable
from covirt.common.listening import tcp_listener, usual_address
from covirt.engine.config import ServerConfig

log = logging.getLogger(__name__)

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 20.0
_GRACE_SECONDS: Final = 10  # for answers that are on their way
_KEEP_ALIVE_SECONDS: Final = 30
_HEAD_SECONDS: Final = 30.0  # from the connection, or from a request's first byte
_BODY_SECONDS: Final = 120.0  # from the end of the head; the largest is 4 MiB
_BACKLOG: Final = 512
_GOOD_BYE_SECONDS: Final = 1.0
_WS_MESSAGE_BYTES: Final = 2 << 20  # two of the largest frames of org.covirt.exec.0
_WS_PING_SECONDS: Final = 20.0


class CannotListen(Unavailable):
    template = "the engine cannot listen on {address} port {port}: {reason}; change [server] in the configuration"


class ServerNotStarted(Unavailable):
    template = "the HTTPS server has not started; the log says why"


class _Uvicorn(uvicorn.Server):
    """It tells when it serves, and how many threads answer."""

    def __init__(self, config: uvicorn.Config, *, threads: int) -> None:
        super().__init__(config)
        self._threads = threads
        self.serving = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = self._threads
        await super().startup(sockets)
        self.serving.set()


def _usual(client: tuple[str, int] | None) -> tuple[str, int] | None:
    return client and (usual_address(client[0]), client[1])


class _Deadline:
    """Of a part of a request, from when it is seen to go on until it does not any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, missed: Callable[[], object]) -> None:
        self._loop = loop
        self._missed = missed
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """Unless it has begun."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._miss)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _miss(self) -> None:
        self._timer = None
        self._missed()


class _Http(H11Protocol):
    """It tells requests which certificate their client has shown: one of a host, checked by TLS. Who takes too long
    over a request's head or body has his connection ended: a few such clients would take all that there are, and a
    body is read before anybody asks whose it is."""

    body_seconds: ClassVar[float | None] = None
    _head: _Deadline
    _body: _Deadline

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class has it
        super().connection_made(transport)
        self.client = _usual(self.client)
        self._head = _Deadline(self.loop, lambda: self._end_if(h11.IDLE))
        self._body = _Deadline(self.loop, lambda: self._end_if(h11.SEND_BODY))
        self._head.begin(_HEAD_SECONDS)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate is not None:
            self.app_state = {**self.app_state, "peer_certificate": certificate}

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in(h11.IDLE):
            self._head.end()
        elif self.conn.trailing_data[0]:
            self._head.begin(_HEAD_SECONDS)
        if not self._is_in(h11.SEND_BODY):
            self._body.end()
        elif self.body_seconds is not None:
            self._body.begin(self.body_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.end()
        self._body.end()
        super().connection_lost(exc)

    def _is_in(self, state: type[h11.IDLE] | type[h11.SEND_BODY]) -> bool:
        """What the client says is this part of a request, and not a WebSocket, which is another protocol's by now."""
        return self in self.connections and self.conn.their_state is state

    def _end_if(self, state: type[h11.IDLE] | type[h11.SEND_BODY]) -> None:
        if self._is_in(state):
            self.transport.abort()


class _HttpOfShortBodies(_Http):
    body_seconds = _BODY_SECONDS


class _ClosedOnce:
    """A transport. asyncio's own over TLS, when it is closed twice, forgets the connection that abort() would end."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def close(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _WebSocket(WebSocketsSansIOProtocol):
    """At a stop it does not wait for clients that take nothing any more, not even the good-bye."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.BaseTransport", _ClosedOnce(transport)))
        self.client = _usual(self.client)

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(_GOOD_BYE_SECONDS, self.transport.abort)


class EngineServer:
    """Serves from start() to stop(). Plain HTTP is not spoken at all."""

    def __init__(
        self,
        app: ASGIApp,
        config: ServerConfig,
        tls: ssl.SSLContext,
        *,
        name: str = "engine-https",
        long_bodies: bool = False,
    ) -> None:
        """An application that has something to begin with and to close says so by the ASGI protocol's lifespan.
        ``long_bodies``: they may take as long as they will, since the application knows whose they are."""
        self._config = config
        self._listener: socket.socket | None = None
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                ssl_context_factory=lambda *_: tls,
                http=_Http if long_bodies else _HttpOfShortBodies,
                log_config=None,
                access_log=False,  # web.request_log does it, with the user
                server_header=False,
                proxy_headers=False,  # an address that a client claims is not its address
                lifespan="auto" if isinstance(app, Starlette) else "off",
                ws=_WebSocket,
                ws_max_size=_WS_MESSAGE_BYTES,
                # Who dies without a word is found by the pings that TCP cannot deliver. Nobody has to answer them in
                # time: a client whose guest does not read is not read either.
                ws_ping_interval=_WS_PING_SECONDS,
                ws_ping_timeout=None,
                ws_per_message_deflate=False,
                limit_concurrency=config.connections,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            ),
            threads=config.threads,
        )
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_listening(self) -> bool:
        return self._listener is not None

    @property
    def port(self) -> int:
        """The one it listens on."""
        assert self._listener is not None  # noqa: S101 - after start()
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Return once clients are served. Raises CannotListen, ServerNotStarted."""
        self._listener = self._listen()
        self._thread.start()
        if not self._server.serving.wait(_START_SECONDS) or not self._server.started:
            raise ServerNotStarted
        log.info("Serving address=%s port=%d", self._config.listen, self.port)

    def stop(self) -> None:
        """Answers on their way are given, for a while."""
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS)
            if self._thread.is_alive():
                log.warning("The HTTPS server has not ended in time")
        if self._listener is not None:
            self._listener.close()

    def _listen(self) -> socket.socket:
        address, port = self._config.listen, self._config.port
        try:
            return tcp_listener(address, port, backlog=_BACKLOG)
        except OSError as error:
            raise CannotListen(address=address, port=port, reason=error.strerror or error) from error

    def _run(self) -> None:
        assert self._listener is not None  # noqa: S101 - start() has made it
        try:
            self._server.run(sockets=[self._listener])
        except Exception:  # the top of a thread
            log.exception("The HTTPS server has ended")
        finally:
            self._server.serving.set()
