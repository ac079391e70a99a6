# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Single sign-on as oVirt's clients do it: OAuth's password grant, in JSON, also for what goes wrong."""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from covirt.common.errors import Error, InvalidRequest, Unavailable
from covirt.engine.auth.errors import TokenExpired, TooManyFailures, Unauthenticated
from covirt.engine.auth.login import API_SCOPE, Login
from covirt.engine.web.parameters import client_address, read_parameters

log = logging.getLogger(__name__)

Parameters = Mapping[str, str]
Handler = Callable[[Parameters, str], Mapping[str, Any]]
Endpoint = Callable[[Request], Awaitable[Response]]

_SSO: Final = "/ovirt-engine/sso/oauth"
_METHODS: Final = ("GET", "POST")
# More logins wait outside of the threads that answer the API, however many come.
_AT_ONCE: Final = 8
# Nobody may keep a token on its way.
_HEADERS: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class UnsupportedGrant(InvalidRequest):
    template = "The authorization grant type is not supported by the authorization server."


class MissingParameter(InvalidRequest):
    template = "Missing parameter: '{name}'"


class Sso:
    """The endpoints of a login; each takes GET and POST, with its parameters in the query or in the body."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._limiter = CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[Route]:
        handlers: dict[str, Handler] = {
            f"{_SSO}/token": self._token,
            f"{_SSO}/token-http-auth": self._unsupported,
            f"{_SSO}/token-info": self._token_info,
            f"{_SSO}/revoke": self._revoke,
            "/ovirt-engine/services/sso-logout": self._revoke,
        }
        return [
            Route(path, _endpoint(handler, self._limiter), methods=_METHODS) for path, handler in handlers.items()
        ]

    def _token(self, parameters: Parameters, address: str) -> Mapping[str, Any]:
        if _required(parameters, "grant_type") != "password":
            raise UnsupportedGrant
        name, password = _required(parameters, "username"), _required(parameters, "password")
        granted = self._login.log_in(name, password, scope=parameters.get("scope", API_SCOPE), address=address)
        return {
            "access_token": granted.token,
            "scope": granted.session.scope,
            "exp": _milliseconds(granted.session.expires),
            "token_type": "bearer",
        }

    def _token_info(self, parameters: Parameters, address: str) -> Mapping[str, Any]:
        del address
        user, login = self._login.user_by_token(_required(parameters, "token"))
        return {
            "active": True,
            "token_type": "bearer",
            "client_id": "ovirt-engine-core",
            "user_id": f"{user.principal}@internal",
            "user_authz": user.domain,
            "scope": login.scope,
            "exp": _milliseconds(login.expires),
            "ovirt": {
                "version": "0",
                "principal_id": user.id,
                "email": user.email,
                "namespace": user.namespace,
                "first_name": user.name,
                "last_name": user.last_name,
                "group_ids": sorted(user.group_ids),
                "capability_credentials_change": False,
            },
        }

    def _revoke(self, parameters: Parameters, address: str) -> Mapping[str, Any]:
        self._login.log_out(_required(parameters, "token"), address=address)
        return {}

    def _unsupported(self, parameters: Parameters, address: str) -> Mapping[str, Any]:
        del parameters, address
        raise UnsupportedGrant


def _endpoint(handler: Handler, limiter: CapacityLimiter) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        scope = request.query_params.get("scope", "")
        try:
            parameters = await read_parameters(request)
            scope = parameters.get("scope", scope)
            call = partial(handler, parameters, client_address(request))
            answer = await to_thread.run_sync(call, limiter=limiter)
        except Error as error:
            return _refusal(error, scope)
        except Exception:  # the edge: what is a bug is told without its details
            incident = uuid.uuid4().hex[:12]
            log.exception("A login has failed by a bug incident=%s", incident)
            return _fault("server_error", f"Internal error, incident {incident}", 500, scope)
        return JSONResponse(dict(answer), headers=_HEADERS)

    return endpoint


def _refusal(error: Error, scope: str) -> Response:
    word, status = _word_and_status(error)
    response = _fault(word, str(error), status, scope)
    if isinstance(error, TooManyFailures):
        response.headers["Retry-After"] = str(error.fields["seconds"])
    return response


def _word_and_status(error: Error) -> tuple[str, int]:
    match error:
        case UnsupportedGrant():
            return "unsupported_grant_type", 400
        case TokenExpired():
            return "invalid_grant", 400
        case Unauthenticated():
            return "access_denied", 400
        case TooManyFailures():
            return "access_denied", 429
        case InvalidRequest():
            return "invalid_request", 400
        case Unavailable():
            return "server_error", 503
    return "server_error", 500


def _fault(word: str, text: str, status: int, scope: str) -> JSONResponse:
    """Clients of the API are told in oVirt's words, others in OpenID's."""
    for_api = API_SCOPE in scope.split() or not scope
    body = {"error_code": word, "error": text} if for_api else {"error": word, "error_description": text}
    return JSONResponse(body, status_code=status, headers=_HEADERS)


def _required(parameters: Parameters, name: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise MissingParameter(name=name)
    return value


def _milliseconds(time: datetime) -> str:
    return str(int(time.timestamp() * 1000))
