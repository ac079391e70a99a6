# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Column types that give back what the model holds: aware times, words of an enumeration, whole frozen values."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Dialect, ForeignKey, MetaData, String, Text
from sqlalchemy.types import TypeDecorator

from covirt.engine.store.plain import from_text, to_text

# Constraints have names, so that a migration can take them away on both databases.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Time(TypeDecorator[datetime]):
    """An aware time. SQLite keeps no zone, so all are UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


class Word(TypeDecorator[StrEnum]):
    """A member of an enumeration, as its text."""

    impl = String(40)
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        del dialect
        return None if value is None else self.kind(value)


class Whole(TypeDecorator[Any]):
    """A frozen value, or a tuple of them, as JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else to_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else from_text(self.kind, value)


def identity() -> Column[str]:
    """The primary key of a noun."""
    return Column("id", String(36), primary_key=True)


def called(*, unique: bool = False) -> tuple[Column[str], Column[str], Column[str]]:
    """What people call it; names are searched by, hence the index."""
    return (
        Column("name", String(255), nullable=False, index=not unique, unique=unique),
        Column("description", Text, nullable=False),
        Column("comment", Text, nullable=False),
    )


def ref(name: str, target: str, *, required: bool = True, on_delete: str = "RESTRICT") -> Column[str]:
    """A reference to another noun's id, as in ref("cluster_id", "clusters")."""
    return Column(name, String(36), ForeignKey(f"{target}.id", ondelete=on_delete), nullable=not required, index=True)


def flag(name: str) -> Column[bool]:
    """Yes or no."""
    return Column(name, Boolean, nullable=False)


def text(name: str) -> Column[str]:
    """A text that may be empty."""
    return Column(name, Text, nullable=False)
