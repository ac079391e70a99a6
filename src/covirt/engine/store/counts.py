# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How many objects a query finds."""

from typing import Any

from sqlalchemy import func, select

from covirt.engine.store.query import ALL, ListQuery
from covirt.engine.store.repository import Repository
from covirt.engine.store.selection import narrowed


def count(repository: Repository[Any], query: ListQuery = ALL) -> int:
    """How many ``repository.list(query)`` has. Raises BadSearch."""
    statement = repository._select().where(*repository._conditions(query.where))
    listed = narrowed(statement, repository, query).order_by(None).subquery()
    return int(repository._connection.execute(select(func.count()).select_from(listed)).scalar_one())
