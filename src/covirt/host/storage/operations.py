# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Long work that is written down before it begins, so that a killed agent finishes or undoes it at the next start.

Tasks (the pool's verbs) and jobs (the storage domains' verbs) are two books of such operations. What one does
is its kind: a name, a function that does it, one that takes it back, and whether doing it again finishes what was cut
short. Its parameters are JSON, since after a kill only the record is left.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from covirt.common.errors import Error, NotFound, Unavailable
from covirt.common.files import BrokenFile, UnknownFileVersion, make_directory, read_json, write_json
from covirt.common.log import carrying_flow
from covirt.host.storage.lanes import Lanes, NoMoreThreads, lane_of
from covirt.host.storage.operation import (
    Control,
    Kind,
    NoSuchOperation,
    OperationCutShort,
    OperationExists,
    OperationNotActive,
    OperationNotDone,
    OperationsStopping,
    OperationStopped,
    Params,
    Record,
    State,
    UnknownOperationKind,
    checked_id,
)
from covirt.host.storage.storage_errors import NoSuchStorageDomain, StorageDomainSilent, StorageDomainUnusable

log = logging.getLogger(__name__)

_VERSION: Final = 1
# After a reboot nothing is connected before an engine says so.
_STORAGE_AWAY: Final = (NoSuchStorageDomain, StorageDomainSilent, StorageDomainUnusable)
_STOP_SECONDS: Final = 5.0  # a thread that storage holds longer is left behind

Describe = Callable[[BaseException], tuple[int, str]]


@dataclass(slots=True)
class _Entry:
    record: Record
    control: Control
    taken: bool = False  # queued or in a thread: resume() leaves it alone
    lock: threading.Lock = field(default_factory=threading.Lock)


