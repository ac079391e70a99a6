# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks and jobs, told and ended."""

from collections.abc import Callable, Mapping

from covirt.host.storage.jobs import Jobs
from covirt.host.storage.operation import Record, State
from covirt.host.storage.tasks import Tasks, task_result, task_state
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.hostapi.json import JsonObject, JsonValue
from covirt.hostapi.task import GetJobsParams, JobParams, TaskParams
from covirt.hostapi.verb import Params


class TaskVerbs:
    """Task.*, and Host's verbs about all tasks, which only a pool's manager answers."""

    def __init__(self, tasks: Tasks, *, require_manager: Callable[[], object]) -> None:
        self._tasks = tasks
        self._require_manager = require_manager

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "Task.getStatus": self.get_status,
            "Task.getInfo": self.get_info,
            "Task.stop": self.stop,
            "Task.revert": self.revert,
            "Task.clear": self.clear,
            "Host.getAllTasksStatuses": self.get_all_statuses,
            "Host.getAllTasksInfo": self.get_all_info,
        }

    def get_status(self, params: TaskParams, _context: CallContext) -> JsonValue:
        return _status(self._tasks.get(params.task_id))

    def get_info(self, params: TaskParams, _context: CallContext) -> JsonValue:
        return _info(self._tasks.get(params.task_id))

    def stop(self, params: TaskParams, _context: CallContext) -> JsonValue:
        self._tasks.abort(params.task_id)
        return None

    def revert(self, params: TaskParams, _context: CallContext) -> JsonValue:
        self._tasks.revert(params.task_id)
        return None

    def clear(self, params: TaskParams, _context: CallContext) -> JsonValue:
        self._tasks.clear(params.task_id)
        return None

    def get_all_statuses(self, _params: Params, _context: CallContext) -> JsonValue:
        self._require_manager()
        return {record.id: _status(record) for record in self._tasks.list()}

    def get_all_info(self, _params: Params, _context: CallContext) -> JsonValue:
        self._require_manager()
        return {record.id: _info(record) for record in self._tasks.list()}


class JobVerbs:
    """Host.getJobs and Job.*."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def handlers(self) -> Mapping[str, Handler]:
        return {"Host.getJobs": self.get_jobs, "Job.abort": self.abort, "Job.delete": self.delete}

    def get_jobs(self, params: GetJobsParams, _context: CallContext) -> JsonValue:
        return self._jobs.infos(job_type=params.job_type, job_ids=params.job_ids or ())

    def abort(self, params: JobParams, _context: CallContext) -> JsonValue:
        self._jobs.abort(params.job_id)
        return None

    def delete(self, params: JobParams, _context: CallContext) -> JsonValue:
        self._jobs.delete(params.job_id)
        return None


def _status(record: Record) -> JsonObject:
    return {
        "taskID": record.id,
        "taskState": task_state(record),
        "taskResult": task_result(record),
        "code": record.code,
        "message": _message(record),
    }


def _info(record: Record) -> JsonObject:
    return {"id": record.id, "verb": record.kind}


def _message(record: Record) -> str:
    # Vdsm's words for a task without an error.
    if record.state is State.DONE:
        return "1 jobs completed successfully"
    return record.message or "running job 1 of 1"
