# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is behind a login, on both databases."""

from datetime import timedelta
from typing import Final

from covirt.engine.auth.roles import ROLES
from covirt.engine.auth.seed import seed_access
from covirt.engine.model.access import EVERYONE_ID, SYSTEM, Permission, User
from covirt.engine.model.login import LoginFailures, LoginSession
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store
from tests.support.engine_objects import NOON, new_id

_ROLES: Final = {role.name: role.id for role in ROLES}


def _user(session: Session, name: str = "cook") -> User:
    user = User(id=new_id(), name=name, principal=name)
    session.users.add(user)
    return user


def _login(user: User, token: str, *, minutes: float = 60) -> LoginSession:
    return LoginSession(
        id=token,
        user_id=user.id,
        scope="ovirt-app-api",
        address="192.0.2.1",
        created=NOON,
        last_used=NOON,
        expires=NOON + timedelta(minutes=minutes),
    )


def test_the_access_data_is_there_once_and_comes_back_when_it_was_changed(store: Store) -> None:
    for _ in range(2):
        with store.write() as session:
            seed_access(session)
    with store.write() as session:
        session.roles.remove(_ROLES["TagManager"])
        seed_access(session)
    with store.read() as session:
        assert sorted(session.roles.list(), key=lambda role: role.id) == sorted(ROLES, key=lambda role: role.id)
        assert session.groups.get(EVERYONE_ID).name == "Everyone"


def test_a_password_is_kept_and_replaced(store: Store) -> None:
    with store.write() as session:
        user = _user(session)
        assert not session.accounts.has_passwords()
        assert session.accounts.password_hash(user.id) is None
        session.accounts.set_password_hash(user.id, "one", now=NOON)
        session.accounts.set_password_hash(user.id, "two", now=NOON)
    with store.read() as session:
        assert session.accounts.has_passwords()
        assert session.accounts.password_hash(user.id) == "two"


def test_sessions_live_and_die(store: Store) -> None:
    with store.write() as session:
        user = _user(session)
        for token, minutes in (("short", 1), ("long", 60), ("unused", 60)):
            session.accounts.add_session(_login(user, token, minutes=minutes))
        session.accounts.touch_session("long", now=NOON + timedelta(minutes=9))
    with store.read() as session:
        found = session.accounts.session("long")
        assert found is not None
        assert found.last_used == NOON + timedelta(minutes=9)
        assert session.accounts.session("LONG") is None
        assert session.accounts.count_sessions() == 3
    with store.write() as session:
        now = NOON + timedelta(minutes=10)
        assert session.accounts.remove_dead_sessions(now=now, idle_since=now - timedelta(minutes=5)) == 2
        assert session.accounts.remove_session("long")
        assert not session.accounts.remove_session("long")


def test_with_a_user_go_the_users_sessions(store: Store) -> None:
    with store.write() as session:
        user, other = _user(session), _user(session, "guest")
        session.accounts.set_password_hash(user.id, "x", now=NOON)
        session.accounts.add_session(_login(user, "a"))
        session.accounts.add_session(_login(other, "b"))
        session.users.remove(user.id)
    with store.read() as session:
        assert session.accounts.session("a") is None
        assert session.accounts.session("b") is not None
        assert not session.accounts.has_passwords()


def test_an_administrator_is_who_has_an_administrators_role_on_anything(store: Store) -> None:
    with store.write() as session:
        seed_access(session)
        user = _user(session)
        ids = {user.id, EVERYONE_ID}
        session.permissions.add(Permission(id=new_id(), role_id=_ROLES["UserRole"], user_id=user.id, subject=SYSTEM))
        assert not session.accounts.is_administrator(ids)
        session.permissions.add(
            Permission(id=new_id(), role_id=_ROLES["ReadOnlyAdmin"], group_id=EVERYONE_ID, subject=SYSTEM)
        )
        assert session.accounts.is_administrator(ids)
        assert not session.accounts.is_administrator({user.id})


def test_failures_are_counted_forgotten_and_never_too_many(store: Store) -> None:
    with store.write() as session:
        for number in range(20):
            failures = LoginFailures(about=f"user u{number}", count=1, last=NOON + timedelta(seconds=number))
            session.accounts.set_failures(failures)
        session.accounts.set_failures(LoginFailures(about="user u19", count=7, last=NOON + timedelta(minutes=1)))
        session.accounts.trim_failures(older_than=NOON + timedelta(seconds=5), keep=10)
    names = [f"user u{number}" for number in range(20)]
    with store.read() as session:
        left = session.accounts.failures(names)
    assert set(left) == set(names[10:])
    assert left["user u19"].count == 7
    with store.write() as session:
        session.accounts.forget_failures(names)
        assert session.accounts.failures(names) == {}
