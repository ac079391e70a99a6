# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Endpoints of covirt's own, beside oVirt's: JSON in, JSON out, and ``{"reason": …}`` when it is refused."""

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from covirt.common.errors import Conflict, Denied, Error, InvalidRequest, NotFound, Unavailable, Unsupported
from covirt.engine.auth.errors import Unauthenticated
from covirt.engine.web.parameters import client_address

log = logging.getLogger(__name__)

_LONGEST_BODY: Final = 256 * 1024
_HEADERS: Final = {"Cache-Control": "no-store"}
_STATUSES: Final[tuple[tuple[type[Error], int], ...]] = (
    (Unauthenticated, 401),
    (Denied, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unsupported, 409),
    (InvalidRequest, 400),
    (Unavailable, 503),
)


class BadJson(InvalidRequest):
    template = "The request cannot be used: {reason}."


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRequest:
    """``headers`` have lower-case names; ``certificate_der`` is what the client has shown, checked by TLS."""

    method: str
    path_values: Mapping[str, str]
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    address: str
    certificate_der: bytes | None

    def text(self, name: str, default: str | None = None) -> str:
        """Raises BadJson for one that is missing, without a default, and for what is no text."""
        value = self.body.get(name, default)
        if not isinstance(value, str) or "\0" in value:
            raise BadJson(reason=f"{name!r} must be a text")
        return value


Handler = Callable[[JsonRequest], tuple[int, Mapping[str, Any]]]  # status and answer


def json_route(path: str, handler: Handler, *, methods: Sequence[str]) -> Route:
    """``handler`` is called in a thread."""

    async def endpoint(request: Request) -> Response:
        try:
            read = await _read(request)
            status, answer = await to_thread.run_sync(partial(handler, read))
        except Error as error:
            return _refusal(error)
        except Exception:  # the edge: what is a bug is told without its details
            incident = uuid.uuid4().hex[:12]
            log.exception("A request has failed by a bug incident=%s", incident)
            return JSONResponse({"reason": f"Internal error, incident {incident}"}, 500, _HEADERS)
        return JSONResponse(dict(answer), status, _HEADERS)

    return Route(path, endpoint, methods=methods)


async def _read(request: Request) -> JsonRequest:
    """Raises BadJson."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _LONGEST_BODY:
            raise BadJson(reason="the body is too long")
    try:
        body = json.loads(data) if data else {}
    except (ValueError, RecursionError) as error:
        raise BadJson(reason="the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadJson(reason="the body is no object")
    return JsonRequest(
        method=request.method,
        path_values=request.path_params,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        address=client_address(request),
        certificate_der=request.scope.get("state", {}).get("peer_certificate"),
    )


def _refusal(error: Error) -> Response:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    headers = {**_HEADERS, "WWW-Authenticate": 'Basic realm="RESTAPI"'} if status == 401 else _HEADERS
    return JSONResponse({"reason": str(error)}, status, headers)
