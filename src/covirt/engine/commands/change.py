# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A short change: one transaction, with the rights of who asks, and the events that tell of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from covirt.engine.auth.errors import MissingPermit
from covirt.engine.auth.permits import Right
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.audit import NOTHING, About, AuditMessage, tell
from covirt.engine.model.access import SYSTEM, Subject
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store


class Change:
    """Inside ``with changing(…)`` only."""

    def __init__(self, session: Session, asked: Asked) -> None:
        self.session = session
        self.asked = asked

    def require(self, right: Right, subject: Subject = SYSTEM) -> None:
        """Raises MissingPermit unless who asks has the right on the object, or on what it lies in; NoSuchObject for
        one that is gone, on which nobody has any."""
        if self.asked.user_id is None:
            return
        permissions = self.session.permissions
        if not permissions.has_permit(self.asked.principal_ids, str(right.number), subject):
            if not permissions.is_there(subject):
                raise NoSuchObject(noun=subject.type.replace("_", " ").title(), id=subject.id)
            raise MissingPermit(user=self.asked.user_name, permit=right.value, object=f"{subject.type} {subject.id}")

    def require_unlocked(self, object_id: str) -> None:
        """Raises ObjectLocked while an operation holds the object."""
        self.session.commands.check_unlocked((object_id,))

    def tell(self, message: AuditMessage, about: About = NOTHING, **values: object) -> None:
        """An event, if the change is made."""
        tell(self.session, message, self.asked, about, **values)


@contextmanager
def changing(store: Store, asked: Asked) -> Iterator[Change]:
    """All of it, or nothing when it raises. Nothing slow belongs in here: there is one change at a time."""
    with store.change() as session:
        yield Change(session, asked)
