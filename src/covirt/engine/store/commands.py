# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of operations and of their locks. No noun of the API: its jobs are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from covirt.engine.model.command import CommandRow, CommandState
from covirt.engine.store.errors import NoSuchObject, ObjectLocked
from covirt.engine.store.tables.commands import commands, locks


class CommandRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: CommandRow) -> None:
        """Its job must be there."""
        self._connection.execute(insert(commands).values({name: getattr(row, name) for name in commands.c.keys()}))  # noqa: SIM118

    def get(self, command_id: str) -> CommandRow:
        """Raises NoSuchObject."""
        found = self.find(command_id)
        if found is None:
            raise NoSuchObject(noun="Command", id=command_id)
        return found

    def find(self, command_id: str) -> CommandRow | None:
        row = self._connection.execute(select(commands).where(commands.c.id == command_id)).first()
        return None if row is None else CommandRow(**row._mapping)

    def running(self) -> Sequence[str]:
        """The ids of those that have not ended, the oldest first."""
        found = select(commands.c.id).where(commands.c.state == CommandState.RUNNING).order_by(commands.c.begun)
        return list(self._connection.scalars(found))

    def end(
        self,
        command_id: str,
        state: CommandState,
        *,
        now: datetime,
        meaning: str | None = None,
        reason: str | None = None,
        result: str | None = None,
    ) -> bool:
        """Whether it had not ended before. Its locks are free."""
        self._connection.execute(delete(locks).where(locks.c.command_id == command_id))
        changed = self._connection.execute(
            update(commands)
            .where(commands.c.id == command_id, commands.c.state == CommandState.RUNNING)
            .values(state=state, ended=now, meaning=meaning, reason=reason, result=result)
        )
        return bool(changed.rowcount)

    def take(self, command_id: str, wanted: Mapping[str, str]) -> None:
        """Lock objects (id: why, as a sentence's part), all or none. Raises ObjectLocked with the other's reason."""
        others = [object_id for object_id in wanted if self._owner(object_id) != command_id]
        self.check_unlocked(others)
        for object_id in sorted(others):
            try:
                self._connection.execute(
                    insert(locks).values(object_id=object_id, command_id=command_id, reason=wanted[object_id])
                )
            except IntegrityError as error:  # on PostgreSQL somebody else may have been quicker just now
                raise ObjectLocked(reason="another operation on it has just begun") from error

    def check_unlocked(self, object_ids: Iterable[str]) -> None:
        """Raises ObjectLocked."""
        held = select(locks.c.reason).where(locks.c.object_id.in_(list(object_ids))).order_by(locks.c.object_id)
        reason = self._connection.scalar(held.limit(1))
        if reason is not None:
            raise ObjectLocked(reason=reason)

    def is_locked(self, object_id: str) -> bool:
        return self._owner(object_id) is not None

    def _owner(self, object_id: str) -> str | None:
        return self._connection.scalar(select(locks.c.command_id).where(locks.c.object_id == object_id))
