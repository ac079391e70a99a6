# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's image proxy: what clients who do not reach hosts send to the engine is passed on to the host's daemon.

Nothing is kept here, and nothing piles up: who reads slowly makes the other side wait. A ticket is the only right
that is asked for, as at the daemon itself; it counts while its transfer goes on. Tickets are in no log.
"""

import json
import logging
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread
import httpx2
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from covirt.engine.model.disk import TransferPhase
from covirt.engine.store.store import Store

log = logging.getLogger(__name__)

_METHODS: Final = ("GET", "PUT", "PATCH", "OPTIONS")
# The daemon's resources of a ticket. Nothing else of the host is reached from here.
_PATHS: Final = ("", "/extents", "/checksum", "/checksum/algorithms")
_TALKATIVE: Final = ("httpx2", "httpcore2")  # they log URLs, which are the right to a disk
_ASKED: Final = ("content-length", "content-range", "content-type", "range")
_ANSWERED: Final = (
    "content-length",
    "content-range",
    "content-type",
    "content-disposition",
    "accept-ranges",
    "allow",
)
_TIMEOUT: Final = httpx2.Timeout(60.0, connect=10.0)
# How many there are at one time is bounded by the server's connections, and by those of one ticket.
_LIMITS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
MOST_OF_ONE: Final = 64  # oVirt's clients have 4 to 8
_STALLED_SECONDS: Final = 60.0  # as the daemon waits for who sends to it


class TransferProxy:
    """An application of its own, for the port that oVirt's clients know. ``tls``: as the engine calls its hosts."""

    def __init__(self, store: Store, *, tls: ssl.SSLContext) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._store = store
        self._client = httpx2.AsyncClient(verify=tls, timeout=_TIMEOUT, limits=_LIMITS, trust_env=False)
        few = [Middleware(FewOfOne)]
        self.app = Starlette(
            routes=[
                Route(
                    f"/images/{{ticket}}{path}",
                    partial(self._pass_on, path=path),
                    methods=list(_METHODS),
                    middleware=few,
                )
                for path in _PATHS
            ],
            lifespan=self._closed_at_the_end,
        )

    @asynccontextmanager
    async def _closed_at_the_end(self, _app: Starlette) -> AsyncIterator[None]:
        async with self._client:
            yield

    async def _pass_on(self, request: Request, *, path: str) -> Response:
        url = await anyio.to_thread.run_sync(self._url, request.path_params["ticket"])
        if url is None:
            return _refused(403, "there is no transfer with this ticket that goes on")
        has_body = request.method in ("PUT", "PATCH")
        if has_body and "content-length" not in request.headers:
            return _refused(400, "Content-Length header is required")  # as the daemon has it
        target = httpx2.URL(f"{url}{path}", query=request.url.query.encode())
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        asked = self._client.build_request(
            request.method, target, headers=headers, content=flowing(request.stream()) if has_body else None
        )
        try:
            answer = await self._client.send(asked, stream=True)
        except ClientDisconnect:
            return _refused(400, "the client has left")
        except TimeoutError:
            return _refused(408, "the client sends nothing more")
        except httpx2.HTTPError as error:
            log.warning("A host does not take a transfer host=%s reason=%s", target.host, error)
            return _refused(502, f"the host does not answer: {error}")
        return await _answer(request, answer)

    def _url(self, ticket: str) -> str | None:
        """Of the host's daemon."""
        with self._store.read() as session:
            transfer = session.image_transfers.find(ticket_id=ticket)
        return transfer.transfer_url if transfer and transfer.phase is TransferPhase.TRANSFERRING else None


class FewOfOne:
    """So many requests of one ticket at a time: who has one does not take what others need."""

    def __init__(self, app: ASGIApp, *, most: int = MOST_OF_ONE) -> None:
        self._app = app
        self._most = most
        self._going: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ticket = scope["path_params"]["ticket"]
        if self._going[ticket] >= self._most:
            await _refused(429, f"there are {self._most} requests of this ticket already")(scope, receive, send)
            return
        self._going[ticket] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._going[ticket] -= 1
            if not self._going[ticket]:
                del self._going[ticket]


async def flowing(parts: AsyncIterator[bytes], *, seconds: float = _STALLED_SECONDS) -> AsyncIterator[bytes]:
    """Raises TimeoutError when nothing comes for so long."""
    while True:
        with anyio.fail_after(seconds):
            part = await anext(parts, None)
        if part is None:
            return
        yield part


async def _answer(request: Request, answer: httpx2.Response) -> Response:
    headers = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
    if request.method == "OPTIONS":
        data = await answer.aread()
        await answer.aclose()
        headers.pop("content-length", None)
        return Response(_without_socket(data), status_code=answer.status_code, headers=headers)
    close = BackgroundTask(answer.aclose)
    return StreamingResponse(_bytes(answer), status_code=answer.status_code, headers=headers, background=close)


async def _bytes(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for data in answer.aiter_raw():
            yield data
    except httpx2.HTTPError as error:  # the head is said: only the end of the connection can tell
        log.warning("A transfer was cut short by its host reason=%s", error)
        raise


def _without_socket(data: bytes) -> bytes:
    """A client beside the engine must not take the host's socket for one of its own machine."""
    try:
        found: Any = json.loads(data)
    except ValueError:
        return data
    if isinstance(found, dict):
        found.pop("unix_socket", None)
    return json.dumps(found).encode()


def _refused(status: int, reason: str) -> Response:
    return JSONResponse({"reason": reason}, status_code=status)
