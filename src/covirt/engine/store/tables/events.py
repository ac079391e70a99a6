# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events, jobs and steps. They outlive what they tell of, so they hold no foreign keys to it."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table

from covirt.engine.model.event import JobStatus, Severity, StepType
from covirt.engine.store.columns import Time, Whole, Word, flag, identity, metadata, text

_ABOUT = ("user_id", "vm_id", "template_id", "host_id", "cluster_id", "data_center_id", "storage_domain_id")

events = Table(
    "events",
    metadata,
    # SQLite numbers rows by itself for this type only
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("code", Integer, nullable=False),
    Column("severity", Word(Severity), nullable=False),
    Column("time", Time, nullable=False, index=True),
    text("description"),
    Column("correlation_id", String(64), nullable=False, index=True),
    Column("origin", String(255), nullable=False),
    Column("custom_id", BigInteger),
    text("custom_data"),
    Column("flood_rate", Integer, nullable=False),
    Column("address", String(64), nullable=False),
    text("user_name"),
    *(Column(name, String(36), index=True) for name in _ABOUT),
)

jobs = Table(
    "jobs",
    metadata,
    identity(),
    text("description"),
    Column("status", Word(JobStatus), nullable=False, index=True),
    Column("start_time", Time, nullable=False, index=True),
    Column("last_updated", Time, nullable=False),
    Column("end_time", Time),
    Column("owner_id", String(36)),
    Column("correlation_id", String(64), nullable=False, index=True),
    Column("action", String(64), nullable=False),
    flag("auto_cleared"),
    flag("external"),
    Column("subject_ids", Whole(frozenset[str]), nullable=False),
)

steps = Table(
    "steps",
    metadata,
    identity(),
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("parent_step_id", String(36), ForeignKey("steps.id", ondelete="CASCADE")),
    Column("number", Integer, nullable=False),
    Column("type", Word(StepType), nullable=False),
    text("description"),
    Column("status", Word(JobStatus), nullable=False),
    Column("start_time", Time, nullable=False),
    Column("end_time", Time),
    Column("progress_percent", Integer),
    flag("external"),
    Column("execution_host_id", String(36)),
)
