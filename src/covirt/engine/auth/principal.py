# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who asks, once that is known."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """``name`` is as events tell it: admin@internal-authz. ``group_ids`` holds Everyone's, too; ``admin``: some role
    of an administrator is the user's, on whatever object. ``session_id``: of the login whose token was shown; None
    where a password was."""

    user_id: str
    name: str
    group_ids: frozenset[str]
    admin: bool
    session_id: str | None = None

    @property
    def ids(self) -> frozenset[str]:
        """All that permissions may be given to."""
        return self.group_ids | {self.user_id}
