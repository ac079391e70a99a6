# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What happened (events), and what is being done (jobs and their steps)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    NORMAL = "normal"
    WARNING = "warning"
    ERROR = "error"
    ALERT = "alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``id`` is a number that grows (as text on the wire); ``code`` is oVirt's of this kind of event."""

    id: int
    code: int
    severity: Severity
    time: datetime
    description: str
    correlation_id: str = ""
    origin: str = "oVirt"
    custom_id: int | None = None
    custom_data: str = ""
    flood_rate: int = 0
    address: str = ""
    user_id: str | None = None
    user_name: str = ""
    vm_id: str | None = None
    template_id: str | None = None
    host_id: str | None = None
    cluster_id: str | None = None
    data_center_id: str | None = None
    storage_domain_id: str | None = None


class JobStatus(StrEnum):
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class StepType(StrEnum):
    VALIDATING = "validating"
    EXECUTING = "executing"
    FINALIZING = "finalizing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    description: str
    status: JobStatus
    start_time: datetime
    last_updated: datetime
    end_time: datetime | None = None
    owner_id: str | None = None
    correlation_id: str = ""
    action: str = ""
    auto_cleared: bool = True
    external: bool = False
    subject_ids: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    id: str
    job_id: str
    parent_step_id: str | None = None
    number: int = 0
    type: StepType = StepType.EXECUTING
    description: str
    status: JobStatus
    start_time: datetime
    end_time: datetime | None = None
    progress_percent: int | None = None
    external: bool = False
    execution_host_id: str | None = None
