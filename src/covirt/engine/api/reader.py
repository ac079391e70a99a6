# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The transaction in which a request reads. It is put away before something is changed, which may take a while: the
connection is free then, and what is read afterwards is as it is afterwards."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from covirt.engine.store.session import Session
from covirt.engine.store.store import Store


class Reader:
    """Used by one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open = ExitStack()
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """All that is read until release() is of one state."""
        if self._session is None:
            self._session = self._open.enter_context(self._store.read())
        return self._session

    def release(self) -> None:
        self._session = None
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As the end of ``with store.read()``, which says in our words what the database says."""
        self._session = None
        self._open.__exit__(kind, error, trace)
