# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who asks for a change, as events and permissions need to know it."""

from dataclasses import dataclass
from typing import Self

_ENGINE = "SYSTEM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """``principal_ids`` are all that permissions may be given to: the user's and its groups' ids.

    Without a user it is the engine itself, which may do everything.
    """

    user_id: str | None
    user_name: str
    principal_ids: frozenset[str] = frozenset()
    address: str = ""
    correlation_id: str = ""

    @classmethod
    def system(cls, correlation_id: str = "") -> Self:
        """The engine by itself."""
        return cls(user_id=None, user_name=_ENGINE, correlation_id=correlation_id)
