# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How nouns hang together, as SQL: from a statement that gives ids of one noun to a condition on another."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, select

Link = Callable[[Select[Any]], ColumnElement[bool]]


def to(column: Column[Any]) -> Link:
    """Our column holds the related noun's id."""
    return lambda ids: column.in_(ids)


def back(column: Column[Any], own: Column[Any]) -> Link:
    """The related noun's column holds our id."""
    related = column.table.c["id"]
    return lambda ids: own.in_(select(column).where(related.in_(ids)))


def via(mine: Column[Any], theirs: Column[Any], own: Column[Any], *conditions: ColumnElement[bool]) -> Link:
    """A table of pairs holds both ids."""
    return lambda ids: own.in_(select(mine).where(theirs.in_(ids), *conditions))
