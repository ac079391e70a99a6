# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events, and jobs with their steps."""

from collections.abc import Sequence

from covirt.engine.api.call import Call
from covirt.engine.api.changes import history as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.loading import by_id, by_parent, each, found
from covirt.engine.api.resources.values import reference
from covirt.engine.model.event import Event, Job, Step
from covirt.engine.store.query import ListQuery


def _events(call: Call) -> Sequence[Event]:
    """The latest first; with ``from``, those with greater numbers only."""
    asked = call.params
    query = ListQuery(
        search=asked.search,
        case_sensitive=asked.case_sensitive,
        maximum=asked.max,
        visible_to=call.viewer,
        after=asked.after_event,
    )
    events: Sequence[Event] = call.session.events.list(query)
    return events


def _by_numbers(call: Call, ids: Sequence[str]) -> Sequence[Event]:
    numbers = tuple(int(each) for each in ids if each.isdecimal() and len(each) < 19)
    events: Sequence[Event] = call.session.events.list(ListQuery(where={"id": numbers}, visible_to=call.viewer))
    return events


def event_node(event: Event) -> Node:
    user = reference("User", event.user_id)
    values: dict[str, Value] = {
        "code": event.code,
        "index": event.id,
        "severity": str(event.severity),
        "time": event.time,
        "description": event.description,
        "correlation_id": event.correlation_id or None,
        "origin": event.origin,
        "custom_id": event.custom_id if event.custom_id is not None else -1,
        "custom_data": event.custom_data or None,
        "flood_rate": event.flood_rate,
        "user": user,
        "vm": reference("Vm", event.vm_id),
        "template": reference("Template", event.template_id),
        "host": reference("Host", event.host_id),
        "cluster": reference("Cluster", event.cluster_id),
        "data_center": reference("DataCenter", event.data_center_id),
        "storage_domain": reference("StorageDomain", event.storage_domain_id),
    }
    return Node(type="Event", id=str(event.id), values=values)


def job_node(job: Job) -> Node:
    values: dict[str, Value] = {
        "description": job.description,
        "status": str(job.status),
        "start_time": job.start_time,
        "end_time": job.end_time,
        "last_updated": job.last_updated,
        "auto_cleared": job.auto_cleared,
        "external": job.external,
        "owner": reference("User", job.owner_id),
    }
    return Node(type="Job", id=job.id, values=values)


def step_node(step: Step) -> Node:
    parent = f"jobs/{step.job_id}/steps/{step.parent_step_id}"
    values: dict[str, Value] = {
        "description": step.description,
        "status": str(step.status),
        "type": str(step.type),
        "number": step.number,
        "start_time": step.start_time,
        "end_time": step.end_time,
        "progress": step.progress_percent,
        "external": step.external,
        "job": reference("Job", step.job_id),
        "parent_step": Node(type="Step", id=step.parent_step_id, path=parent) if step.parent_step_id else None,
        "execution_host": reference("Host", step.execution_host_id),
    }
    return Node(type="Step", id=step.id, values=values)


EVENTS = Collection(
    path="events",
    type="Event",
    show=each(event_node),
    list=_events,
    get=_by_numbers,
    key=lambda event: str(event.id),
    uuids=False,
    searchable=True,
    add=changes.add_event,
    remove=changes.remove_event,
)
JOBS = Collection(
    path="jobs",
    type="Job",
    show=each(job_node),
    list=found(lambda session: session.jobs),
    get=by_id(lambda session: session.jobs),
    searchable=True,
    add=changes.add_job,
    actions={"clear": changes.clear_job, "end": changes.end_job},
    children=(
        Collection(
            path="steps",
            type="Step",
            show=each(step_node),
            below=by_parent(lambda session: session.steps, "job_id"),
            add=changes.add_step,
            actions={"end": changes.end_step},
        ),
    ),
)
