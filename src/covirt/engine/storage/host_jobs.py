# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Long work of a host whose id the engine chooses: begun once, however often it is asked for, and waited for."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from covirt.engine.hosts.connections import Hosts
from covirt.engine.hosts.errors import HostRefused, HostUncertain, HostUnreachable
from covirt.engine.storage.errors import HostJobFailed
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

_LOOK_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 120.0  # with a host that does not answer, while its job may go on
_ENDED: Final = ("done", "failed", "aborted")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostJobs:
    """Of one host. ``pause`` waits between looks, and may raise to end the waiting; ``progress`` is told percents."""

    hosts: Hosts
    host_id: str
    pause: Callable[[float], None]
    progress: Callable[[int], None]
    flow_id: str = ""

    def finish(self, verb: str, params: Mapping[str, Json], *, job_id: str, id_field: str = "jobID") -> None:
        """Begin it, unless it was begun, and wait for its end. ``id_field``: as the verb calls the job's id. Raises
        HostJobFailed and what Hosts.call raises."""
        try:
            self._call(verb, {**params, id_field: job_id})
        except HostRefused as error:
            if error.code != Code.JOB_EXISTS:
                raise
        self._wait(verb, job_id)

    def abort(self, job_id: str) -> None:
        """Return when it has ended, however it ended; one that never began has."""
        try:
            self._call("Job.abort", {"job_id": job_id})
            self._wait("Job.abort", job_id)
        except HostRefused as error:
            if error.code not in (Code.NO_SUCH_JOB, Code.JOB_NOT_ACTIVE):
                raise
        except HostJobFailed:
            pass

    def _wait(self, verb: str, job_id: str) -> None:
        told, silent_seconds = -1, 0.0
        while True:
            try:
                job = self._job(job_id)
            except (HostUncertain, HostUnreachable):
                silent_seconds += _LOOK_SECONDS
                if silent_seconds > _PATIENCE_SECONDS:
                    raise
            else:
                silent_seconds = 0.0
                if job is None:
                    raise HostJobFailed(verb=verb, reason="the host does not know of it any more")
                if (percent := _percent(job)) > told:
                    told = percent
                    self.progress(percent)
                if job.get("status") in _ENDED:
                    return self._judge(verb, job)
            self.pause(_LOOK_SECONDS)

    def _judge(self, verb: str, job: Mapping[str, Json]) -> None:
        if job.get("status") != "done":
            error = job.get("error")
            text = error.get("message") if isinstance(error, Mapping) else None
            raise HostJobFailed(verb=verb, reason=str(text or job.get("status")).rstrip("."))

    def _job(self, job_id: str) -> Mapping[str, Json] | None:
        answer = self._call("Host.getJobs", {"job_ids": [job_id]})
        table = answer if isinstance(answer, Mapping) else {}
        job = table.get(job_id)
        return job if isinstance(job, Mapping) else None

    def _call(self, verb: str, params: Mapping[str, Json]) -> Json:
        return self.hosts.call(self.host_id, verb, params, flow_id=self.flow_id)


def job_of(command_id: str, what: str) -> str:
    """The id of a command's work on a host: the same whenever the step is run again."""
    return str(uuid.uuid5(uuid.UUID(command_id), what))


def _percent(job: Mapping[str, Json]) -> int:
    value = job.get("progress")
    return int(value) if isinstance(value, int | float) else 0
