# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the engine can work, in oVirt's words: monitoring looks for them."""

import logging

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from covirt.common.errors import Error
from covirt.engine.store.store import Store

log = logging.getLogger(__name__)


def health_route(store: Store) -> Route:
    def endpoint(request: Request) -> Response:
        del request
        try:
            with store.read() as session:
                session.accounts.has_passwords()
        except Error as error:
            log.error("The database does not answer reason=%s", error)
            return HTMLResponse("DB Down!", status_code=500)
        return HTMLResponse("DB Up!Welcome to Health Status!")

    return Route("/ovirt-engine/services/health", endpoint, methods=("GET",))
