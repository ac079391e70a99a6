# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events of what users and the engine do, with oVirt's numbers and sentences."""

from dataclasses import dataclass
from datetime import UTC, datetime

from covirt.engine.commands.asked import Asked
from covirt.engine.model.event import Event, Severity
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMessage:
    """``text`` has {places}; {user} is whoever asked. oVirt's AuditLogType has the numbers."""

    code: int
    text: str
    severity: Severity = Severity.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The objects that an event is about, so that it is found with them and seen by who sees them."""

    vm_id: str | None = None
    template_id: str | None = None
    host_id: str | None = None
    cluster_id: str | None = None
    data_center_id: str | None = None
    storage_domain_id: str | None = None


NOTHING = About()


def tell(session: Session, message: AuditMessage, asked: Asked, about: About = NOTHING, **values: object) -> None:
    """Write the event in this transaction: it is there if and only if what it tells is."""
    session.events.append(
        Event(
            id=0,
            code=message.code,
            severity=message.severity,
            time=datetime.now(UTC),
            description=message.text.format_map({"user": asked.user_name, **values}),
            correlation_id=asked.correlation_id,
            address=asked.address,
            user_id=asked.user_id,
            user_name=asked.user_name if asked.user_id else "",
            vm_id=about.vm_id,
            template_id=about.template_id,
            host_id=about.host_id,
            cluster_id=about.cluster_id,
            data_center_id=about.data_center_id,
            storage_domain_id=about.storage_domain_id,
        )
    )
