# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a durable operation is, and what its parts are given.

A command's fields are its parameters. ``begin`` runs once, in one transaction. ``run`` may run again from its start
after the engine was killed: steps that ended are not run a second time but give what they gave, and the one that was
under way is run again. So ``run`` decides by its arguments and by what steps give, and by nothing else.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar, Final, Protocol, TypeAlias

from covirt.engine.commands.asked import Asked
from covirt.engine.commands.audit import NOTHING, About, AuditMessage, tell
from covirt.engine.commands.change import Change
from covirt.engine.commands.services import CommandServices
from covirt.engine.store.session import Session

WAIT_SECONDS: Final = 10.0  # for the end of an operation, by who asked for it
# What parameters of steps and their results may be: it is kept in the database between them.
JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"


class Interrupted(BaseException):
    """The engine stops in the middle of a step, which will be run again at the next start. No Exception, so that
    nobody takes it for a failure."""


class Start(Change):
    """Inside begin()."""

    def __init__(self, session: Session, asked: Asked, services: CommandServices, job_id: str) -> None:
        super().__init__(session, asked)
        self.services = services
        self.job_id = job_id

    def lock(self, object_id: str, reason: str) -> None:
        """Nobody else changes the object until the operation has ended. ``reason`` is for who tries, as in "VM web is
        being started". Raises ObjectLocked."""
        self.session.commands.take(self.job_id, {object_id: reason})

    def describe(self, description: str, subjects: Iterable[str] = ()) -> None:
        """What the job says, and which objects it is about."""
        job = self.session.jobs.get(self.job_id)
        self.session.jobs.update(replace(job, description=description, subject_ids=frozenset(subjects)))


class Finish(Change):
    """Inside succeeded() and failed()."""

    def __init__(self, session: Session, asked: Asked, services: CommandServices, result: JsonValue) -> None:
        super().__init__(session, asked)
        self.services = services
        self.result = result


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """Inside a step. ``stopping`` is set when the engine ends."""

    services: CommandServices
    asked: Asked
    job_id: str
    step_id: str
    stopping: threading.Event

    def progress(self, percent: int) -> None:
        """Of the step, for who looks at the job."""
        with self.services.store.write() as session:
            step = session.steps.get(self.step_id)
            session.steps.update(replace(step, progress_percent=max(0, min(100, percent))))

    def tell(self, message: AuditMessage, about: About = NOTHING, **values: object) -> None:
        """An event, at once; a step that is run again tells it again."""
        with self.services.store.write() as session:
            tell(session, message, self.asked, about, **values)

    def pause(self, seconds: float) -> None:
        """Raises Interrupted when the engine stops meanwhile."""
        if self.stopping.wait(seconds):
            raise Interrupted


StepFunction: TypeAlias = Callable[..., JsonValue]  # of Doing and of the step's arguments


class Flow(Protocol):
    """What run() makes its steps with."""

    def step(
        self, title: str, function: StepFunction, *arguments: JsonValue, undo: StepFunction | None = None
    ) -> JsonValue:
        """The result of ``function(doing, *arguments)``, which is recorded. When this or a later step fails,
        ``undo(doing, *arguments)`` is a step, too, the last one first; it must cope with a step that has half
        happened, or not at all. Raises what the step raised."""
        ...


class Command(ABC):
    """Subclasses are frozen dataclasses with keyword-only fields; ``action`` is oVirt's name of the operation."""

    action: ClassVar[str]

    @abstractmethod
    def begin(self, start: Start) -> None:
        """Check rights and facts, lock, and make the first changes. Raises; then nothing has happened."""

    @abstractmethod
    def run(self, flow: Flow) -> JsonValue:
        """The steps. What it returns is what who waits is given."""

    def succeeded(self, finish: Finish) -> None:  # noqa: B027 - most have nothing to do then
        """In the last transaction, with the locks held."""

    def failed(self, finish: Finish, reason: str) -> None:  # noqa: B027
        """In the last transaction, with the locks held, after everything was undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``pending``: it goes on, and its job tells how."""

    job_id: str
    pending: bool
    result: JsonValue = None


def by_action(commands: Iterable[type[Command]]) -> Mapping[str, type[Command]]:
    """Raises ValueError for two of one name."""
    table: dict[str, type[Command]] = {}
    for command in commands:
        if table.setdefault(command.action, command) is not command:
            raise ValueError(f"two commands are called {command.action}")
    return table


def now() -> datetime:
    return datetime.now(UTC)
