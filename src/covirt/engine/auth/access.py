# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a principal may do, and what of a list a principal sees."""

from covirt.engine.auth.errors import MissingPermit, MustFilter
from covirt.engine.auth.permits import Right
from covirt.engine.auth.principal import Principal
from covirt.engine.model.access import SYSTEM, Subject
from covirt.engine.store.query import Viewer
from covirt.engine.store.store import Store


class Access:
    """Asks the database each time: a permission that was taken away counts for nothing at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def require(self, principal: Principal, right: Right, subject: Subject = SYSTEM) -> None:
        """Raises MissingPermit unless a role with the permit was given on the subject, or on what it lies in."""
        with self._store.read() as session:
            allowed = session.permissions.has_permit(principal.ids, str(right.number), subject)
        if not allowed:
            raise MissingPermit(user=principal.name, permit=right.value, object=f"{subject.type} {subject.id}")

    def viewer(self, principal: Principal, *, filtered: bool) -> Viewer | None:
        """What lists are limited to; None sees everything. Raises MustFilter."""
        if filtered:
            return Viewer(principal_ids=principal.ids)
        if not principal.admin:
            raise MustFilter(user=principal.name)
        return None
