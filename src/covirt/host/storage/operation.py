# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One long operation: what it does, how far it is, and why it is refused; storage.operations keeps the book."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from covirt.common.errors import Conflict, InvalidRequest, NotFound, Unavailable

Params = Mapping[str, Any]


class NoSuchOperation(NotFound):
    template = "there is no operation {id} on this host; it was cleared, or another host does it"


class OperationExists(Conflict):
    template = "there is an operation {id} already; choose another id"


class OperationNotDone(Conflict):
    template = "operation {id} is {state}; stop it or wait for its end"


class OperationNotActive(Conflict):
    template = "operation {id} is {state} already; there is nothing to stop"


class OperationsStopping(Unavailable):
    template = "covirt-host is stopping; try again when it is back"


class OperationStopped(Conflict):
    template = "the operation was stopped on request"


class OperationCutShort(Unavailable):
    template = "covirt-host ended while the operation ran; what it had done was taken back, start it again"


class UnknownOperationKind(Conflict):
    template = "this covirt-host does not know how to take back {kind!r}; the version that began it does"


class BadOperationId(InvalidRequest):
    template = "{name} is {id!r}, which is not a UUID"


class State(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    ABORTING = "aborting"  # asked to stop, and not yet back
    UNDOING = "undoing"
    DONE = "done"
    ABORTED = "aborted"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL: Final = frozenset({State.DONE, State.ABORTED, State.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What an operation does. ``undo`` must bear being called twice, and when only half or nothing was done: what is
    gone already is fine. NotFound and Unavailable tell that its storage is not here, and it is tried again later.

    ``again``: after a kill the operation is run once more instead of being undone (a removal, for one).
    """

    name: str
    run: "Callable[[Params, Control], object]"
    undo: Callable[[Params], object] = lambda _params: None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One operation as it is on disk. ``undone`` is None where nothing had to be undone."""

    id: str
    kind: str
    params: Params
    state: State = State.PENDING
    stop_asked: bool = False
    code: int = 0
    message: str = ""
    undone: bool | None = None
    ended_at: float | None = None  # seconds since the epoch


class Control:
    """What running work is given: whether to stop, how to tell how far it is, and what must not be written down."""

    def __init__(self, secrets: Params) -> None:
        self.secrets = secrets
        self._lock = threading.Lock()
        self._stopping = False
        self._stoppers: list[Callable[[], object]] = []
        self._progress_percent: int | None = None

    @property
    def progress_percent(self) -> int | None:
        return self._progress_percent

    def progress(self, percent: float) -> None:
        self._progress_percent = max(0, min(100, int(percent)))

    def check(self) -> None:
        """Raises OperationStopped when a stop was asked for."""
        if self._stopping:
            raise OperationStopped

    def on_stop(self, stopper: Callable[[], object]) -> Callable[[], None]:
        """Call ``stopper`` (it must not block) when a stop is asked for, at once if it was. Gives what forgets it."""
        with self._lock:
            self._stoppers.append(stopper)
            late = self._stopping
        if late:
            stopper()
        return lambda: self._forget(stopper)

    def _forget(self, stopper: Callable[[], object]) -> None:
        with self._lock:
            self._stoppers.remove(stopper)

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            stoppers = list(self._stoppers)
        for stopper in stoppers:
            stopper()


def checked_id(text: str, name: str = "an id") -> str:
    """The UUID in its usual spelling, safe as a file name. Raises BadOperationId."""
    try:
        return str(UUID(text))
    except ValueError:
        raise BadOperationId(name=name, id=text) from None
