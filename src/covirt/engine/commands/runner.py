# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Runs commands as durable workflows (DBOS): begun in one transaction, carried on after a kill, ended in one.

The row of a command is written with its locks before the workflow is begun, so that a kill between both is mended at
the next start: what is running by its row and unknown to DBOS is begun then.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from dbos import DBOS, Serializer, SetWorkflowID

from covirt.common.errors import Error
from covirt.common.log import in_flow
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.command import WAIT_SECONDS, Command, Finish, JsonValue, Outcome, Start, now
from covirt.engine.commands.errors import EngineStops, KeyOfAnother, RefusedAsUnavailable, meaning_of, refusal
from covirt.engine.commands.flow import CommandFlow, patiently, told
from covirt.engine.commands.services import CommandServices
from covirt.engine.model.command import CommandRow, CommandState
from covirt.engine.model.event import Job, JobStatus
from covirt.engine.store.plain import from_text, to_text

log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.1
_AT_ONCE: Final = 200  # are forgotten: others want to write, too
_WAITERS: Final = 30
_THREADS: Final = 200  # each operation has one, also while it waits for a host to be undone on
# Both mark whose workflows are carried on, and an engine carries on those of any engine of this database.
_EXECUTOR: Final = "covirt-engine"
_VERSION: Final = "1"


