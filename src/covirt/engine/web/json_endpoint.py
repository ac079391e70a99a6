# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Endpoints of covirt's own, beside oVirt's: JSON in, JSON out.

What is wrong with a request is told as ``{"reason": …}``, unless the route has another way to tell it.
"""

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from covirt.common.errors import Conflict, Denied, Error, InvalidRequest, NotFound, Unavailable, Unsupported
from covirt.engine.api.errors import BadBody, BodyTooLarge
from covirt.engine.api.params import correlation_id
from covirt.engine.auth.errors import Unauthenticated
from covirt.engine.web.parameters import client_address

log = logging.getLogger(__name__)

_LONGEST_BODY: Final = 256 * 1024
_CHALLENGE: Final = 'Basic realm="RESTAPI"'
_STATUSES: Final[tuple[tuple[type[Error], int], ...]] = (
    (Unauthenticated, 401),
    (Denied, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unsupported, 409),
    (BodyTooLarge, 413),
    (InvalidRequest, 400),
    (Unavailable, 503),
)


class BadJson(InvalidRequest):
    template = "The request cannot be used: {reason}."


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRequest:
    """``headers`` have lower-case names; ``certificate_der`` is what the client has shown, checked by TLS; ``data``
    is None when it was too long."""

    method: str
    path_values: Mapping[str, str]
    query: str
    headers: Mapping[str, str]
    data: bytes | None
    address: str
    certificate_der: bytes | None
    correlation_id: str
    scope: Any = field(repr=False)

    def called_by(self, name: str) -> None:
        """For the request log."""
        self.scope["covirt.user"] = name

    @property
    def body(self) -> Mapping[str, Any]:
        """Raises BadBody, BodyTooLarge: after whatever was to be checked before."""
        if self.data is None:
            raise BodyTooLarge(limit_bytes=_LONGEST_BODY)
        if not self.data.strip():
            return {}
        try:
            value = json.loads(self.data)
        except (ValueError, RecursionError) as error:
            raise BadBody(reason="it is not JSON") from error
        if not isinstance(value, dict):
            raise BadBody(reason="it is no JSON object")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Raises BadJson for one that is missing, without a default, and for what is no text."""
        value = self.body.get(name, default)
        if not isinstance(value, str) or "\0" in value:
            raise BadJson(reason=f"{name!r} must be a text")
        return value


JsonAnswer = tuple[int, object]  # status and what is answered
JsonHandler = Callable[[JsonRequest], JsonAnswer]
Refusal = Callable[[Exception], JsonAnswer]


def refusal(error: Exception) -> JsonAnswer:
    """What is a bug is told without its details."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status, {"reason": str(error)}
    incident = uuid.uuid4().hex[:12]
    log.error("A request has failed by a bug incident=%s", incident, exc_info=error)
    return 500, {"reason": f"Internal error, incident {incident}"}


def json_route(path: str, handlers: Mapping[str, JsonHandler], *, refused: Refusal = refusal) -> Route:
    """``path`` as Starlette has them; ``handlers`` by method, each called in a thread."""

    async def endpoint(request: Request) -> Response:
        read = await _read(request)
        status, content = await run_in_threadpool(partial(_answer, handlers[read.method], read, refused))
        headers = {"Cache-Control": "no-store", "Correlation-Id": read.correlation_id}
        if status == 401:
            headers["WWW-Authenticate"] = _CHALLENGE
        return JSONResponse(content, status, headers)

    route = Route(path, endpoint, methods=list(handlers))
    assert route.methods is not None  # noqa: S101 - they were given
    route.methods &= set(handlers)  # HEAD is nothing that a handler answers
    return route


def _answer(handler: JsonHandler, read: JsonRequest, refused: Refusal) -> JsonAnswer:
    try:
        return handler(read)
    except Exception as error:  # noqa: BLE001 - the edge: every failure is an answer
        return refused(error)


async def _read(request: Request) -> JsonRequest:
    data: bytearray | None = bytearray()
    async for part in request.stream():
        if data is not None:
            data += part
            if len(data) > _LONGEST_BODY:
                data = None
                break
    headers = {name.lower(): value for name, value in request.headers.items()}
    return JsonRequest(
        method=request.method,
        path_values=request.path_params,
        query=request.url.query,
        headers=headers,
        data=None if data is None else bytes(data),
        address=client_address(request),
        certificate_der=request.scope.get("state", {}).get("peer_certificate"),
        correlation_id=correlation_id(request.query_params.get("correlation_id") or headers.get("correlation-id")),
        scope=request.scope,
    )