class Operations:
    """A book of operations of one sort, at most ``workers`` of a storage domain at a time. ``on_end`` is told of each
    one's end, once, from the thread that ended it."""

    def __init__(
        self,
        *,
        name: str,
        directory: Path,
        describe: Describe,
        kinds: Sequence[Kind] = (),
        workers: int,
        on_end: Callable[[Record], object] = lambda _record: None,
        keep_seconds: float | None = None,
    ) -> None:
        self._name = name
        self._directory = directory
        self._kinds: dict[str, Kind] = {}
        self.add_kinds(kinds)
        self._describe = describe
        self._on_end = on_end
        self._keep_seconds = keep_seconds
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._stopping = False
        self._lanes = Lanes(limit=workers, name=name)

    def add_kinds(self, kinds: Sequence[Kind]) -> None:
        """What parts bring; all of them before start()."""
        self._kinds |= {kind.name: kind for kind in kinds}

    def start(self) -> None:
        """Read what the last life left, and see to it that what was cut short is finished or undone."""
        make_directory(self._directory, mode=0o700)
        for path in sorted(self._directory.glob("*.json")):
            record = self._read(path)
            if record is not None:
                self._entries[record.id] = _Entry(record, Control({}))
        self.resume()

    def resume(self) -> None:
        """Take up what waits to be finished or undone: at the start, and again when storage has become reachable."""
        with self._lock:
            waiting = [entry for entry in self._entries.values() if not (entry.taken or entry.record.state.is_final)]
            for entry in waiting:
                entry.taken = True
        for entry in waiting:
            try:
                self._queue(entry, self._resume)
            except NoMoreThreads as error:  # the others have lanes of their own
                log.warning("Operation waits book=%s id=%s: %s", self._name, entry.record.id, error)

    def stop(self) -> None:
        """End what runs as if stopped; it is undone at the next start if there is no time left now."""
        with self._lock:
            self._stopping = True
            entries = list(self._entries.values())
        for entry in entries:
            if not entry.record.state.is_final:
                entry.control.stop()
        self._lanes.stop(timeout_seconds=_STOP_SECONDS)

    def submit(self, kind: str, params: Params, *, operation_id: str, secrets: Params | None = None) -> str:
        """Write the operation down and queue it. ``secrets`` reach the work and are written nowhere. Raises
        OperationExists, OperationsStopping, NoMoreThreads."""
        operation_id = checked_id(operation_id)
        entry = _Entry(Record(id=operation_id, kind=kind, params=params), Control(secrets or {}), taken=True)
        if kind not in self._kinds:
            raise KeyError(kind)
        with self._lock:
            if self._stopping:
                raise OperationsStopping
            self._forget_old()
            if operation_id in self._entries:
                raise OperationExists(id=operation_id)
            self._entries[operation_id] = entry
        try:
            self._write(entry.record)
            self._queue(entry, self._run)
        except (OSError, NoMoreThreads):
            with self._lock:
                del self._entries[operation_id]
            self._path(operation_id).unlink(missing_ok=True)
            raise
        log.info("Operation queued book=%s id=%s kind=%s", self._name, operation_id, kind)
        return operation_id

    def get(self, operation_id: str) -> Record:
        """Raises NoSuchOperation."""
        return self._entry(operation_id).record

    def progress_of(self, operation_id: str) -> int | None:
        """Percent; None where nobody knows, or knows the operation."""
        with self._lock:
            entry = self._entries.get(operation_id)
        return None if entry is None else entry.control.progress_percent

    def list(self) -> Sequence[Record]:
        with self._lock:
            self._forget_old()
            return [entry.record for entry in self._entries.values()]

    def abort(self, operation_id: str) -> None:
        """Ask for a stop and return. What waits for its storage is given up. Raises OperationNotActive when ended."""
        entry = self._entry(operation_id)
        ended = None
        with entry.lock:
            record = entry.record
            if record.state.is_final:
                raise OperationNotActive(id=record.id, state=record.state)
            if record.state is State.PENDING:
                ended = self._change(entry, state=State.ABORTED, stop_asked=True, ended_at=time.time())
            elif not entry.taken:
                ended = self._change(entry, state=State.ABORTED, stop_asked=True, undone=False, ended_at=time.time())
            else:
                state = State.ABORTING if record.state is State.RUNNING else record.state
                self._change(entry, state=state, stop_asked=True)
        log.info("Operation stops book=%s id=%s", self._name, record.id)
        if ended is not None:
            self._on_end(ended)
        entry.control.stop()

    def revert(self, operation_id: str) -> None:
        """Take back what was done. Raises OperationNotDone while it still runs, and NoMoreThreads."""
        entry = self._ended(operation_id)
        with entry.lock:
            before = self._ended(operation_id).record.state  # still ended, and not cleared
            self._change(entry, state=State.UNDOING)
            entry.taken = True
        try:
            self._queue(entry, self._undo)
        except NoMoreThreads:
            with entry.lock:
                self._change(entry, state=before)
            raise

    def clear(self, operation_id: str) -> None:
        """Forget one that has ended. Raises OperationNotDone."""
        entry = self._ended(operation_id)
        with entry.lock:
            self._ended(operation_id)  # still
            with self._lock:
                self._entries.pop(entry.record.id, None)
            self._path(entry.record.id).unlink(missing_ok=True)

    def _entry(self, operation_id: str) -> _Entry:
        with self._lock:
            try:
                return self._entries[operation_id.lower()]
            except KeyError:
                raise NoSuchOperation(id=operation_id) from None

    def _ended(self, operation_id: str) -> _Entry:
        entry = self._entry(operation_id)
        if not entry.record.state.is_final:
            raise OperationNotDone(id=operation_id, state=entry.record.state)
        return entry

    def _queue(self, entry: _Entry, step: Callable[[_Entry], object]) -> None:
        def work() -> None:
            try:
                step(entry)
            finally:
                with entry.lock:
                    entry.taken = False
                    given_up = entry.record.state is State.ABORTING  # asked for as it began to wait
                if given_up:
                    self._end(entry, State.ABORTED, undone=False)

        try:
            # False only when stopping: the record waits for the next start.
            self._lanes.submit(lane_of(entry.record.params), carrying_flow(work))
        except NoMoreThreads:
            with entry.lock:
                entry.taken = False
            raise

    def _run(self, entry: _Entry) -> None:
        with entry.lock:
            if entry.record.state is not State.PENDING:  # aborted before its turn
                return
            self._change(entry, state=State.RUNNING)
        self._do(entry)

    def _do(self, entry: _Entry, *, waits: bool = False) -> None:
        """``waits``: where its storage is not here, resume() tries again."""
        record = entry.record
        try:
            entry.control.check()
            self._kind(record).run(record.params, entry.control)
            # Not done unless it is written: a killed agent's successor would undo it.
            self._end(entry, State.DONE, must_write=True)
        except Exception as error:  # noqa: BLE001 - the top of a thread; the cause is told with the operation
            if waits and isinstance(error, _STORAGE_AWAY) and not entry.record.stop_asked:
                log.warning("Operation waits to be finished book=%s id=%s: %s", self._name, record.id, error)
                return
            self._failed(entry, self._cause(entry.record, error))

    def _cause(self, record: Record, error: Exception) -> Exception:
        """A program that was ended because of a stop says only that it was ended."""
        if record.stop_asked:
            return OperationStopped()
        return OperationCutShort() if self._stopping else error

    def _failed(self, entry: _Entry, error: Exception) -> None:
        record = entry.record
        if isinstance(error, Error):
            log.warning("Operation failed book=%s id=%s kind=%s: %s", self._name, record.id, record.kind, error)
        else:
            log.error("Operation failed book=%s id=%s kind=%s", self._name, record.id, record.kind, exc_info=error)
        code, message = self._describe(error)
        with entry.lock:
            self._change(entry, state=State.UNDOING, code=code, message=message)
        self._undo(entry)

    def _undo(self, entry: _Entry) -> None:
        record = entry.record
        try:
            self._kind(record).undo(record.params)
        except (NotFound, Unavailable) as error:
            # Its storage is not here now: resume() tries again.
            log.warning("Operation waits to be undone book=%s id=%s: %s", self._name, record.id, error)
            return
        except Exception:
            log.exception("Operation cannot be undone book=%s id=%s kind=%s", self._name, record.id, record.kind)
            undone = False
        else:
            undone = True
        self._end(entry, State.ABORTED if entry.record.stop_asked else State.FAILED, undone=undone)

    def _end(self, entry: _Entry, state: State, *, undone: bool | None = None, must_write: bool = False) -> None:
        with entry.lock:
            record = self._change(entry, must_write=must_write, state=state, undone=undone, ended_at=time.time())
        log.info("Operation ended book=%s id=%s kind=%s state=%s", self._name, record.id, record.kind, state)
        self._on_end(record)

    def _resume(self, entry: _Entry) -> None:
        record = entry.record
        if record.state.is_final:  # given up in the meantime
            return
        if record.state is State.PENDING:  # nothing was done
            self._failed(entry, OperationCutShort())
        elif record.state is State.RUNNING and self._finishes_again(record):
            self._do(entry, waits=True)
        elif record.state is State.UNDOING:
            self._undo(entry)
        else:
            self._failed(entry, OperationCutShort())

    def _finishes_again(self, record: Record) -> bool:
        kind = self._kinds.get(record.kind)
        return kind is not None and kind.again

    def _kind(self, record: Record) -> Kind:
        try:
            return self._kinds[record.kind]
        except KeyError:
            raise UnknownOperationKind(kind=record.kind) from None

    def _change(self, entry: _Entry, *, must_write: bool = False, **changes: Any) -> Record:
        """The caller holds the entry's lock."""
        record = replace(entry.record, **changes)
        try:
            self._write(record)
        except OSError:
            if must_write:
                raise
            log.exception("Operation cannot be written down book=%s id=%s", self._name, record.id)
        entry.record = record
        return record

    def _forget_old(self) -> None:
        if self._keep_seconds is None:
            return
        limit = time.time() - self._keep_seconds
        for operation_id, entry in list(self._entries.items()):
            ended_at = entry.record.ended_at
            if entry.record.state.is_final and ended_at is not None and ended_at < limit:
                del self._entries[operation_id]
                self._path(operation_id).unlink(missing_ok=True)

    def _path(self, operation_id: str) -> Path:
        return self._directory / f"{operation_id}.json"

    def _write(self, record: Record) -> None:
        value = {
            "id": record.id,
            "kind": record.kind,
            "params": dict(record.params),
            "state": record.state,
            "stop_asked": record.stop_asked,
            "code": record.code,
            "message": record.message,
            "undone": record.undone,
            "ended_at": record.ended_at,
        }
        write_json(self._path(record.id), value, version=_VERSION)

    def _read(self, path: Path) -> Record | None:
        try:
            value = read_json(path, versions=range(1, _VERSION + 1))
            value.pop("version")
            return Record(**{**value, "state": State(value["state"])})
        except (BrokenFile, UnknownFileVersion, TypeError, KeyError, ValueError) as error:
            log.error("Operation's record is not readable path=%s: %s", path, error)
            return None


class Book:
    """What tasks and jobs are alike in: each is a book of operations under words of its own."""

    def __init__(self, book: Operations) -> None:
        self._book = book

    def add_kinds(self, kinds: Sequence[Kind]) -> None:
        self._book.add_kinds(kinds)

    def start(self) -> None:
        self._book.start()

    def stop(self) -> None:
        self._book.stop()

    def resume(self) -> None:
        """Storage has become reachable: undo what waited for it."""
        self._book.resume()

    def list(self) -> Sequence[Record]:
        return self._book.list()
