# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Access tokens: random, opaque, and kept as their hash only, so a stolen database lets nobody in."""

import hashlib
import logging
import secrets
import threading
from datetime import datetime, timedelta
from typing import Final

from covirt.common.errors import Unavailable
from covirt.engine.auth.errors import TokenExpired
from covirt.engine.model.login import LoginSession
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store

log = logging.getLogger(__name__)

_BYTES: Final = 64
_LONGEST: Final = 512  # letters; what is longer is none of ours
# A use is written down when the one on record is this part of the idle time old: reading must not become writing.
_PARTS: Final = 10


class Tokens:
    """A token counts until its end, or until it was not used for the idle time, or until it is revoked."""

    def __init__(self, store: Store, *, lifetime: timedelta, idle: timedelta) -> None:
        self._store = store
        self._lifetime = lifetime
        self._idle = idle
        self._lock = threading.Lock()
        self._touching: set[str] = set()

    def issue(
        self, session: Session, *, user_id: str, scope: str, address: str, now: datetime
    ) -> tuple[str, LoginSession]:
        """The token, which is never seen again, and what it stands for."""
        token = secrets.token_urlsafe(_BYTES)
        login = LoginSession(
            id=_id(token),
            user_id=user_id,
            scope=scope,
            address=address,
            created=now,
            last_used=now,
            expires=now + self._lifetime,
        )
        session.accounts.add_session(login)
        return token, login

    def find(self, session: Session, token: str, *, now: datetime) -> LoginSession:
        """What a token stands for. Raises TokenExpired."""
        return self.alive(session, _id(token) if len(token) <= _LONGEST else "", now=now)

    def alive(self, session: Session, session_id: str, *, now: datetime) -> LoginSession:
        """The same by its id. Raises TokenExpired."""
        login = session.accounts.session(session_id)
        if login is None or now >= login.expires or now - login.last_used >= self._idle:
            raise TokenExpired
        return login

    def used(self, login: LoginSession, *, now: datetime) -> None:
        """Write the use down, now and then."""
        if now - login.last_used < self._idle / _PARTS:
            return
        with self._lock:
            if login.id in self._touching:
                return
            self._touching.add(login.id)
        try:
            with self._store.write() as session:
                session.accounts.touch_session(login.id, now=now)
        except Unavailable as error:  # the next use is as good
            log.warning("The use of a session was not written down reason=%s", error)
        finally:
            with self._lock:
                self._touching.discard(login.id)

    def revoke(self, session: Session, login: LoginSession) -> None:
        session.accounts.remove_session(login.id)

    def remove_dead(self, *, now: datetime) -> int:
        """How many there were."""
        with self._store.write() as session:
            return session.accounts.remove_dead_sessions(now=now, idle_since=now - self._idle)


def _id(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
