# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of enrolments."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from covirt.engine.model.enrolment import Enrolment
from covirt.engine.store.tables.enrolments import enrolments


class Enrolments:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, enrolment: Enrolment) -> None:
        names = enrolments.c.keys()
        self._connection.execute(insert(enrolments).values({name: getattr(enrolment, name) for name in names}))

    def by_secret(self, secret_hash: str) -> Enrolment | None:
        row = self._connection.execute(
            select(enrolments).where(enrolments.c.secret_hash == secret_hash).with_for_update()
        ).first()
        return None if row is None else Enrolment(**row._mapping)

    def use(self, enrolment_id: str, host_id: str, *, now: datetime) -> None:
        self._connection.execute(
            update(enrolments).where(enrolments.c.id == enrolment_id).values(host_id=host_id, used=now)
        )

    def last_used(self, host_id: str) -> Enrolment | None:
        """What the host has its certificate by."""
        row = self._connection.execute(
            select(enrolments)
            .where(enrolments.c.host_id == host_id, enrolments.c.used.is_not(None))
            .order_by(enrolments.c.used.desc())
            .limit(1)
        ).first()
        return None if row is None else Enrolment(**row._mapping)

    def get(self, enrolment_id: str) -> Enrolment | None:
        row = self._connection.execute(select(enrolments).where(enrolments.c.id == enrolment_id)).first()
        return None if row is None else Enrolment(**row._mapping)

    def unused(self) -> Sequence[Enrolment]:
        """Those that can still be used, and those whose time is over."""
        rows = self._connection.execute(
            select(enrolments).where(enrolments.c.used.is_(None)).order_by(enrolments.c.created)
        )
        return [Enrolment(**row._mapping) for row in rows]

    def remove_unused(self, enrolment_id: str) -> bool:
        """Whether there was one."""
        chosen = (enrolments.c.id == enrolment_id, enrolments.c.used.is_(None))
        return bool(self._connection.execute(delete(enrolments).where(*chosen)).rowcount)

    def remove_expired(self, *, before: datetime) -> int:
        """Of those that nobody has used; how many."""
        chosen = (enrolments.c.expires < before, enrolments.c.used.is_(None))
        return self._connection.execute(delete(enrolments).where(*chosen)).rowcount
