# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Operations without a workflow's records: each runs to its end in the thread that begins it."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from covirt.common.errors import Error
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.command import WAIT_SECONDS, Command, Doing, Finish, JsonValue, Outcome, Start, now
from covirt.engine.commands.errors import meaning_of, refusal
from covirt.engine.commands.services import CommandServices
from covirt.engine.model.command import CommandRow, CommandState
from covirt.engine.model.event import Job, JobStatus
from covirt.engine.store.plain import from_text, to_text


@dataclass
class DirectFlow:
    doing: Doing
    again: bool  # run each step twice, as after a kill
    undos: list[Callable[[], JsonValue]] = field(default_factory=list)

    def step(
        self,
        title: str,
        function: Callable[..., JsonValue],
        *arguments: JsonValue,
        undo: Callable[..., JsonValue] | None = None,
    ) -> JsonValue:
        assert title
        if undo is not None:
            self.undos.append(lambda: undo(self.doing, *arguments))
        if self.again:
            function(self.doing, *arguments)
        return function(self.doing, *arguments)


class DirectCommands:
    """What a command is made of goes through the database's JSON, as it does in an engine."""

    def __init__(self, services: CommandServices, *, again: bool = False) -> None:
        self.services = services
        self.again = again

    def run(self, asked: Asked, command: Command, *, wait_seconds: float = WAIT_SECONDS) -> Outcome:
        del wait_seconds
        command = from_text(type(command), to_text(command))
        job_id, began = str(uuid.uuid4()), now()
        with self.services.store.write() as session:
            job = Job(id=job_id, description="", status=JobStatus.STARTED, start_time=began, last_updated=began)
            session.jobs.add(job)
            row = CommandRow(id=job_id, action=command.action, parameters="{}", asked="{}", begun=began)
            session.commands.add(row)
            command.begin(Start(session, asked, self.services, job_id))
        doing = Doing(services=self.services, asked=asked, job_id=job_id, step_id="", stopping=threading.Event())
        flow = DirectFlow(doing, self.again)
        error, result = self._result(command, flow)
        with self.services.store.write() as session:
            finish = Finish(session, asked, self.services, result)
            command.succeeded(finish) if error is None else command.failed(finish, str(error))
            state = CommandState.FINISHED if error is None else CommandState.FAILED
            session.commands.end(job_id, state, now=now())
        if error is not None:
            raise refusal(meaning_of(error), str(error))
        return Outcome(job_id=job_id, pending=False, result=result)

    @staticmethod
    def _result(command: Command, flow: DirectFlow) -> tuple[Error | None, JsonValue]:
        try:
            return None, command.run(flow)
        except Error as error:
            for undo in reversed(flow.undos):
                try:
                    undo()
                except Error:
                    continue  # as an engine, which tells of it in its log
            return error, None
