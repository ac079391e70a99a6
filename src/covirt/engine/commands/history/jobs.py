# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs of programs outside of the engine, which tell here how far they are."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.common.errors import Conflict
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.model.event import Job, JobStatus, Step, StepType
from covirt.engine.store.query import ListQuery

_ADDED: Final = AuditMessage(code=11000, text="New external Job {description} was added by user {user}")


class NotExternal(Conflict):
    template = "Cannot change Job. It is the engine's own; only external jobs are told from outside how far they are."


def add_job(change: Change, description: str, *, auto_cleared: bool) -> str:
    """The new id."""
    change.require(Right.INJECT_EXTERNAL_TASKS)
    now = datetime.now(UTC)
    job = Job(
        id=str(uuid.uuid4()),
        description=description,
        status=JobStatus.STARTED,
        start_time=now,
        last_updated=now,
        owner_id=change.asked.user_id,
        correlation_id=change.asked.correlation_id,
        action="AddExternalJob",
        auto_cleared=auto_cleared,
        external=True,
    )
    change.session.jobs.add(job)
    change.tell(_ADDED, description=description)
    return job.id


def end_job(change: Change, job_id: str, *, succeeded: bool, force: bool = False) -> None:
    """``force``: steps that have not ended are aborted."""
    job, now = _external(change, job_id), datetime.now(UTC)
    status = JobStatus.FINISHED if succeeded else JobStatus.FAILED
    change.session.jobs.update(
        replace(job, status=status, end_time=now, last_updated=now, auto_cleared=job.auto_cleared or force)
    )
    if force:
        for step in change.session.steps.list(ListQuery(where={"job_id": job_id, "end_time": None})):
            change.session.steps.update(replace(step, status=JobStatus.ABORTED, end_time=now))


def clear_job(change: Change, job_id: str) -> None:
    """It may be forgotten."""
    job = _external(change, job_id)
    change.session.jobs.update(replace(job, auto_cleared=True, last_updated=datetime.now(UTC)))


def add_step(change: Change, job_id: str, description: str, kind: StepType, parent_id: str | None) -> str:
    """The new id."""
    job = _external(change, job_id)
    steps = change.session.steps
    beside = steps.list(ListQuery(where={"job_id": job_id, "parent_step_id": parent_id}))
    step = Step(
        id=str(uuid.uuid4()),
        job_id=job_id,
        parent_step_id=parent_id,
        number=len(beside),
        type=kind,
        description=description,
        status=JobStatus.STARTED,
        start_time=datetime.now(UTC),
        external=True,
    )
    steps.add(step)
    change.session.jobs.update(replace(job, last_updated=step.start_time))
    return step.id


def end_step(change: Change, step_id: str, *, succeeded: bool) -> None:
    step = change.session.steps.get(step_id)
    job, now = _external(change, step.job_id), datetime.now(UTC)
    status = JobStatus.FINISHED if succeeded else JobStatus.FAILED
    change.session.steps.update(replace(step, status=status, end_time=now))
    change.session.jobs.update(replace(job, last_updated=now))


def _external(change: Change, job_id: str) -> Job:
    change.require(Right.INJECT_EXTERNAL_TASKS)
    job = change.session.jobs.get(job_id)
    if not job.external:
        raise NotExternal
    return job
