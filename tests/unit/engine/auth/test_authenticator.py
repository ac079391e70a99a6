# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who sends a request."""

import base64

import pytest

from covirt.engine.auth.access import Access
from covirt.engine.auth.errors import BadCredentials, MissingPermit, MustFilter, TokenExpired, Unauthenticated
from covirt.engine.auth.passwords import Passwords
from covirt.engine.auth.permits import Right
from covirt.engine.auth.roles import ROLES
from covirt.engine.model.access import EVERYONE_ID, SYSTEM, Permission
from tests.support.engine_objects import new_id
from tests.unit.engine.auth.conftest import ADDRESS, PASSWORD, Service


def _basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_bearer_and_basic(service: Service) -> None:
    token = service.log_in()
    for headers in ({"authorization": f"Bearer {token}"}, {"authorization": f"bearer  {token} "}):
        assert service.authenticator.authenticate(headers, ADDRESS).user_id == service.user.id
    assert service.authenticator.authenticate(_basic("cook@internal", PASSWORD), ADDRESS).user_id == service.user.id


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Negotiate abc"},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
        {"authorization": "Basic " + base64.b64encode(b"no colon").decode()},
    ],
)
def test_what_says_nothing_is_nobody(service: Service, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        service.authenticator.authenticate(headers, ADDRESS)


def test_basic_again_and_again_is_one_login(service: Service) -> None:
    for _ in range(5):
        service.authenticator.authenticate(_basic("cook@internal", PASSWORD), ADDRESS)
    assert [event.code for event in service.events()] == [30]
    with pytest.raises(BadCredentials):
        service.authenticator.authenticate(_basic("cook@internal", "wrong"), ADDRESS)


def test_what_was_right_is_wrong_once_the_password_is_another(service: Service, passwords: Passwords) -> None:
    service.authenticator.authenticate(_basic("cook@internal", PASSWORD), ADDRESS)
    with service.store.write() as session:
        session.accounts.set_password_hash(service.user.id, passwords.hash("new"), now=service.clock())
    with pytest.raises(BadCredentials):
        service.authenticator.authenticate(_basic("cook@internal", PASSWORD), ADDRESS)
    service.authenticator.authenticate(_basic("cook@internal", "new"), ADDRESS)


def test_a_revoked_token_is_nobodys(service: Service) -> None:
    token = service.log_in()
    service.login.log_out(token, address=ADDRESS)
    with pytest.raises(TokenExpired):
        service.authenticator.authenticate({"authorization": f"Bearer {token}"}, ADDRESS)


def test_only_administrators_see_without_a_filter(service: Service) -> None:
    token = service.log_in()
    cook, _ = service.login.by_token(token)
    access = Access(service.store)
    viewer = access.viewer(cook, filtered=True)
    assert viewer is not None
    assert viewer.principal_ids == cook.ids
    with pytest.raises(MustFilter):
        access.viewer(cook, filtered=False)
    role = next(role for role in ROLES if role.name == "ClusterAdmin")
    with service.store.write() as session:
        session.permissions.add(Permission(id=new_id(), role_id=role.id, user_id=service.user.id, subject=SYSTEM))
    chef, _ = service.login.by_token(token)
    assert chef.admin
    assert access.viewer(chef, filtered=False) is None
    assert access.viewer(chef, filtered=True) == viewer


def test_a_permit_counts_where_it_was_given(service: Service) -> None:
    cook, _ = service.login.by_token(service.log_in())
    access = Access(service.store)
    with pytest.raises(MissingPermit) as caught:
        access.require(cook, Right.MANIPULATE_USERS)
    assert "cook@internal-authz" in str(caught.value)
    assert "manipulate_users" in str(caught.value)
    role = next(role for role in ROLES if role.name == "SuperUser")
    permission = Permission(id=new_id(), role_id=role.id, group_id=EVERYONE_ID, subject=SYSTEM)
    with service.store.write() as session:
        session.permissions.add(permission)
    access.require(cook, Right.MANIPULATE_USERS)
    with pytest.raises(MissingPermit):
        access.require(cook, Right.CREATE_INSTANCE)
    with service.store.write() as session:
        session.permissions.remove(permission.id)
    with pytest.raises(MissingPermit):
        access.require(cook, Right.MANIPULATE_USERS)
