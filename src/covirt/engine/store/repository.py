# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A noun's rows: how they become its dataclass and back. What is particular to a noun is in its own repository."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from covirt.engine.store.errors import BadReference, NameInUse, NoSuchObject, StillInUse
from covirt.engine.store.query import ALL, ListQuery, Viewer
from covirt.engine.store.selection import narrowed
from covirt.engine.store.visibility import visible

E = TypeVar("E")

_CHUNK: Final = 500  # of ids in one statement; SQLite allows 32766 parameters


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """A frozenset field that is a table of pairs: owner column, member column."""

    table: Table
    owner: str
    member: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The field ``facts``, in a table of its own. ``beside``: columns that repeat a fact, to search and sort by."""

    table: Table
    owner: str
    beside: tuple[str, ...] = ()


class Repository(Generic[E]):
    """Rows of one noun within one transaction.

    Subclasses name the entity, its table, its word in sentences, and which fields lie elsewhere.
    """

    entity: ClassVar[type[Any]]
    table: ClassVar[Table]
    noun: ClassVar[str]
    key: ClassVar[str] = "id"
    members: ClassVar[Mapping[str, Members]] = {}
    facts: ClassVar[Facts | None] = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, key: object) -> E:
        """The one with this id. Raises NoSuchObject."""
        found = self._fetch(self._select().where(self.table.c[self.key] == key))
        if not found:
            raise NoSuchObject(noun=self.noun, id=key)
        return found[0]

    def get_visible(self, key: object, viewer: Viewer | None) -> E:
        """As get; what the viewer does not see is not there. Raises NoSuchObject."""
        if viewer is None:
            return self.get(key)
        found = self._fetch(self._select().where(self.table.c[self.key] == key, visible(self.table, viewer)))
        if not found:
            raise NoSuchObject(noun=self.noun, id=key)
        return found[0]

    def find(self, **where: object) -> E | None:
        """The only one whose columns have these values, or None."""
        found = self._fetch(self._select().where(*self._conditions(where)).limit(1))
        return found[0] if found else None

    def by_ids(self, keys: Iterable[object]) -> dict[Any, E]:
        """Those of these ids that there are, by id; a bounded number of statements."""
        return {getattr(item, self.key): item for item in self.where_in(self.key, keys)}

    def where_in(self, column: str, values: Iterable[object]) -> Sequence[E]:
        """All whose column has one of these values."""
        wanted = sorted(set(values), key=str)
        found: list[E] = []
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            found += self._fetch(self._select().where(self._column(column).in_(part)))
        return found

    def list(self, query: ListQuery = ALL) -> Sequence[E]:
        """What the query asks for, in its order. Raises BadSearch."""
        statement = self._select().where(*self._conditions(query.where))
        return self._fetch(narrowed(statement, self, query))

    def keys_where(self, **where: object) -> Sequence[Any]:
        """The ids alone of all whose columns have these values."""
        statement = self._select().with_only_columns(self.table.c[self.key]).where(*self._conditions(where))
        return self._connection.scalars(statement).all()

    def add(self, item: E) -> None:
        """Raises NameInUse, BadReference."""
        with self._told(item):
            self._connection.execute(insert(self.table).values(self._row(item)))
            self._write_elsewhere(item)

    def update(self, item: E) -> None:
        """Everything but the facts. Raises NoSuchObject, NameInUse, BadReference."""
        key = getattr(item, self.key)
        with self._told(item):
            changed = self._connection.execute(
                update(self.table).where(self.table.c[self.key] == key).values(self._row(item))
            )
            if not changed.rowcount:
                raise NoSuchObject(noun=self.noun, id=key)
            self._write_members(item)

    def update_facts(self, key: str, facts: object) -> None:
        """The facts alone; of an object that is gone, nothing happens."""
        table = self._facts_table()
        self._connection.execute(
            update(table.table).where(table.table.c[table.owner] == key).values(self._facts_row(facts))
        )

    def update_many_facts(self, facts: Mapping[str, object]) -> None:
        """As update_facts, of many objects in one statement."""
        if not facts:
            return
        table = self._facts_table()
        rows = [{"covirt_key": key} | self._facts_row(value) for key, value in sorted(facts.items())]
        statement = update(table.table).where(table.table.c[table.owner] == bindparam("covirt_key"))
        names = ("facts", *table.beside)
        self._connection.execute(statement.values({name: bindparam(name) for name in names}), rows)

    def hold_facts(self, keys: Iterable[str]) -> None:
        """Who reads facts to change them holds them first: nobody else changes them until the transaction ends. On
        SQLite there is one writer anyhow."""
        table = self._facts_table()
        owner = table.table.c[table.owner]
        wanted = sorted(set(keys))
        for start in range(0, len(wanted), _CHUNK):
            chosen = owner.in_(wanted[start : start + _CHUNK])
            self._connection.execute(select(owner).where(chosen).order_by(owner).with_for_update()).all()

    def remove(self, key: object) -> None:
        """Raises NoSuchObject, StillInUse."""
        try:
            gone = self._connection.execute(delete(self.table).where(self.table.c[self.key] == key))
        except IntegrityError as error:
            raise StillInUse(noun=self.noun, id=key) from error
        if not gone.rowcount:
            raise NoSuchObject(noun=self.noun, id=key)

    def _select(self) -> Select[Any]:
        if self.facts is None:
            return select(self.table)
        facts = self.facts.table
        joined = self.table.join(facts, facts.c[self.facts.owner] == self.table.c[self.key])
        return select(self.table, facts.c.facts).select_from(joined)

    def _column(self, name: str) -> ColumnElement[Any]:
        if name in self.table.c:
            return self.table.c[name]
        return self._facts_table().table.c[name]

    def _conditions(self, where: Mapping[str, object]) -> Sequence[ColumnElement[bool]]:
        return [
            self._column(name).in_(value)
            if isinstance(value, (frozenset, set, tuple))
            else self._column(name) == value
            for name, value in where.items()
        ]

    def _fetch(self, statement: Select[Any]) -> Sequence[E]:
        rows = self._connection.execute(statement).all()
        sets = {field: self._members_of(members, rows) for field, members in self.members.items()}
        return [self._entity(row, sets) for row in rows]

    def _entity(self, row: Row[Any], sets: Mapping[str, Mapping[str, frozenset[str]]]) -> E:
        values = dict(row._mapping)
        for field, by_owner in sets.items():
            values[field] = by_owner.get(values[self.key], frozenset())
        return self._built(values)

    def _built(self, values: dict[str, Any]) -> E:
        item: E = self.entity(**values)
        return item

    def _members_of(self, members: Members, rows: Sequence[Row[Any]]) -> dict[str, frozenset[str]]:
        owner, member = members.table.c[members.owner], members.table.c[members.member]
        keys = [row._mapping[self.key] for row in rows]
        found: dict[str, set[str]] = {}
        for start in range(0, len(keys), _CHUNK):
            pairs = self._connection.execute(select(owner, member).where(owner.in_(keys[start : start + _CHUNK])))
            for key, value in pairs:
                found.setdefault(key, set()).add(value)
        return {key: frozenset(values) for key, values in found.items()}

    def _row(self, item: E) -> dict[str, Any]:
        return {name: getattr(item, name) for name in self.table.c.keys() if hasattr(item, name)}  # noqa: SIM118

    def _write_elsewhere(self, item: E) -> None:
        self._write_members(item)
        if self.facts is not None:
            row = self._facts_row(getattr(item, "facts"))  # noqa: B009 - not every entity has any
            row[self.facts.owner] = getattr(item, self.key)
            self._connection.execute(insert(self.facts.table).values(row))

    def _write_members(self, item: E) -> None:
        key = getattr(item, self.key)
        for field, members in self.members.items():
            self._connection.execute(delete(members.table).where(members.table.c[members.owner] == key))
            values = sorted(getattr(item, field))
            if values:
                rows = [{members.owner: key, members.member: value} for value in values]
                self._connection.execute(insert(members.table), rows)

    def _facts_row(self, facts: object) -> dict[str, Any]:
        return {"facts": facts} | {name: getattr(facts, name) for name in self._facts_table().beside}

    def _facts_table(self) -> Facts:
        if self.facts is None:
            raise TypeError(f"a {self.noun} has no facts")
        return self.facts

    @contextmanager
    def _told(self, item: E) -> Iterator[None]:
        """What a database refuses, said in our words."""
        try:
            yield
        except IntegrityError as error:
            reason = str(error.orig).lower()
            if "foreign key" in reason:
                raise BadReference(noun=self.noun) from error
            if "unique" in reason:
                raise NameInUse(noun=self.noun, name=getattr(item, "name", "")) from error
            raise
