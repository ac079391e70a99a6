# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One request and its answer: who asks, for what, in which words; every answer has its type and correlation id."""

import json
import logging
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from covirt.engine.api.call import Call
from covirt.engine.api.codec import emit_json, emit_xml, read_json, read_xml
from covirt.engine.api.dispatch import (
    Answer,
    allowed_methods,
    body_type_of,
    change,
    check_ids,
    check_method,
    outcome,
    read,
)
from covirt.engine.api.errors import MethodNotAllowed, UnknownVersion, printable
from covirt.engine.api.faults import fault
from covirt.engine.api.negotiation import JSON, XML, answer_type, body_type
from covirt.engine.api.node import Body, Node, NodeList
from covirt.engine.api.openapi import description
from covirt.engine.api.params import Params, correlation_id, params, path_parts, repeatable
from covirt.engine.api.reader import Reader
from covirt.engine.api.registry import Registry, Target
from covirt.engine.api.root import root
from covirt.engine.api.services import API_PATH, ApiServices, Principal
from covirt.engine.commands.asked import Repeatable

log = logging.getLogger(__name__)

_CHALLENGE: Final = 'Basic realm="RESTAPI"'
_OPENAPI: Final = "openapi"
_READS: Final = frozenset({"GET", "HEAD"})


class Exchange:
    """Used by one request; ``response`` runs in a thread."""

    def __init__(self, services: ApiServices, registry: Registry, request: Request) -> None:
        self._services = services
        self._registry = registry
        self._request = request
        self._headers = {name.lower(): value for name, value in request.headers.items()}
        raw = request.scope.get("raw_path", request.url.path.encode()).decode("ascii", "replace")
        segments, self._matrix = path_parts(raw.partition("?")[0].removeprefix(API_PATH))
        self._versioned = segments[:1] == ["v4"] and raw.startswith(f"{API_PATH}/")
        self._segments = segments[1:] if self._versioned else segments
        self._prefix = f"{API_PATH}/v4" if self._versioned else API_PATH
        self._repeatable: Repeatable | None = None
        self._correlation_id = correlation_id(
            request.query_params.get("correlation_id") or self._headers.get("correlation-id")
        )
        self._type = XML

    def response(self, data: bytes) -> Response:
        """The answer, whatever happens."""
        try:
            self._type = answer_type(self._headers.get("accept", ""))
            return self._answered(data)
        except Exception as error:  # noqa: BLE001 - the edge: a connection that drops makes clients send again
            return self.refusal(error)

    def refusal(self, error: Exception) -> Response:
        """The fault that the error is."""
        status, node = fault(error)
        log.debug("refused status=%s reason=%s", status, error)
        headers = {}
        if status == 401:
            headers["WWW-Authenticate"] = _CHALLENGE
        if isinstance(error, MethodNotAllowed):
            headers["Allow"] = ", ".join(error.fields["methods"])  # type: ignore[arg-type] # it is a list of ours
        return self._rendered(status, node, headers)

    def _answered(self, data: bytes) -> Response:
        method = self._request.method
        self._check_version()
        principal = self._services.authenticator.authenticate(self._headers, self._address())
        self._request.scope["covirt.user"] = principal.name
        if self._segments == [_OPENAPI] and method in _READS:
            return self._description()
        target = self._target(method)
        if method == "OPTIONS":
            methods = allowed_methods(target) if target else ["GET", "HEAD", "OPTIONS"]
            return self._rendered(200, None, {"Allow": ", ".join(methods)})
        if target is not None:
            check_ids(target)
        found = params(self._request.url.query, self._matrix, self._headers)
        body = {} if method in _READS or target is None else self._body(target, data)
        self._repeatable = repeatable(self._headers, f"{method} {'/'.join(self._segments)}", data)
        answer = self._handled(principal, found, target, body)
        headers = {"Location": f"{self._prefix}/{answer.location}"} if answer.location else {}
        return self._rendered(answer.status, answer.content, headers)

    def _description(self) -> Response:
        document = json.dumps(description(self._registry, self._services.version))
        return Response(document, headers={"Correlation-Id": self._correlation_id}, media_type=JSON)

    def _address(self) -> str:
        return self._request.client.host if self._request.client else ""

    def _check_version(self) -> None:
        version = self._headers.get("version", "4").strip()
        if version not in ("", "4"):
            raise UnknownVersion(version=printable(version))

    def _target(self, method: str) -> Target | None:
        """None is the API's root."""
        if not self._segments:
            if method not in (*_READS, "OPTIONS"):
                raise MethodNotAllowed(
                    path="", method=method, allowed="GET, HEAD, OPTIONS", methods=["GET", "HEAD", "OPTIONS"]
                )
            return None
        target = self._registry.target(self._segments)
        check_method(target, method)
        return target

    def _body(self, target: Target, data: bytes) -> Body:
        if not data.strip() and (target.action is not None or self._request.method == "DELETE"):
            return {}
        read = read_json if body_type(self._headers.get("content-type", ""), data) == JSON else read_xml
        return read(body_type_of(target), data)

    def _handled(self, principal: Principal, found: Params, target: Target | None, body: Body) -> Answer:
        services, method = self._services, self._request.method
        opened = target is None or target.collection.open
        # Who administers nothing changes what he sees, and what he may is checked with the change.
        filtered = found.filter or (method not in _READS and not principal.admin)
        viewer = None if opened else services.access.viewer(principal, filtered=filtered)
        call = partial(
            Call,
            services=services,
            principal=principal,
            params=found,
            correlation_id=self._correlation_id,
            address=self._address(),
            repeatable=self._repeatable,
        )
        with Reader(services.store) as reader:
            asked = call(reader=reader, viewer=viewer)
            if target is None:
                return Answer(status=200, content=root(asked, self._registry))
            if method in _READS:
                return read(self._registry, asked, target)
            done = change(asked, target, method, body)
            reader.release()
            return outcome(call(reader=reader, viewer=None), target, done)

    def _rendered(self, status: int, content: Node | NodeList | None, headers: dict[str, str]) -> Response:
        emit = emit_json if self._type == JSON else emit_xml
        data = b"" if content is None else emit(content, self._prefix)
        headers["Correlation-Id"] = self._correlation_id
        media_type = f"{self._type};charset=UTF-8" if self._type == XML else self._type
        return Response(data, status, headers, media_type=media_type)
