# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A search's tree as SQL."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true

from covirt.engine.search.errors import BadSearch
from covirt.engine.search.tree import AllOf, AnyOf, Condition, Criterion, FreeText, Sort
from covirt.engine.store.matching import Comparison, Mismatch, compared, contains
from covirt.engine.store.query import Viewer
from covirt.engine.store.searchable import SEARCHABLE, SYNONYMS, Searchable
from covirt.engine.store.visibility import visible


class SearchSql:
    """Of one search text on one noun. Of other nouns only what the viewer sees is compared: who may not read a name
    must not find it out letter by letter either."""

    def __init__(self, noun: str, text: str, *, case_sensitive: bool, viewer: Viewer | None = None) -> None:
        self._noun = noun
        self._text = text
        self._case_sensitive = case_sensitive
        self._viewer = viewer

    def condition(self, tree: Condition) -> ColumnElement[bool]:
        """Raises BadSearch for a field or a value that there is not."""
        return self._condition(SEARCHABLE[self._noun], tree)

    def order(self, sort: Sort) -> list[ColumnElement[Any]]:
        """Raises BadSearch."""
        noun = SEARCHABLE[self._noun]
        column = noun.fields.get(sort.field)
        if column is None:
            raise self._unknown(sort.field, noun, sorted(noun.fields))
        return [column.desc() if sort.descending else column.asc(), noun.table.c["id"]]

    def _condition(self, noun: Searchable, tree: Condition) -> ColumnElement[bool]:
        match tree:
            case AllOf(items=items):
                return and_(true(), *(self._condition(noun, item) for item in items))
            case AnyOf(items=items):
                return or_(false(), *(self._condition(noun, item) for item in items))
            case FreeText(value=value):
                columns = (noun.fields[name] for name in noun.free)
                return or_(*(contains(column, value, case_sensitive=self._case_sensitive) for column in columns))
            case Criterion():
                return self._criterion(noun, tree)

    def _criterion(self, noun: Searchable, criterion: Criterion) -> ColumnElement[bool]:
        name, _, rest = criterion.field.partition(".")
        if not rest and (column := noun.fields.get(name)) is not None:
            return self._compared(column, criterion)
        if not rest and (related := noun.by_name.get(name)) is not None:
            return self._related(noun, related, criterion, field="name")
        related = SYNONYMS.get(name, name)
        if rest and related in noun.related:
            return self._related(noun, related, criterion, field=rest)
        raise self._unknown(criterion.field, noun, noun.names)

    def _related(self, noun: Searchable, name: str, criterion: Criterion, *, field: str) -> ColumnElement[bool]:
        target, link = noun.related[name]
        other = SEARCHABLE[target]
        column = other.fields.get(field)
        if column is None:
            raise self._unknown(f"{name}.{field}", noun, [f"{name}.{known}" for known in sorted(other.fields)])
        found = _ids(other).where(self._compared(column, criterion))
        return link(found if self._viewer is None else found.where(visible(other.table, self._viewer)))

    def _compared(self, column: ColumnElement[Any], criterion: Criterion) -> ColumnElement[bool]:
        comparison = Comparison(
            operator=criterion.operator, value=criterion.value, case_sensitive=self._case_sensitive
        )
        try:
            return compared(column, comparison)
        except Mismatch as mismatch:
            raise BadSearch(text=self._text, reason=f"{criterion.field}: {mismatch}") from None

    def _unknown(self, field: str, noun: Searchable, known: list[str]) -> BadSearch:
        del noun
        return BadSearch(text=self._text, reason=f"there is no field {field!r} here; there are {', '.join(known)}")


def _ids(noun: Searchable) -> Select[Any]:
    own = noun.table.c["id"]
    if noun.joined is None:
        return select(own)
    facts, owner = noun.joined
    return select(own).select_from(noun.table.join(facts, owner == own))
