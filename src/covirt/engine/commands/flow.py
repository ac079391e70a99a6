# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One run of a command: its steps as a durable workflow's, as a job's, and their undoing."""

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar, cast

from dbos import DBOS

from covirt.common.errors import Error, Unavailable
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Doing, Interrupted, JsonValue, StepFunction, now
from covirt.engine.commands.errors import NotDone, meaning_of, refusal
from covirt.engine.commands.services import CommandServices
from covirt.engine.model.event import JobStatus, Severity, Step, StepType
from covirt.engine.store.errors import DatabaseBusy, DatabaseUnreachable

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_TOLD_AFTER: Final = 5  # attempts
_DATABASE_PAUSE_SECONDS: Final = 1.0
_WAITS: Final = AuditMessage(
    code=15010,
    text="{operation} has failed and waits to be undone ({step}): {reason}",
    severity=Severity.WARNING,
)
_NOT_UNDONE: Final = AuditMessage(
    code=15011,
    text="{operation} has failed and cannot be undone ({step}): {reason} Look after what is left of it by hand.",
    severity=Severity.ERROR,
)


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Undo:
    title: str
    function: StepFunction
    arguments: tuple[JsonValue, ...]


class CommandFlow:
    """Used by the thread of the workflow only."""

    def __init__(self, services: CommandServices, asked: Asked, job_id: str, stopping: threading.Event) -> None:
        self._services = services
        self._asked = asked
        self._job_id = job_id
        self._stopping = stopping
        self._number = 0
        self._undos: list[_Undo] = []

    def step(
        self, title: str, function: StepFunction, *arguments: JsonValue, undo: StepFunction | None = None
    ) -> JsonValue:
        """As Flow.step."""
        if undo is not None:
            self._undos.append(_Undo(title=title, function=undo, arguments=arguments))
        return self._recorded(title, lambda doing: function(doing, *arguments))

    def undo(self) -> None:
        """All steps, the last one first. One that cannot be undone is told of, and the others are undone."""
        while self._undos:
            undo = self._undos.pop()
            try:
                self._recorded(f"Undoing: {undo.title}", self._patient(undo))
            except Error as error:
                log.error("A step cannot be undone job=%s step=%r reason=%s", self._job_id, undo.title, error)

    def _patient(self, undo: _Undo) -> Callable[[Doing], JsonValue]:
        """What does not answer now does so some day, or is removed from the engine; until then nobody else changes
        what the operation has locked."""

        def undone(doing: Doing) -> JsonValue:
            attempts, pause_seconds = 0, _FIRST_PAUSE_SECONDS
            while True:
                try:
                    return undo.function(doing, *undo.arguments)
                except Unavailable as error:
                    log.warning("Undoing is tried again step=%r reason=%s", undo.title, error)
                    attempts += 1
                    if attempts == _TOLD_AFTER:
                        self._tell(doing, _WAITS, undo, error)
                except Error as error:
                    self._tell(doing, _NOT_UNDONE, undo, error)
                    raise
                doing.pause(pause_seconds)
                pause_seconds = min(_LONGEST_PAUSE_SECONDS, pause_seconds * 2)

        return undone

    def _tell(self, doing: Doing, message: AuditMessage, undo: _Undo, error: Error) -> None:
        def told_once() -> None:
            with self._services.store.read() as session:
                operation = session.jobs.get(self._job_id).description
            doing.tell(message, operation=operation, step=undo.title, reason=error)

        patiently(self._stopping, told_once)

    def _recorded(self, title: str, function: Callable[[Doing], JsonValue]) -> JsonValue:
        """Failures are results, too: a workflow that runs again must meet them again."""
        self._number += 1
        number = self._number
        answer = DBOS.run_step({"name": f"{number} {title}"}, self._done, number, title, function)
        if "meaning" in answer:
            raise refusal(str(answer["meaning"]), str(answer["reason"]))
        return answer["result"]

    def _done(self, number: int, title: str, function: Callable[[Doing], JsonValue]) -> dict[str, JsonValue]:
        step_id = str(uuid.uuid5(uuid.UUID(self._job_id), str(number)))
        doing = Doing(
            services=self._services,
            asked=self._asked,
            job_id=self._job_id,
            step_id=step_id,
            stopping=self._stopping,
        )
        patiently(self._stopping, lambda: self._show_begin(step_id, number, title))
        answer = _answer(doing, function)
        status = JobStatus.FAILED if "meaning" in answer else JobStatus.FINISHED
        patiently(self._stopping, lambda: self._show_end(step_id, status))
        return answer

    def _show_begin(self, step_id: str, number: int, title: str) -> None:
        step = Step(
            id=step_id,
            job_id=self._job_id,
            number=number,
            type=StepType.EXECUTING,
            description=title,
            status=JobStatus.STARTED,
            start_time=now(),
        )
        with self._services.store.write() as session:
            if session.steps.find(id=step_id) is None:
                session.steps.add(step)

    def _show_end(self, step_id: str, status: JobStatus) -> None:
        with self._services.store.write() as session:
            step = session.steps.get(step_id)
            session.steps.update(replace(step, status=status, end_time=now()))
            session.jobs.update(replace(session.jobs.get(self._job_id), last_updated=now()))


def patiently(stopping: threading.Event, work: Callable[[], T]) -> T:
    """What an operation writes of itself: when the database does not take it now, nothing goes on without it. Raises
    Interrupted when the engine stops meanwhile."""
    while True:
        try:
            return work()
        except (DatabaseBusy, DatabaseUnreachable) as error:
            log.warning("The database is waited for reason=%s", error)
            if stopping.wait(_DATABASE_PAUSE_SECONDS):
                raise Interrupted from error


def _answer(doing: Doing, function: Callable[[Doing], JsonValue]) -> dict[str, JsonValue]:
    try:
        return {"result": function(doing)}
    except Error as error:
        return {"meaning": meaning_of(error), "reason": str(error)}
    except Exception as error:  # noqa: BLE001 - the edge: a bug fails the operation, which is undone
        return _told(error)


def _told(error: Exception) -> dict[str, JsonValue]:
    incident = str(uuid.uuid4())
    log.error("An operation failed for a reason that is a bug incident=%s", incident, exc_info=error)
    return {"meaning": "unavailable", "reason": str(NotDone(incident=incident))}


def told(error: Exception) -> Error:
    """As an error for who waits."""
    answer = cast(dict[str, str], _told(error))
    return refusal(answer["meaning"], answer["reason"])
