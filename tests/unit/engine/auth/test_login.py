# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From a password to a token, from a token to a principal, and out again."""

import dataclasses
import logging

import pytest

from covirt.engine.auth.errors import AccountDisabled, BadCredentials, NoProfile, TokenExpired
from covirt.engine.model.access import EVERYONE_ID
from covirt.engine.model.event import Severity
from tests.unit.engine.auth.conftest import ADDRESS, IDLE, LIFETIME, PASSWORD, Service


def test_a_token_tells_who_somebody_is(service: Service) -> None:
    principal, login = service.login.by_token(service.log_in())
    assert principal.user_id == service.user.id
    assert principal.name == "cook@internal-authz"
    assert principal.ids == {service.user.id, EVERYONE_ID}
    assert not principal.admin
    assert login.expires == service.clock() + LIFETIME


def test_the_token_is_kept_nowhere(service: Service) -> None:
    token = service.log_in()
    with service.store.read() as session:
        assert session.accounts.session(token) is None
        assert session.accounts.count_sessions() == 1


@pytest.mark.parametrize(
    ("name", "password"),
    [("cook@internal", "wrong"), ("cook@internal", ""), ("nobody@internal", PASSWORD), ("COOK@internal", PASSWORD)],
)
def test_the_wrong_name_and_the_wrong_password_are_refused_alike(service: Service, name: str, password: str) -> None:
    with pytest.raises(BadCredentials) as caught:
        service.login.log_in(name, password, scope="", address=ADDRESS)
    assert str(caught.value) == f"Cannot authenticate user '{name}': The user name or password is incorrect."


@pytest.mark.parametrize("name", ["cook", "cook@", "@internal", "cook@elsewhere", "cook@internal-authz", ""])
def test_a_name_needs_its_profile(service: Service, name: str) -> None:
    with pytest.raises(NoProfile):
        service.login.log_in(name, PASSWORD, scope="", address=ADDRESS)


def test_a_password_that_nobody_could_type_is_wrong(service: Service) -> None:
    for password in ("x" * 100_000, "\ud800"):
        with pytest.raises(BadCredentials):
            service.log_in(password)


def test_a_token_ends_when_it_is_not_used(service: Service) -> None:
    token = service.log_in()
    for _ in range(3):
        service.clock.pass_time(seconds=IDLE.total_seconds() - 60)
        service.login.by_token(token)
    service.clock.pass_time(seconds=IDLE.total_seconds() + 1)
    with pytest.raises(TokenExpired):
        service.login.by_token(token)


def test_a_token_ends_however_much_it_is_used(service: Service) -> None:
    token = service.log_in()
    end = service.clock() + LIFETIME
    while service.clock() + IDLE / 2 < end:
        service.clock.now += IDLE / 2
        service.login.by_token(token)
    service.clock.now = end
    with pytest.raises(TokenExpired):
        service.login.by_token(token)
    assert service.tokens.remove_dead(now=end) == 1


def test_a_token_that_is_none(service: Service) -> None:
    service.log_in()
    for token in ("", "x", "x" * 10_000, "\udcff", "ü"):
        with pytest.raises(TokenExpired):
            service.login.by_token(token)


def test_who_logs_out_is_out_and_the_other_login_is_not(service: Service) -> None:
    first, second = service.log_in(), service.log_in()
    service.login.log_out(first, address=ADDRESS)
    service.login.log_out(first, address=ADDRESS)
    service.login.log_out("never given", address=ADDRESS)
    with pytest.raises(TokenExpired):
        service.login.by_token(first)
    assert service.login.by_token(second)[0].user_id == service.user.id


def test_a_disabled_user_is_out_at_once(service: Service) -> None:
    token = service.log_in()
    service.change_user(dataclasses.replace(service.user, disabled=True))
    with pytest.raises(AccountDisabled):
        service.login.by_token(token)
    with pytest.raises(AccountDisabled):
        service.log_in()
    with pytest.raises(BadCredentials):  # whoever has no password learns nothing of the account
        service.log_in("wrong")


def test_a_removed_user_is_out_at_once(service: Service) -> None:
    token = service.log_in()
    with service.store.write() as session:
        session.users.remove(service.user.id)
    with pytest.raises(TokenExpired):
        service.login.by_token(token)


def test_logins_are_events_with_user_and_address(service: Service) -> None:
    token = service.log_in()
    with pytest.raises(BadCredentials):
        service.log_in("wrong")
    with pytest.raises(BadCredentials):
        service.login.log_in("x\ny@internal", "wrong", scope="", address=ADDRESS)
    service.login.log_out(token, address=ADDRESS)
    events = service.events()
    assert [(event.code, event.severity) for event in events] == [
        (30, Severity.NORMAL),
        (114, Severity.ERROR),
        (114, Severity.ERROR),
        (31, Severity.NORMAL),
    ]
    assert {event.address for event in events} == {ADDRESS}
    assert [event.user_id for event in events] == [service.user.id, service.user.id, None, service.user.id]
    assert "User x?y@internal connecting from" in events[2].description
    with service.store.read() as session:
        assert session.users.get(service.user.id).last_login == service.clock()


def test_no_secret_is_in_log_or_events(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = service.log_in()
    with pytest.raises(BadCredentials):
        service.log_in("another-secret")
    service.login.by_token(token)
    service.login.log_out(token, address=ADDRESS)
    told = caplog.text + "".join(event.description for event in service.events())
    assert "cook@internal" in told
    for secret in (token, PASSWORD, "another-secret"):
        assert secret not in told


def test_who_is_still_at_it(service: Service) -> None:
    principal, login = service.login.by_token(service.log_in())
    assert principal.session_id == login.id
    for _ in range(3):  # it counts as a use
        service.clock.pass_time(seconds=IDLE.total_seconds() - 60)
        assert service.login.still(principal.user_id, login.id) == principal
    assert service.login.still(principal.user_id, None).session_id is None
    service.clock.pass_time(seconds=IDLE.total_seconds() + 1)
    with pytest.raises(TokenExpired):
        service.login.still(principal.user_id, login.id)
    with pytest.raises(TokenExpired):
        service.login.still("00000000-0000-0000-0000-00000000dead", None)
    with service.store.write() as session:
        session.users.update(dataclasses.replace(service.user, disabled=True))
    with pytest.raises(AccountDisabled):
        service.login.still(principal.user_id, None)
