# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A user without any right gives himself another password, when he knows the present one."""

from datetime import UTC, datetime, timedelta

import pytest
from argon2.profiles import CHEAPEST

from covirt.engine.api.app import create_app
from covirt.engine.api.own_password import own_password_route
from covirt.engine.auth.errors import BadCredentials
from covirt.engine.auth.login import Login
from covirt.engine.auth.passwords import Passwords
from covirt.engine.auth.tokens import Tokens
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.store.store import Store
from tests.support import engine_samples as s
from tests.support.engine_api import NoCommands, api_client, api_services_of
from tests.support.engine_changing import Asker, events

OWN = "../../covirt/password"
OLD, NEW = "correct horse", "battery staple"


@pytest.fixture(name="login")
def login_fixture(store: Store) -> Login:
    passwords = Passwords(CHEAPEST)
    with store.write() as session:
        session.accounts.set_password_hash(s.USER_ID, passwords.hash(OLD), now=datetime.now(UTC))
    tokens = Tokens(store, lifetime=timedelta(hours=1), idle=timedelta(hours=1))
    return Login(store, tokens=tokens, passwords=passwords)


@pytest.fixture(name="user")
def user_fixture(store: Store, login: Login) -> Asker:
    services = api_services_of(store, commands=NoCommands(), hosts=FakeHosts())
    app = create_app(services, routes=[own_password_route(services, login)])
    return Asker(client=api_client(app, user="user"), filtered=True)


def test_another_password(user: Asker, login: Login, store: Store) -> None:
    login.log_in("cook@internal", OLD, scope="x", address="192.0.2.1")
    user.put(OWN, {"current": OLD, "password": NEW})
    assert login.check("cook@internal", NEW, address="192.0.2.1").id == s.USER_ID
    with pytest.raises(BadCredentials):
        login.check("cook@internal", OLD, address="192.0.2.1")
    with store.read() as session:
        assert session.accounts.count_sessions() == 0
    (told,) = (each for each in events(store, 3) if each.code == 346)
    assert told.description == "Password changed successfully for cook@internal-authz"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"current": "wrong one", "password": NEW}, 403, "another one"),
        ({"current": OLD, "password": "short"}, 400, "at least 6"),
        ({"password": NEW}, 400, "current, password"),
        ({"current": OLD}, 400, "current, password"),
        ({"current": [OLD], "password": NEW}, 400, "current, password"),
    ],
)
def test_what_is_refused(user: Asker, login: Login, body: dict[str, object], status: int, words: str) -> None:
    assert words in user.put(OWN, body, status=status)
    login.check("cook@internal", OLD, address="192.0.2.1")
