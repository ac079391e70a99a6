# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What covirt has beside oVirt's API: JSON below ``/covirt``, with the same logins, rights and faults.

oVirt's clients know no such objects, and its API's table has no types for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.routing import Route

from covirt.engine.api.call import Call
from covirt.engine.api.faults import fault
from covirt.engine.api.params import Params, params
from covirt.engine.api.reader import Reader
from covirt.engine.api.services import ApiServices
from covirt.engine.web.json_endpoint import JsonAnswer, JsonRequest, json_route


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A request to one of these resources: ``names`` are the parts of its path that vary."""

    call: Call
    names: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)


# What it answers, with its status.
OwnHandler = Callable[[Asking], JsonAnswer]


def own_route(services: ApiServices, path: str, handlers: Mapping[str, OwnHandler]) -> Route:
    """``path`` as Starlette has them; ``handlers`` by method. They run in the thread pool."""
    handling = {method: partial(_handled, services, handler) for method, handler in handlers.items()}
    return json_route(path, handling, refused=_fault)


def _fault(error: Exception) -> JsonAnswer:
    status, node = fault(error)
    return status, dict(node.values)


def _handled(services: ApiServices, handler: OwnHandler, asked: JsonRequest) -> JsonAnswer:
    principal = services.authenticator.authenticate(asked.headers, asked.address)
    asked.called_by(principal.name)
    found: Params = params(asked.query, (), asked.headers)
    viewer = services.access.viewer(principal, filtered=found.filter or not principal.admin)
    body = asked.body
    with Reader(services.store) as reader:
        call = Call(
            services=services,
            principal=principal,
            params=found,
            correlation_id=asked.correlation_id,
            address=asked.address,
            reader=reader,
            viewer=viewer,
        )
        return handler(Asking(call=call, names=asked.path_values, body=body))
