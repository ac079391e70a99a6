# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A domain as it is written to disk, and back."""

from covirt.common.stop_cause import StopCause
from covirt.virtocid.driver.domain import Domain, DomainFacts
from covirt.virtocid.driver.domain_xml.format import format_domain
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.id_pool import RANGE_SIZE
from covirt.virtocid.driver.restart_policy import RestartState
from covirt.virtocid.driver.store import DomainRecord


def domain_record(domain: Domain) -> DomainRecord:
    """The record of a persistent domain."""
    facts = domain.facts
    return DomainRecord(
        uuid=domain.uuid,
        name=facts.config.name,
        xml=format_domain(facts.config, secure=True),
        id_range=(facts.first_id, RANGE_SIZE),
        autostart=facts.autostart,
        last_stop_cause=facts.last_stop.as_json() if facts.last_stop else None,
        run_number=facts.run_number,
        restart=facts.restart.as_json(),
    )


def domain_of(record: DomainRecord) -> Domain:
    """Raises XmlError, InvalidXml, BadStopCause, BadRestartState for a record that somebody edited."""
    cause = StopCause.from_json(record.last_stop_cause) if record.last_stop_cause else None
    return Domain(
        record.uuid,
        DomainFacts(
            config=parse_domain(record.xml, image_required=False),
            first_id=record.id_range[0] if record.id_range else 0,
            autostart=record.autostart,
            run_number=record.run_number,
            last_stop=cause,
            restart=RestartState.from_json(record.restart) if record.restart else RestartState(),
        ),
    )
