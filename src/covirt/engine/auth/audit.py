# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the events tell of logins, with oVirt's numbers and sentences."""

from datetime import datetime

from covirt.engine.model.access import User
from covirt.engine.model.event import Event, Severity
from covirt.engine.model.login import LoginSession


def logged_in(user: User, address: str, session: str, *, now: datetime) -> Event:
    """``session`` is a word that tells sessions apart, and lets nobody in."""
    text = f"User {user.user_name} connecting from '{address}' using session '{session}' logged in."
    return _event(30, Severity.NORMAL, text, address, now, user=user)


def logged_out(user: User, login: LoginSession, address: str, *, now: datetime) -> Event:
    session = session_word(login)
    text = f"User {user.user_name} connected from '{login.address}' using session '{session}' logged out."
    return _event(31, Severity.NORMAL, text, address, now, user=user)


def login_failed(name: str, address: str, reason: str, *, user: User | None, now: datetime) -> Event:
    text = f"User {name} connecting from '{address}' failed to log in: {reason}."
    return _event(114, Severity.ERROR, text, address, now, user=user)


def session_word(login: LoginSession) -> str:
    """The beginning of the token's hash."""
    return login.id[:8]


def _event(code: int, severity: Severity, text: str, address: str, now: datetime, *, user: User | None) -> Event:
    return Event(
        id=0,
        code=code,
        severity=severity,
        time=now,
        description=text,
        address=address,
        user_id=user.id if user else None,
        user_name=user.user_name if user else "",
    )
