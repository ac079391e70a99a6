# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``/covirt/password``: whoever is logged in gives himself another password. oVirt's users do so in a directory."""

from functools import partial
from typing import Final

from starlette.routing import Route

from covirt.engine.api.errors import Incomplete
from covirt.engine.api.own import Asking, own_route
from covirt.engine.api.services import ApiServices
from covirt.engine.auth.errors import BadCredentials, WrongPassword
from covirt.engine.auth.login import DOMAINS, Login
from covirt.engine.commands.access import users

PATH: Final = "/covirt/password"


def own_password_route(services: ApiServices, login: Login) -> Route:
    return own_route(services, PATH, {"PUT": partial(_change, login)})


def _change(login: Login, asking: Asking) -> tuple[int, object]:
    """``current`` and ``password`` are required: a token that somebody has found is not enough. What was logged in
    with the old one is no more, and wrong ones count as failed logins."""
    call, body = asking.call, asking.body
    current, password = body.get("current"), body.get("password")
    if not isinstance(current, str) or not isinstance(password, str):
        raise Incomplete(type="Password", names="current, password", action="change")
    users.check_password(password)
    try:
        login.check(_login_name(call.principal.name), current, address=call.address)
    except BadCredentials as error:
        raise WrongPassword from error
    password_hash = call.services.passwords.hash(password)
    with call.changing() as change:
        users.change_own_password(change, password_hash)
    return 200, {}


def _login_name(user_name: str) -> str:
    """What admin@internal-authz logs in with."""
    principal, _, domain = user_name.rpartition("@")
    profile = next(profile for profile, known in DOMAINS.items() if known == domain)
    return f"{principal}@{profile}"
