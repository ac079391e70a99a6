# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events that come from outside, and those that are put away."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.change import Change
from covirt.engine.model.event import Event, Severity

_OWN: Final = "oVirt"  # the origin of the engine's own events
_LONGEST: Final = 10_000  # characters; oVirt shortens, too
_CODES: Final[Mapping[Severity, int]] = {
    Severity.NORMAL: 9801,
    Severity.WARNING: 9802,
    Severity.ERROR: 9803,
    Severity.ALERT: 9804,
}


class IllegalOrigin(InvalidRequest):
    template = "Cannot add External Event. Illegal Origin for External Event: oVirt"


class KnownCustomId(Conflict):
    template = "Cannot add External Event. External Event with this custom id already exists."


def add_event(change: Change, event: Event) -> int:
    """Its number."""
    change.require(Right.INJECT_EXTERNAL_EVENTS)
    if event.origin.lower() == _OWN.lower():
        raise IllegalOrigin
    if change.session.events.find(origin=event.origin, custom_id=event.custom_id) is not None:
        raise KnownCustomId
    return change.session.events.append(
        replace(
            event,
            code=_CODES[event.severity],
            time=datetime.now(UTC),
            description=event.description[:_LONGEST],
            address=change.asked.address,
            user_id=event.user_id or change.asked.user_id,
            user_name=change.asked.user_name,
        )
    )


def remove_event(change: Change, number: int) -> None:
    change.require(Right.AUDIT_LOG_MANAGEMENT)
    change.session.events.remove(number)