class _Json(Serializer):
    """DBOS would pickle; whoever could write to the database could then run code."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data)

    def deserialize(cls, serialized_data: str) -> Any:  # noqa: N805 - as the base class has it
        return json.loads(serialized_data)

    def name(self) -> str:
        return "json"


class _AskedBefore(Exception):
    def __init__(self, row: CommandRow) -> None:
        super().__init__(row.id)
        self.row = row


class Commands:
    """From start() to stop(). There is one in a process: DBOS knows one."""

    def __init__(
        self,
        services: CommandServices,
        table: Mapping[str, type[Command]],
        *,
        database_url: str,
        waiters: int = _WAITERS,
    ) -> None:
        """``waiters``: how many requests wait for the end of what they asked for; others are told that it goes on, so
        that somebody is left to answer."""
        self._services = services
        self._table = table
        self._database_url = database_url
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._ended: dict[str, threading.Event] = {}
        self._waiters = threading.BoundedSemaphore(waiters)
        self._running = 0
        self._idle = threading.Condition(self._lock)

    def start(self) -> None:
        """Carry on what was under way when the last engine ended."""
        global _current
        _current = self
        logging.getLogger("dbos").setLevel(logging.WARNING)
        DBOS(
            config={
                "name": "covirt-engine",
                "system_database_url": self._database_url,
                "executor_id": _EXECUTOR,
                "application_version": _VERSION,
                "serializer": _Json(),
                "max_executor_threads": _THREADS,
                "use_listen_notify": False,
                "log_level": "WARNING",
            }
        )
        DBOS.launch()
        with self._services.store.read() as session:
            pending = session.commands.running()
        for command_id in pending:
            log.info("Carrying on an operation job=%s", command_id)
            if DBOS.get_workflow_status(command_id) is None:  # otherwise DBOS has begun it again already
                self._begin_workflow(command_id)

    def stop(self) -> None:
        """Steps under way are given some time to end; those that do not are run again at the next start."""
        self._stopping.set()
        with self._idle:
            self._idle.wait_for(lambda: not self._running, _STOP_SECONDS)
        DBOS.destroy()
        with self._lock:
            for ended in self._ended.values():
                ended.set()

    def run(self, asked: Asked, command: Command, *, wait_seconds: float = WAIT_SECONDS) -> Outcome:
        """Begin it, and wait a while for its end. Raises what begin() raised, or when it failed in that time what
        its step raised, after it was undone."""
        if self._stopping.is_set():
            raise EngineStops
        repeatable = asked.repeatable
        made = None if repeatable is None else repeatable.made_id(asked.user_id or "", f"operation {command.action}")
        command_id = made or str(uuid.uuid4())
        ended = threading.Event()
        with self._lock:
            own = self._ended.setdefault(command_id, ended) is ended
        try:
            self._begin(command_id, asked, command)
            self._begin_workflow(command_id)
            self._waited(lambda: ended.wait(wait_seconds))
        except _AskedBefore as before:
            row = before.row
            self._waited(lambda: self._wait_for_first(row, asked, wait_seconds))
        finally:
            with self._lock:
                if own:
                    self._ended.pop(command_id, None)
        return self.outcome(command_id)

    def _waited(self, wait: Callable[[], object]) -> None:
        if self._waiters.acquire(blocking=False):
            try:
                wait()
            finally:
                self._waiters.release()

    def _wait_for_first(self, row: CommandRow, asked: Asked, wait_seconds: float) -> None:
        """The request came before, or comes now a second time. Raises KeyOfAnother."""
        first: Asked = from_text(Asked, row.asked)
        if first.repeatable != asked.repeatable:
            raise KeyOfAnother
        until = time.monotonic() + wait_seconds
        while self.outcome(row.id).pending and time.monotonic() < until:
            if self._stopping.wait(_LOOK_SECONDS):
                break

    def _row(self, command_id: str) -> CommandRow:
        with self._services.store.read() as session:
            return session.commands.get(command_id)

    def outcome(self, command_id: str) -> Outcome:
        """As it is now. Raises what it failed with, and NoSuchObject."""
        row = self._row(command_id)
        if row.state is CommandState.FAILED:
            raise refusal(row.meaning or "", row.reason or "")
        return Outcome(
            job_id=command_id,
            pending=row.state is CommandState.RUNNING,
            result=json.loads(row.result) if row.result else None,
        )

    def forget(self, *, before: datetime) -> int:
        """Operations that ended before, with their jobs. How many."""
        forgotten = 0
        while not self._stopping.is_set():
            with self._services.store.read() as session:
                found = session.history.ended_jobs(before=before, most=_AT_ONCE)
            if not found:
                break
            # first, so that what a kill leaves is found again
            DBOS.delete_workflows(list(found))
            with self._services.store.write() as session:
                session.history.remove_jobs(found)
            forgotten += len(found)
        return forgotten

    def carry_out(self, command_id: str) -> None:
        """The workflow. Runs again from its start after a kill."""
        row = patiently(self._stopping, lambda: self._row(command_id))
        asked: Asked = from_text(Asked, row.asked)
        with in_flow(asked.correlation_id), self._counted():
            self._carry_out(row, asked)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _carry_out(self, row: CommandRow, asked: Asked) -> None:
        command: Command = from_text(self._table[row.action], row.parameters)
        flow = CommandFlow(self._services, asked, row.id, self._stopping)
        error: Error | None = None
        result: JsonValue = None
        try:
            result = command.run(flow)
        except Error as failure:
            error = failure
        except Exception as bug:  # noqa: BLE001 - the edge: it is undone, and the objects are free again
            error = told(bug)
        if error is not None:
            log.warning("An operation failed action=%s job=%s reason=%s", row.action, row.id, error)
            flow.undo()
        failed = DBOS.run_step({"name": "end"}, self._end, row, asked, command, result, error)
        if failed is not None:
            if error is None:
                flow.undo()
            DBOS.run_step({"name": "end after all"}, self._end_after_all, row, asked, command, failed)
        with self._lock:
            ended = self._ended.get(row.id)
        if ended is not None:
            ended.set()

    def _begin(self, command_id: str, asked: Asked, command: Command) -> None:
        began = now()
        job = Job(
            id=command_id,
            description=command.action,
            status=JobStatus.STARTED,
            start_time=began,
            last_updated=began,
            owner_id=asked.user_id,
            correlation_id=asked.correlation_id,
            action=command.action,
        )
        row = CommandRow(
            id=command_id,
            action=command.action,
            parameters=to_text(command),
            asked=to_text(asked),
            begun=began,
        )
        with self._services.store.change() as session:
            there = session.commands.find(command_id) if asked.repeatable is not None else None
            if there is not None:
                raise _AskedBefore(there)
            session.jobs.add(job)
            session.commands.add(row)
            command.begin(Start(session, asked, self._services, command_id))

    @staticmethod
    def _begin_workflow(command_id: str) -> None:
        with SetWorkflowID(command_id):
            DBOS.start_workflow(_workflow, command_id)

    def _end(
        self, row: CommandRow, asked: Asked, command: Command, result: JsonValue, error: Error | None
    ) -> str | None:
        """May run twice: the second time nothing is left to end. What a bug in the command's own end is told as."""
        try:
            patiently(self._stopping, lambda: self._write_end(row, asked, command, result, error))
        except Exception as bug:  # noqa: BLE001 - nothing may stay locked for it
            return str(told(bug))
        return None

    def _end_after_all(self, row: CommandRow, asked: Asked, command: Command, reason: str) -> None:
        """As failed, so that it mends its words for what it is about; and if it cannot do that, without it."""
        error = RefusedAsUnavailable(text=reason)
        try:
            patiently(self._stopping, lambda: self._write_end(row, asked, command, None, error))
        except Exception as bug:  # noqa: BLE001 - as above
            failure = told(bug)
            patiently(self._stopping, lambda: self._write_end(row, asked, None, None, failure))

    def _write_end(
        self, row: CommandRow, asked: Asked, command: Command | None, result: JsonValue, error: Error | None
    ) -> None:
        state = CommandState.FINISHED if error is None else CommandState.FAILED
        ended = now()
        with self._services.store.change() as session:
            done = session.commands.end(
                row.id,
                state,
                now=ended,
                meaning=None if error is None else meaning_of(error),
                reason=None if error is None else str(error),
                result=json.dumps(result),
            )
            if not done:
                return
            if command is not None:
                finish = Finish(session, asked, self._services, result)
                command.succeeded(finish) if error is None else command.failed(finish, str(error))
            status = JobStatus.FINISHED if error is None else JobStatus.FAILED
            job = session.jobs.get(row.id)
            session.jobs.update(replace(job, status=status, last_updated=ended, end_time=ended))


_current: Commands | None = None  # DBOS finds its workflows by the names of functions


@DBOS.workflow(name="command", max_recovery_attempts=None)
def _workflow(command_id: str) -> None:
    assert _current is not None  # noqa: S101 - it is set before DBOS is launched
    _current.carry_out(command_id)
