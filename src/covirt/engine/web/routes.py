# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All that is served beside the API."""

from starlette.routing import BaseRoute

from covirt.engine.auth.authenticator import Authenticator
from covirt.engine.auth.login import Login
from covirt.engine.hosts.connections import Hosts
from covirt.engine.pki.pki import Pki
from covirt.engine.store.store import Store
from covirt.engine.web.enrolment import EnrolmentRoutes
from covirt.engine.web.health import health_route
from covirt.engine.web.pki_resource import pki_route
from covirt.engine.web.sso import Sso


def web_routes(
    *, login: Login, store: Store, pki: Pki, authenticator: Authenticator, hosts: Hosts
) -> list[BaseRoute]:
    """Below ``/ovirt-engine``, and never below its ``api``; and covirt's own below ``/covirt``."""
    enrolment = EnrolmentRoutes(store=store, pki=pki, authenticator=authenticator, hosts=hosts)
    return [*Sso(login).routes(), health_route(store), pki_route(pki), *enrolment.routes()]
