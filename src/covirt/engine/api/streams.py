# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Streams of machines: ``POST /covirt/vms/ID/streams`` gives a ticket for a WebSocket (docs/engine-consoles.md)."""

from typing import Final

from starlette.routing import Route

from covirt.engine.api.errors import BadIdentifier
from covirt.engine.api.own import Asking, own_route
from covirt.engine.api.params import is_uuid
from covirt.engine.api.services import ApiServices
from covirt.engine.console.request import parse_request
from covirt.engine.console.streams import STREAMS_PATH

_PATH: Final = "/covirt/vms/{id}/streams"


def stream_routes(services: ApiServices) -> list[Route]:
    return [own_route(services, _PATH, {"POST": _issue})]


def _issue(asking: Asking) -> tuple[int, object]:
    call, vm_id = asking.call, asking.names["id"].lower()
    if not is_uuid(vm_id):
        raise BadIdentifier(text=vm_id[:64])
    request = parse_request(asking.body)
    call.session.vms.get_visible(vm_id, call.viewer)
    call.reader.release()
    consoles = call.services.consoles
    ticket = consoles.issue(call.asked, call.principal.session_id, vm_id, request)
    return 201, {"ticket": ticket, "path": f"{STREAMS_PATH}/{ticket}", "valid_seconds": consoles.valid_seconds}
