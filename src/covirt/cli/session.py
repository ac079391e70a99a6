# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine that a command talks to: by the environment, by a login, or the one of this machine."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from covirt.client.engine import EngineApi
from covirt.client.errors import BadLogin, NotLoggedIn
from covirt.client.logins import Login, read_login, write_login
from covirt.client.resources import Resources

URL_VARIABLE: Final = "COVIRT_URL"
TOKEN_VARIABLE: Final = "COVIRT_TOKEN"  # noqa: S105 - the variable's name
CA_VARIABLE: Final = "COVIRT_CA_FILE"
ROOT_VARIABLE: Final = "COVIRT_ROOT"


@contextmanager
def engine() -> Iterator[Resources]:
    """Raises NotLoggedIn, EngineSilent, EngineRefused."""
    login = kept_login() or local_login()
    if login is None:
        raise NotLoggedIn
    ca_file = Path(login.ca_file) if login.ca_file else None
    api = EngineApi(login.url, ca_file, token=login.token, correlation_id=f"covirt-{secrets.token_hex(6)}")
    with api:
        if login.root:
            _keep_logged_in(api, login)
        yield Resources(api)


def _kept() -> Login | None:
    """One that a root's password has made is for that root's engine alone, where that is now."""
    found, root = read_login(), os.environ.get(ROOT_VARIABLE, "")
    if found is None or not found.root:
        return found
    return None if (root and found.root != root) or found.url != _local_url(found.root) else found


def kept_login() -> Login | None:
    """By the environment, or by covirt login. Raises NotLoggedIn for a URL without a token."""
    return _of_environment() or _kept()


def _local_url(root: str) -> str:
    """Of the engine of ``covirt up`` there."""
    from covirt.cli.up.installation import Choices, Installation

    if not os.path.isdir(root):
        return ""
    installation = Installation.at(root)
    return installation.engine_url(installation.choices() or Choices())


def local_login() -> Login | None:
    """The first user of ``covirt up`` below COVIRT_ROOT (/), for who may read his password."""
    from covirt.cli.up.installation import USER, Installation

    root = os.environ.get(ROOT_VARIABLE, "/")
    if not os.path.isdir(root):
        return None
    installation = Installation.at(root)
    try:
        password = installation.password_file.read_text().strip()
    except OSError:
        return None
    url = _local_url(root)
    api = EngineApi(url, installation.ca_file).log_in(USER, password)
    login = Login(url=url, ca_file=str(installation.ca_file), user=USER, token=str.__str__(api.token), root=root)
    write_login(login)
    return login


def logged_in_again(password: str, user: str = "") -> None:
    """When a password was changed: the kept login was made with the old one, if it is this user's (or, without one,
    who has asked). Root's installation keeps the first user's, with which covirt up works."""
    from covirt.cli.up.installation import Installation

    login = None if os.environ.get(URL_VARIABLE) else read_login()
    if login is None or (user and user != login.user):
        return
    if login.root:
        Installation.at(login.root).password_file.write_text(f"{password}\n")  # its owner and mode stay
    api = EngineApi(login.url, Path(login.ca_file) if login.ca_file else None).log_in(login.user, password)
    write_login(replace(login, token=str.__str__(api.token)))


def _of_environment() -> Login | None:
    url = os.environ.get(URL_VARIABLE, "")
    if not url:
        return None
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise NotLoggedIn
    return Login(url=bare(url), ca_file=os.environ.get(CA_VARIABLE, ""), user="", token=token)


def _keep_logged_in(api: EngineApi, login: Login) -> None:
    """Logins expire; this one is made anew by who has the password."""
    try:
        api.get("")
    except BadLogin:
        again = local_login()
        if again is None or again.url != login.url:
            raise
        api.token = type(api.token)(again.token)


def bare(url: str) -> str:
    """Without a path, and https where nothing is said."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(url if "://" in url else f"https://{url}")
    return urlunsplit((parts.scheme, parts.netloc, "", "", ""))
