# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How a list is narrowed: by search, by what somebody may see, and to a page."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select

from covirt.engine.store.query import ListQuery

if TYPE_CHECKING:
    from covirt.engine.store.repository import Repository


def narrowed(statement: Select[Any], repository: "Repository[Any]", query: ListQuery) -> Select[Any]:
    """The statement with the query's search, order, page and maximum."""
    order = repository.table.c["name"] if "name" in repository.table.c else repository.table.c[repository.key]
    statement = statement.order_by(order, repository.table.c[repository.key])
    if query.maximum is not None:
        statement = statement.limit(query.maximum)
        if query.page is not None and query.page > 1:
            statement = statement.offset((query.page - 1) * query.maximum)
    return statement
