# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Logging in and out: a password becomes a token, and a token or a password becomes a principal."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from covirt.engine.auth import audit
from covirt.engine.auth.delay import Delay
from covirt.engine.auth.errors import AccountDisabled, BadCredentials, NoProfile, TokenExpired, Unauthenticated
from covirt.engine.auth.passwords import Passwords
from covirt.engine.auth.principal import Principal
from covirt.engine.auth.tokens import Tokens
from covirt.engine.model.access import EVERYONE_ID, User
from covirt.engine.model.login import LoginSession
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store

log = logging.getLogger(__name__)

# What is written behind the @ at a login -> the domain that its users are of.
DOMAINS: Final = {"internal": "internal-authz"}
API_SCOPE: Final = "ovirt-app-api"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A login that went well. ``token`` is a secret."""

    token: str
    session: LoginSession


class Login:
    """Everything raises Unauthenticated, TooManyFailures and LoginsBusy."""

    def __init__(
        self,
        store: Store,
        *,
        tokens: Tokens,
        passwords: Passwords,
        delay: Delay | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._passwords = passwords
        self._delay = delay or Delay()
        self._clock = clock

    def log_in(self, name: str, password: str, *, scope: str, address: str) -> Granted:
        """With a name like admin@internal."""
        user = self.check(name, password, address=address)
        now = self._clock()
        with self._store.change() as session:
            token, login = self._tokens.issue(session, user_id=user.id, scope=scope, address=address, now=now)
            session.events.append(audit.logged_in(user, address, audit.session_word(login), now=now))
            session.users.update(replace(session.users.get(user.id), last_login=now))
        log.info("Logged in user=%s address=%s session=%s", user.user_name, address, audit.session_word(login))
        return Granted(token=token, session=login)

    def log_in_once(self, name: str, password: str, *, address: str) -> User:
        """For one request, without a token."""
        user = self.check(name, password, address=address)
        now = self._clock()
        with self._store.write() as session:
            session.events.append(audit.logged_in(user, address, "basic", now=now))
        return user

    def check(self, name: str, password: str, *, address: str) -> User:
        """Whose password it is."""
        principal, domain = _split(name)
        with self._store.read() as session:
            suspicious = self._delay.check(session, user=name, address=address, now=self._clock())
            # PostgreSQL refuses to look for a zero byte
            user = None if "\0" in name else session.users.find(principal=principal, domain=domain)
            kept = session.accounts.password_hash(user.id) if user else None
        if suspicious:
            with self._store.write() as session:
                self._delay.claim(session, user=name, address=address, now=self._clock())
        # No transaction is open while this takes its time.
        if not self._passwords.matches(kept, password) or user is None or kept is None:
            self._failed(name, user, address, "The user name or password is incorrect")
            raise BadCredentials(user=name)
        if user.disabled:
            self._failed(name, user, address, "The user account is disabled")
            raise AccountDisabled(user=name)
        with self._store.write() as session:
            self._delay.succeeded(session, user=name, address=address)
            if self._passwords.is_outdated(kept):
                session.accounts.set_password_hash(user.id, self._passwords.hash(password), now=self._clock())
        return user

    def by_token(self, token: str) -> tuple[Principal, LoginSession]:
        """Who a token was given to. Raises TokenExpired."""
        now = self._clock()
        with self._store.read() as session:
            login = self._tokens.find(session, token, now=now)
            principal = principal_of(session, session.users.get(login.user_id), session_id=login.id)
        self._tokens.used(login, now=now)
        return principal, login

    def still(self, user_id: str, session_id: str | None) -> Principal:
        """Who somebody is now, who was let in before and is still at it: that counts as a use of the session, if
        there is one. Raises TokenExpired."""
        now = self._clock()
        with self._store.read() as session:
            login = self._tokens.alive(session, session_id, now=now) if session_id is not None else None
            user = session.users.find(id=user_id)
            if user is None:
                raise TokenExpired
            principal = principal_of(session, user, session_id=session_id)
        if login is not None:
            self._tokens.used(login, now=now)
        return principal

    def user_by_token(self, token: str) -> tuple[User, LoginSession]:
        """The same, with all that is known of the user."""
        with self._store.read() as session:
            login = self._tokens.find(session, token, now=self._clock())
            return session.users.get(login.user_id), login

    def log_out(self, token: str, *, address: str) -> None:
        """Of a token that counts no more, nothing happens."""
        now = self._clock()
        with self._store.write() as session:
            try:
                login = self._tokens.find(session, token, now=now)
            except TokenExpired:
                return
            self._tokens.revoke(session, login)
            user = session.users.get(login.user_id)
            session.events.append(audit.logged_out(user, login, address, now=now))
        log.info("Logged out user=%s address=%s session=%s", user.user_name, address, audit.session_word(login))

    def _failed(self, name: str, user: User | None, address: str, reason: str) -> None:
        log.warning("Failed login user=%r address=%s reason=%s", name[:100], address, reason)
        now = self._clock()
        with self._store.write() as session:
            self._delay.failed(session, user=name, address=address, now=now)
            session.events.append(audit.login_failed(_printable(name), address, reason, user=user, now=now))


def principal_of(session: Session, user: User, *, session_id: str | None = None) -> Principal:
    """Raises AccountDisabled."""
    if user.disabled:
        raise AccountDisabled(user=user.user_name)
    groups = user.group_ids | {EVERYONE_ID}
    return Principal(
        user_id=user.id,
        name=user.user_name,
        group_ids=groups,
        admin=session.accounts.is_administrator(groups | {user.id}),
        session_id=session_id,
    )


def _split(name: str) -> tuple[str, str]:
    """admin@internal is admin of internal-authz. Raises NoProfile."""
    principal, at, profile = name.rpartition("@")
    if not at or not principal or profile not in DOMAINS:
        raise NoProfile(user=_printable(name))
    return principal, DOMAINS[profile]


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:255])


__all__ = ["API_SCOPE", "Granted", "Login", "Unauthenticated", "principal_of"]
