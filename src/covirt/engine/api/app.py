# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The API as a web application."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from covirt.engine.api.services import ApiServices


def create_app(services: ApiServices, *, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The whole application: what lies below ``/ovirt-engine/api``, and the given routes beside it. Redirects are
    off, because oVirt's clients do not follow them."""
    app = Starlette(routes=list(routes))
    app.router.redirect_slashes = False
    app.state.services = services
    return app
