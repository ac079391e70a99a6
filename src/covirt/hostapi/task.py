# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class Task, the verbs of class Host that list tasks and jobs, and our own class Job."""

from typing import Any, Final

from pydantic import Field

from covirt.hostapi.verb import Params, Verb

JOBS_EXTENSION: Final = "jobs"


class TaskParams(Params):
    """A task that a verb of the storage pool gave."""

    task_id: str = Field(alias="taskID")


class GetJobsParams(Params):
    """Which jobs; all of them without parameters."""

    job_type: str | None = None
    job_ids: tuple[str, ...] | None = ()


class JobParams(Params):
    """A job, by the id that was given with the verb that began it."""

    job_id: str = Field(alias="jobID")


VERBS: Final = (
    Verb(
        name="Task.getStatus",
        summary="Tells how far a task is: taskID, taskState, taskResult, code, message.",
        params=TaskParams,
        result=dict[str, Any],
        quick=True,
    ),
    Verb(
        name="Task.getInfo", summary="Tells what a task does.", params=TaskParams, result=dict[str, str], quick=True
    ),
    Verb(
        name="Task.stop",
        summary="Asks a task to stop; what it has done is taken back.",
        params=TaskParams,
        changes=True,
        quick=True,
    ),
    Verb(name="Task.revert", summary="Takes back an ended task.", params=TaskParams, changes=True),
    Verb(name="Task.clear", summary="Forgets an ended task.", params=TaskParams, changes=True),
    Verb(name="Host.getAllTasksStatuses", summary="Task.getStatus of every task.", result=dict[str, Any], quick=True),
    Verb(name="Host.getAllTasksInfo", summary="Task.getInfo of every task.", result=dict[str, Any], quick=True),
    Verb(
        name="Host.getJobs",
        summary="Tells the jobs of this host: id, status, description, job_type, progress in percent, error.",
        params=GetJobsParams,
        result=dict[str, Any],
        quick=True,
    ),
    Verb(
        name="Job.abort",
        summary="Asks a job to stop; what it has done is taken back, and its end is an event.",
        params=JobParams,
        extension=JOBS_EXTENSION,
        changes=True,
        quick=True,
    ),
    Verb(
        name="Job.delete",
        summary="Forgets an ended job.",
        params=JobParams,
        extension=JOBS_EXTENSION,
        changes=True,
        quick=True,
    ),
)
