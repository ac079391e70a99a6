# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of an object in places that do not refer to it by a foreign key."""

from covirt.engine.store.session import Session


def forget(session: Session, object_id: str) -> None:
    """To be called by whatever removes an object: its permissions and tags go with it."""
    session.permissions.forget(object_id)
    session.taggings.forget(object_id)
