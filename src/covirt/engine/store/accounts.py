# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The rows behind a login. No noun of the API: nobody lists them."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from covirt.engine.model.login import LoginFailures, LoginSession
from covirt.engine.store.tables.access import permissions, roles
from covirt.engine.store.tables.accounts import login_failures, login_sessions, passwords


class Accounts:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def password_hash(self, user_id: str) -> str | None:
        return self._connection.scalar(select(passwords.c.hash).where(passwords.c.user_id == user_id))

    def has_passwords(self) -> bool:
        """Whether anybody can log in at all."""
        return self._connection.scalar(select(passwords.c.user_id).limit(1)) is not None

    def set_password_hash(self, user_id: str, text: str, *, now: datetime) -> None:
        values = {"hash": text, "changed": now}
        done = self._connection.execute(update(passwords).where(passwords.c.user_id == user_id).values(values))
        if not done.rowcount:
            self._connection.execute(insert(passwords).values(user_id=user_id, **values))

    def is_administrator(self, principal_ids: Iterable[str]) -> bool:
        """Whether one of these has an administrator's role on anything."""
        ids = list(principal_ids)
        found = (
            select(permissions.c.id)
            .join(roles, roles.c.id == permissions.c.role_id)
            .where(roles.c.administrative, or_(permissions.c.user_id.in_(ids), permissions.c.group_id.in_(ids)))
            .limit(1)
        )
        return self._connection.scalar(found) is not None

    def add_session(self, session: LoginSession) -> None:
        names = login_sessions.c.keys()
        self._connection.execute(insert(login_sessions).values({name: getattr(session, name) for name in names}))

    def session(self, session_id: str) -> LoginSession | None:
        row = self._connection.execute(select(login_sessions).where(login_sessions.c.id == session_id)).first()
        return None if row is None else LoginSession(**row._mapping)

    def touch_session(self, session_id: str, *, now: datetime) -> None:
        self._connection.execute(
            update(login_sessions).where(login_sessions.c.id == session_id).values(last_used=now)
        )

    def remove_session(self, session_id: str) -> bool:
        """Whether there was one."""
        return bool(
            self._connection.execute(delete(login_sessions).where(login_sessions.c.id == session_id)).rowcount
        )

    def remove_sessions_of(self, user_id: str) -> None:
        self._connection.execute(delete(login_sessions).where(login_sessions.c.user_id == user_id))

    def remove_dead_sessions(self, *, now: datetime, idle_since: datetime) -> int:
        """How many have expired, or have not been used since."""
        dead = or_(login_sessions.c.expires <= now, login_sessions.c.last_used < idle_since)
        return self._connection.execute(delete(login_sessions).where(dead)).rowcount

    def count_sessions(self) -> int:
        return self._connection.scalar(select(func.count()).select_from(login_sessions)) or 0

    def failures(self, abouts: Iterable[str]) -> dict[str, LoginFailures]:
        rows = self._connection.execute(select(login_failures).where(login_failures.c.about.in_(list(abouts))))
        return {row.about: LoginFailures(**row._mapping) for row in rows}

    def set_failures(self, failures: LoginFailures) -> None:
        values = {"count": failures.count, "last": failures.last}
        done = self._connection.execute(
            update(login_failures).where(login_failures.c.about == failures.about).values(values)
        )
        if not done.rowcount:
            self._connection.execute(insert(login_failures).values(about=failures.about, **values))

    def forget_failures(self, abouts: Iterable[str]) -> None:
        self._connection.execute(delete(login_failures).where(login_failures.c.about.in_(list(abouts))))

    def trim_failures(self, *, older_than: datetime, keep: int) -> None:
        """Forget old ones, and the oldest of too many: whoever fails with many names fills no disk."""
        self._connection.execute(delete(login_failures).where(login_failures.c.last < older_than))
        newest = select(login_failures.c.last).order_by(login_failures.c.last.desc()).offset(keep).limit(1)
        limit = self._connection.scalar(newest)
        if limit is not None:
            self._connection.execute(delete(login_failures).where(login_failures.c.last <= limit))
