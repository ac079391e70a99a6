# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How a list is narrowed: by search, by what somebody may see, and to a page."""

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Select

from covirt.engine.search.errors import BadSearch
from covirt.engine.search.grammar import parse
from covirt.engine.search.tree import Search
from covirt.engine.store.query import ListQuery
from covirt.engine.store.search_sql import SearchSql
from covirt.engine.store.searchable import BY_TABLE, SEARCHABLE
from covirt.engine.store.visibility import visible

if TYPE_CHECKING:
    from covirt.engine.store.repository import Repository

_PAGE: Final = 100  # how many are on a page where the query gives no maximum, as in oVirt


def narrowed(statement: Select[Any], repository: "Repository[Any]", query: ListQuery) -> Select[Any]:
    """The statement with the query's search, order, page and maximum. Raises BadSearch."""
    search = parse(query.search)
    noun = BY_TABLE.get(repository.table)
    order = _order(repository)
    if search.condition is not None or search.sort is not None:
        if noun is None:
            raise BadSearch(text=query.search, reason=f"there is no search among {repository.noun.lower()}s")
        sql = SearchSql(noun, query.search, case_sensitive=query.case_sensitive, viewer=query.visible_to)
        if search.condition is not None:
            statement = statement.where(sql.condition(search.condition))
        if search.sort is not None:
            order = sql.order(search.sort)
    if query.after is not None:
        statement = statement.where(repository.table.c[repository.key] > query.after)
    if query.visible_to is not None:
        statement = statement.where(visible(repository.table, query.visible_to))
    return _page(statement.order_by(*order), search, query)


def _order(repository: "Repository[Any]") -> list[ColumnElement[Any]]:
    columns = repository.table.c
    if (noun := SEARCHABLE.get(BY_TABLE.get(repository.table, ""))) is not None:
        named: list[ColumnElement[Any]] = [columns[name] for name in noun.order]
        if noun.newest_first:
            return [column.desc() for column in named]
        return [*named, columns[repository.key]]
    return [columns[name] for name in ("name", repository.key) if name in columns]


def _page(statement: Select[Any], search: Search, query: ListQuery) -> Select[Any]:
    page = search.page if search.page is not None else query.page
    maximum = _PAGE if query.maximum is None and page is not None else query.maximum
    if maximum is None:
        return statement
    statement = statement.limit(maximum)
    return statement.offset((page - 1) * maximum) if page is not None and page > 1 else statement
