# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What covirt has beside oVirt's API: JSON below ``/covirt``, with the same logins, rights and faults.

oVirt's clients know no such objects, and its API's table has no types for them.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from covirt.engine.api.call import Call
from covirt.engine.api.errors import BadBody, BodyTooLarge
from covirt.engine.api.faults import fault
from covirt.engine.api.params import Params, correlation_id, params
from covirt.engine.api.reader import Reader
from covirt.engine.api.services import ApiServices

_LONGEST_BODY: Final = 64 * 1024
_CHALLENGE: Final = 'Basic realm="RESTAPI"'

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A request to one of these resources: ``names`` are the parts of its path that vary."""

    call: Call
    names: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)


# What it answers, with its status.
OwnHandler = Callable[[Asking], tuple[int, object]]


def own_route(services: ApiServices, path: str, handlers: Mapping[str, OwnHandler]) -> Route:
    """``path`` as Starlette has them; ``handlers`` by method. They run in the thread pool."""

    async def answer(request: Request) -> Response:
        data = await _read(request)
        return await run_in_threadpool(_answered, services, request, handlers[request.method], data)

    return Route(path, answer, methods=list(handlers))


async def _read(request: Request) -> bytes | None:
    """None is a body that is too long."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _LONGEST_BODY:
            return None
    return bytes(data)


def _answered(services: ApiServices, request: Request, handler: OwnHandler, data: bytes | None) -> Response:
    headers = {name.lower(): value for name, value in request.headers.items()}
    flow_id = correlation_id(request.query_params.get("correlation_id") or headers.get("correlation-id"))
    own = {"Correlation-Id": flow_id, "Cache-Control": "no-store"}
    try:
        status, content = _handled(services, request, handler, data, headers, flow_id)
    except Exception as error:  # noqa: BLE001 - the edge: every failure is an answer
        status, node = fault(error)
        content = dict(node.values)
        if status == 401:
            own["WWW-Authenticate"] = _CHALLENGE
    return JSONResponse(content, status, own)


def _handled(
    services: ApiServices,
    request: Request,
    handler: OwnHandler,
    data: bytes | None,
    headers: Mapping[str, str],
    flow_id: str,
) -> tuple[int, object]:
    address = request.client.host if request.client else ""
    principal = services.authenticator.authenticate(headers, address)
    request.scope["covirt.user"] = principal.name
    found: Params = params(request.url.query, (), headers)
    viewer = services.access.viewer(principal, filtered=found.filter or not principal.admin)
    if data is None:
        raise BodyTooLarge(limit_bytes=_LONGEST_BODY)
    with Reader(services.store) as reader:
        call = Call(
            services=services,
            principal=principal,
            params=found,
            correlation_id=flow_id,
            address=address,
            reader=reader,
            viewer=viewer,
        )
        return handler(Asking(call=call, names=request.path_params, body=_object(data)))


def _object(data: bytes) -> Mapping[str, Any]:
    """Raises BadBody."""
    if not data.strip():
        return {}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadBody(reason="it is not JSON") from error
    if not isinstance(value, dict):
        raise BadBody(reason="it is no JSON object")
    return value
