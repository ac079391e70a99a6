# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks: the long verbs of the storage pool, kept until the engine clears them, in Vdsm's words."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import uuid4

from covirt.common.errors import Conflict, NotFound
from covirt.host.storage.operation import (
    NoSuchOperation,
    OperationNotActive,
    OperationNotDone,
    Params,
    Record,
    State,
)
from covirt.host.storage.operations import Book


class NoSuchTask(NotFound):
    template = "there is no task {id} on this host; it was cleared, or another host does it"


class TaskNotFinished(Conflict):
    template = "task {id} has not ended, so that it cannot be taken back; stop it or wait for its end"


class TaskInWrongState(Conflict):
    template = "task {id} has not ended, so that it cannot be cleared; stop it or wait for its end"


class TaskState(StrEnum):
    RUNNING = "running"
    ABORTING = "aborting"
    CLEANING = "cleaning"
    FINISHED = "finished"


class TaskResult(StrEnum):
    NONE = ""
    SUCCESS = "success"
    UNDONE = "cleanSuccess"
    NOT_UNDONE = "cleanFailure"


# What waits for its turn is "running" to Vdsm's clients, too.
_STATES: Final[Mapping[State, TaskState]] = {
    State.PENDING: TaskState.RUNNING,
    State.RUNNING: TaskState.RUNNING,
    State.ABORTING: TaskState.ABORTING,
    State.UNDOING: TaskState.CLEANING,
    State.DONE: TaskState.FINISHED,
    State.ABORTED: TaskState.FINISHED,
    State.FAILED: TaskState.FINISHED,
}


def task_state(record: Record) -> TaskState:
    return _STATES[record.state]


def task_result(record: Record) -> TaskResult:
    if record.state is State.DONE:
        return TaskResult.SUCCESS
    if not record.state.is_final:
        return TaskResult.NONE
    return TaskResult.NOT_UNDONE if record.undone is False else TaskResult.UNDONE


class Tasks(Book):
    """The book of tasks. A task's kind is the name that getInfo tells."""

    def submit(self, kind: str, params: Params) -> str:
        """Queue a task; gives its id."""
        return self._book.submit(kind, params, operation_id=str(uuid4()))

    def get(self, task_id: str) -> Record:
        """Raises NoSuchTask, as all of these."""
        try:
            return self._book.get(task_id)
        except NoSuchOperation:
            raise NoSuchTask(id=task_id) from None

    def abort(self, task_id: str) -> None:
        """One that has ended is fine."""
        self.get(task_id)
        try:
            self._book.abort(task_id)
        except OperationNotActive:
            return

    def revert(self, task_id: str) -> None:
        """Raises TaskNotFinished."""
        self.get(task_id)
        try:
            self._book.revert(task_id)
        except OperationNotDone:
            raise TaskNotFinished(id=task_id) from None

    def clear(self, task_id: str) -> None:
        """Raises TaskInWrongState."""
        self.get(task_id)
        try:
            self._book.clear(task_id)
        except OperationNotDone:
            raise TaskInWrongState(id=task_id) from None
