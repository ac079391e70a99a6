# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Permits, predefined roles and the group Everyone, as every database has them."""

from covirt.engine.auth.permits import PERMITS
from covirt.engine.auth.roles import ROLES
from covirt.engine.model.access import EVERYONE_ID, Group
from covirt.engine.store.session import Session


def seed_access(session: Session) -> None:
    """Add what is missing: at the first start everything, after an upgrade what the release has new."""
    permits = {permit.id for permit in session.permits.list()}
    for permit in PERMITS:
        if permit.id not in permits:
            session.permits.add(permit)
    present = {role.id: role for role in session.roles.list()}
    for role in ROLES:
        if role.id not in present:
            session.roles.add(role)
        elif present[role.id] != role:
            session.roles.update(role)
    if session.groups.find(id=EVERYONE_ID) is None:
        session.groups.add(Group(id=EVERYONE_ID, name="Everyone"))
