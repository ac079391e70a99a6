# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An undo stack for operations of several steps: what was done is undone, newest first, when a later step fails."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class UndoStack:
    """Steps to take back. A step that fails is logged and the others still run, so no cause is hidden."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], object]]] = []

    def add(self, what: str, step: Callable[[], object]) -> None:
        """Remember ``step``; ``what`` is a short description for the log, as in "remove veth vnet3"."""
        self._steps.append((what, step))

    def undo(self) -> None:
        while self._steps:
            what, step = self._steps.pop()
            try:
                step()
            except Exception:  # an undo step may not hide the error that is being undone
                log.exception("Undo step failed step=%r", what)

    def keep(self) -> None:
        """Forget the steps: what was done stays."""
        self._steps.clear()


@contextmanager
def undo_on_failure() -> Iterator[UndoStack]:
    """Yield a stack that is undone when the block raises anything, KeyboardInterrupt included."""
    stack = UndoStack()
    try:
        yield stack
    except BaseException:
        stack.undo()
        raise
    stack.keep()
