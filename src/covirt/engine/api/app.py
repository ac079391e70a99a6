# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API as a web application."""

import logging
from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from covirt.common.xml_guard import MAX_BYTES
from covirt.engine.api.errors import BodyTooLarge
from covirt.engine.api.exchange import Exchange
from covirt.engine.api.registry import Registry
from covirt.engine.api.resources.registered import REGISTRY
from covirt.engine.api.services import API_PATH, ApiServices

log = logging.getLogger(__name__)

_GZIP_FROM_BYTES: Final = 1024
_GZIP_LEVEL: Final = 4  # XML shrinks to a tenth already; more costs more than it saves


def create_app(
    services: ApiServices, *, routes: Sequence[BaseRoute] = (), registry: Registry = REGISTRY
) -> Starlette:
    """The whole application: what lies below ``/ovirt-engine/api``, and the given routes beside it. Redirects are
    off, because oVirt's clients do not follow them. Handlers run in the thread pool."""

    async def answer(request: Request) -> Response:
        exchange = Exchange(services, registry, request)
        try:
            body = await _body(request)
        except BodyTooLarge as error:
            return exchange.refusal(error)
        return await run_in_threadpool(exchange.response, body)

    app = Starlette(
        routes=[_ApiRoute(API_PATH, answer), *routes],
        middleware=[Middleware(GZipMiddleware, minimum_size=_GZIP_FROM_BYTES, compresslevel=_GZIP_LEVEL)],
    )
    app.router.redirect_slashes = False
    return app


class _ApiRoute(Route):
    """All of the API, whatever the method: matrix parameters, line breaks and the API's own 404 and 405 are nothing
    that the paths of a router can say."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(API_PATH) and path[len(API_PATH) :][:1] in ("", "/", ";"):
            return Match.FULL, {"endpoint": self.endpoint, "path_params": {}}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def _body(request: Request) -> bytes:
    """Raises BodyTooLarge before the memory is taken."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BYTES:
                raise BodyTooLarge(limit_bytes=MAX_BYTES)
            parts.append(part)
    except ClientDisconnect:
        log.debug("A client went away in the middle of its request")
    return b"".join(parts)
