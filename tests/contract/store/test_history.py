# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is over is forgotten when it is old, on both databases; what goes on, and what is young, is kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from covirt.engine.commands.history.forgetting import forget_history
from covirt.engine.config import HistoryConfig
from covirt.engine.model.command import CommandRow
from covirt.engine.model.event import Event, Job, JobStatus, Severity, Step
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store
from tests.support.engine_objects import NOON, new_id

_DAY = timedelta(days=1)


def _job(session: Session, name: str, begun: datetime, ended: datetime | None, *, auto_cleared: bool = True) -> None:
    job = Job(
        id=new_id(),
        description=name,
        status=JobStatus.FINISHED if ended else JobStatus.STARTED,
        start_time=begun,
        last_updated=begun,
        end_time=ended,
        auto_cleared=auto_cleared,
        external=not auto_cleared,
    )
    session.jobs.add(job)
    session.steps.add(Step(id=new_id(), job_id=job.id, description=name, status=job.status, start_time=begun))
    if auto_cleared:
        row = CommandRow(id=job.id, action="Cook", parameters="{}", asked="{}", begun=begun)
        session.commands.add(row)
        session.commands.take(job.id, {new_id(): "cooking"})


def test_jobs(store: Store) -> None:
    with store.write() as session:
        _job(session, "old", NOON - 9 * _DAY, NOON - 8 * _DAY)
        _job(session, "older", NOON - 20 * _DAY, NOON - 19 * _DAY)
        _job(session, "long", NOON - 9 * _DAY, NOON - _DAY)
        _job(session, "still going on", NOON - 90 * _DAY, None)
        _job(session, "not cleared", NOON - 90 * _DAY, NOON - 80 * _DAY, auto_cleared=False)
    with store.write() as session:
        first = session.history.ended_jobs(before=NOON - 7 * _DAY, most=1)
        assert [session.jobs.get(each).description for each in first] == ["older"]
        session.history.remove_jobs(session.history.ended_jobs(before=NOON - 7 * _DAY, most=10))
        assert not session.history.ended_jobs(before=NOON - 7 * _DAY, most=10)
    with store.read() as session:
        kept = {"long", "not cleared", "still going on"}
        assert {each.description for each in session.jobs.list()} == kept
        assert {each.description for each in session.steps.list()} == kept
        assert len(session.commands.running()) == 2


class _NoCommands:
    def forget(self, *, before: datetime) -> int:
        assert before < datetime.now(UTC) - 6 * _DAY
        return 0


def test_events(store: Store) -> None:
    now = datetime.now(UTC)
    event = Event(id=0, code=1, severity=Severity.NORMAL, time=now, description="it was hot")
    with store.write() as session:
        for days in (0, 1, 29, 31, 400):
            session.events.append(replace(event, time=now - days * _DAY, custom_id=days))
    forget_history(store, _NoCommands(), HistoryConfig())
    with store.read() as session:
        assert {each.custom_id for each in session.events.list()} == {0, 1, 29}
