# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs: long work whose id the engine chooses; its end is an event, and it is forgotten by itself after a while."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from covirt.common.errors import Conflict, NotFound
from covirt.host.storage.operation import (
    NoSuchOperation,
    OperationExists,
    OperationNotActive,
    OperationNotDone,
    Params,
    Record,
    State,
)
from covirt.host.storage.operations import Book
from covirt.hostapi.json import JsonObject, JsonValue

JOB_TYPE: Final = "storage"


class NoSuchJob(NotFound):
    template = "there is no job {id} on this host; it ended long ago, or another host does it"


class JobExists(Conflict):
    template = "there is a job {id} already; choose another id"


class JobNotDone(Conflict):
    template = "job {id} has not ended; abort it or wait for its end"


class JobNotActive(Conflict):
    template = "job {id} has ended; there is nothing to abort"


class JobStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    ABORTING = "aborting"
    ABORTED = "aborted"
    DONE = "done"
    FAILED = "failed"


_STATUSES: Final[Mapping[State, JobStatus]] = {
    State.PENDING: JobStatus.PENDING,
    State.RUNNING: JobStatus.RUNNING,
    State.ABORTING: JobStatus.ABORTING,
    State.UNDOING: JobStatus.RUNNING,  # to the engine it has not ended before all is taken back
    State.DONE: JobStatus.DONE,
    State.ABORTED: JobStatus.ABORTED,
    State.FAILED: JobStatus.FAILED,
}


def job_topic(job_id: str) -> str:
    return f"|jobs|status|{job_id}"


def job_status(record: Record) -> JobStatus:
    if record.state is State.UNDOING and record.stop_asked:
        return JobStatus.ABORTING
    return _STATUSES[record.state]


def job_info(record: Record, progress_percent: int | None) -> JsonObject:
    """A job as getJobs and its event tell it."""
    info: dict[str, JsonValue] = {
        "id": record.id,
        "status": job_status(record),
        "description": record.kind,
        "job_type": JOB_TYPE,
    }
    if progress_percent is not None:
        info["progress"] = progress_percent
    if record.state is State.FAILED:
        info["error"] = {"code": record.code, "message": record.message}
    return info


class Jobs(Book):
    """The book of jobs. A job's kind is its description."""

    def submit(self, kind: str, params: Params, *, job_id: str, secrets: Params | None = None) -> None:
        """Raises JobExists."""
        try:
            self._book.submit(kind, params, operation_id=job_id, secrets=secrets)
        except OperationExists:
            raise JobExists(id=job_id) from None

    def infos(self, *, job_type: str | None = None, job_ids: Collection[str] = ()) -> Mapping[str, JsonObject]:
        """All jobs, or those of a type, or some of them."""
        if job_type not in (None, "", JOB_TYPE):
            return {}
        wanted = {job_id.lower() for job_id in job_ids}
        found = [record for record in self._book.list() if not wanted or record.id in wanted]
        return {record.id: job_info(record, self._book.progress_of(record.id)) for record in found}

    def abort(self, job_id: str) -> None:
        """Ask it to stop. Raises NoSuchJob and JobNotActive."""
        try:
            self._book.abort(job_id)
        except NoSuchOperation:
            raise NoSuchJob(id=job_id) from None
        except OperationNotActive:
            raise JobNotActive(id=job_id) from None

    def delete(self, job_id: str) -> None:
        """Forget one that has ended. Raises NoSuchJob and JobNotDone."""
        try:
            self._book.clear(job_id)
        except NoSuchOperation:
            raise NoSuchJob(id=job_id) from None
        except OperationNotDone:
            raise JobNotDone(id=job_id) from None
