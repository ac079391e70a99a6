# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of events, and of jobs that come from outside."""

from datetime import UTC, datetime
from typing import Final

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import refuse_set, seen, told, told_word
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.commands.history import events, jobs
from covirt.engine.model.event import Event, Severity, StepType
from covirt.engine.store.session import Session

# What an event may be about, and where it is found.
_ABOUT: Final = {
    "vm": "vms",
    "template": "templates",
    "host": "hosts",
    "cluster": "clusters",
    "data_center": "data_centers",
    "storage_domain": "storage_domains",
    "user": "users",
}


def add_event(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("Event", body, "add", "origin", "severity", "custom_id", "description")
    refuse_set(body, log_on_host="way to log an event on a host")
    with call.changing() as change:
        event = Event(
            id=0,
            code=0,
            severity=told_word(body, "severity", Severity.NORMAL),
            time=datetime.now(UTC),
            description=told(body, "description", ""),
            correlation_id=told(body, "correlation_id", call.correlation_id)[:36],
            origin=told(body, "origin", "")[:255],
            custom_id=told(body, "custom_id", 0),
            custom_data=told(body, "custom_data", ""),
            flood_rate=told(body, "flood_rate", 0),
            **_about(call, change.session, body),
        )
        return Done(id=str(events.add_event(change, event)))


def _about(call: Call, session: Session, body: Body) -> dict[str, str]:
    named = {name: repository for name, repository in _ABOUT.items() if name in body}
    return {f"{name}_id": seen(call, getattr(session, where), body[name], name).id for name, where in named.items()}


def remove_event(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        events.remove_event(change, int(ids[-1]))


def add_job(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("Job", body, "add", "description")
    with call.changing() as change:
        cleared = told(body, "auto_cleared", False)
        return Done(id=jobs.add_job(change, told(body, "description", ""), auto_cleared=cleared))


def end_job(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    with call.changing() as change:
        jobs.end_job(change, ids[-1], succeeded=told(body, "succeeded", True), force=told(body, "force", False))
    return Done()


def clear_job(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    with call.changing() as change:
        jobs.clear_job(change, ids[-1])
    return Done()


def add_step(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    require_fields("Step", body, "add", "type", "description")
    parent = at(body, "parent_step.id")
    with call.changing() as change:
        kind = told_word(body, "type", StepType.UNKNOWN)
        above = str(parent) if parent else None
        return Done(id=jobs.add_step(change, ids[-1], told(body, "description", ""), kind, above))


def end_step(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    with call.changing() as change:
        jobs.end_step(change, ids[-1], succeeded=told(body, "succeeded", True))
    return Done()
