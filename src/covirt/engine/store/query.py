# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a list asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Somebody who sees only what permissions let him see: the ids of a user and of the user's groups."""

    principal_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """``search`` is in oVirt's language; ``where`` are columns that must have a value, or one of several.

    ``after``: of events, those with greater numbers only. ``maximum`` and ``page`` (from 1) come after all else.
    ``visible_to`` None: everything is seen.
    """

    search: str = ""
    case_sensitive: bool = True
    maximum: int | None = None
    page: int | None = None
    after: int | None = None
    where: Mapping[str, object] = field(default_factory=dict)
    visible_to: Viewer | None = None


ALL = ListQuery()
