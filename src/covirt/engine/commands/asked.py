# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who asks for a change, as events and permissions need to know it."""

import uuid
from dataclasses import dataclass
from typing import Final, Self

_ENGINE = "SYSTEM"
_REPEATED: Final = uuid.UUID("5c2a4c8e-6d0b-5b0a-9a43-2f1f7f1d9d10")  # a space of names of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable:
    """A request that is done once, however often it comes: ``key`` is the client's, ``request`` tells it from others
    that come with the same key by mistake."""

    key: str
    request: str

    def made_id(self, user_id: str, what: str) -> str:
        """The same for the same: what is made by the request can be found again when it is repeated."""
        return str(uuid.uuid5(_REPEATED, "\n".join((user_id, self.key, what))))


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
    repeatable: Repeatable | None = None

    @classmethod
    def system(cls, correlation_id: str = "") -> Self:
        """The engine by itself."""
        return cls(user_id=None, user_name=_ENGINE, correlation_id=correlation_id)
