# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All that is served beside the API."""

from starlette.routing import BaseRoute

from covirt.engine.auth.login import Login
from covirt.engine.pki.pki import Pki
from covirt.engine.store.store import Store
from covirt.engine.web.health import health_route
from covirt.engine.web.pki_resource import pki_route
from covirt.engine.web.sso import Sso


def web_routes(*, login: Login, store: Store, pki: Pki) -> list[BaseRoute]:
    """Below ``/ovirt-engine``, and never below its ``api``."""
    return [*Sso(login).routes(), health_route(store), pki_route(pki)]
