# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Stock clients log in and out, on both databases."""

import base64

import ovirtsdk4
import pytest
from ovirtsdk4 import types

from covirt.engine.auth.passwords import Passwords
from covirt.engine.model.access import User
from tests.support.covirt_engine import ADMIN, CovirtEngine
from tests.support.engine_objects import NOON, new_id

_LOGGED_IN = "Logged in user=admin@internal-authz"


def _bearer(token: str) -> tuple[str, str]:
    return ("-H", f"Authorization: Bearer {token}")


def test_the_sdk_logs_in_asks_and_logs_out(any_engine: CovirtEngine) -> None:
    connection = any_engine.connection()
    assert connection.test(raise_exception=True)
    token = connection.authenticate()
    assert any_engine.curl("api", *_bearer(token)).status == 200
    assert connection.system_service().get().product_info.version.major == 4
    connection.close()
    assert any_engine.curl("api", *_bearer(token)).status == 401


def test_the_sdk_gets_a_new_token_once_when_its_own_is_over(any_engine: CovirtEngine) -> None:
    with any_engine.connection() as connection:
        token = connection.authenticate()
        assert any_engine.curl("sso/oauth/revoke", "--data-urlencode", f"token={token}").json == {}
        logins = any_engine.log.count(_LOGGED_IN)
        assert connection.system_service().get().time is not None
        assert any_engine.log.count(_LOGGED_IN) == logins + 1
        assert connection.authenticate() != token


def test_a_user_that_was_added_logs_in(any_engine: CovirtEngine) -> None:
    with any_engine.connection() as connection:
        users = connection.system_service().users_service()
        user = users.add(types.User(user_name="ann@internal-authz", password="salt & pepper"))  # noqa: S106
        assert any_engine.log_in("ann@internal", "salt & pepper").status == 200
        token = any_engine.token("ann@internal", "salt & pepper")
        users.user_service(user.id).update(types.User(password="pepper & salt"))  # noqa: S106
        assert any_engine.curl("api/tags", *_bearer(token)).status == 401
        assert any_engine.log_in("ann@internal", "salt & pepper").status == 400
        assert any_engine.log_in("ann@internal", "pepper & salt").status == 200
        users.user_service(user.id).remove()
    assert any_engine.log_in("ann@internal", "pepper & salt").status == 400
    assert "pepper" not in any_engine.log


def test_a_wrong_password_is_told_in_ovirts_words(any_engine: CovirtEngine) -> None:
    with pytest.raises(ovirtsdk4.AuthError, match=r"access_denied.*The user name or password is incorrect"):
        any_engine.connection(password="wrong").authenticate()  # noqa: S106
    answer = any_engine.log_in(ADMIN, "wrong")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json["error_code"] == "access_denied"
    with pytest.raises(ovirtsdk4.AuthError, match="profile"):
        any_engine.connection(username="admin").authenticate()


def test_an_ordinary_user_has_to_ask_for_the_filtered_view(any_engine: CovirtEngine) -> None:
    user = User(id=new_id(), name="cook", principal="cook")
    with any_engine.store() as store, store.write() as session:
        session.users.add(user)
        session.accounts.set_password_hash(user.id, Passwords().hash("soup"), now=NOON)
    try:
        token = any_engine.token("cook@internal", "soup")
        refused = any_engine.curl("api/vms", *_bearer(token))
        assert refused.status == 403
        assert b"query execution failed due to insufficient permissions" in refused.body
        assert any_engine.curl("api/vms?filter=true", *_bearer(token)).status == 200
        with any_engine.store() as store, store.write() as session:
            session.users.remove(user.id)
        assert any_engine.curl("api/vms?filter=true", *_bearer(token)).status == 401
    finally:
        with any_engine.store() as store, store.write() as session:
            if session.users.find(id=user.id):
                session.users.remove(user.id)


def test_logins_are_events(any_engine: CovirtEngine) -> None:
    any_engine.log_in("nobody@internal", "wrong")
    with any_engine.connection() as connection:
        events = connection.system_service().events_service().list()
    by_code = {event.code: event.description for event in reversed(events)}
    assert "User nobody@internal connecting from '127.0.0.1' failed to log in" in by_code[114]
    assert by_code[30].startswith("User admin@internal-authz connecting from '127.0.0.1' using session ")


def test_a_name_that_no_database_can_hold_is_nobodys(any_engine: CovirtEngine) -> None:
    form = "grant_type=password&scope=ovirt-app-api&username=a%00b@internal&password=x"
    answer = any_engine.curl("sso/oauth/token", "-H", "Accept: application/json", "--data", form)
    assert (answer.status, answer.json["error_code"]) == (400, "access_denied")
    basic = base64.b64encode(b"a\0b@internal:x").decode("ascii")
    assert any_engine.curl("api", "-H", f"Authorization: Basic {basic}").status == 401
