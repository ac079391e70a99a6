# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata of domains that may run: which of the two configurations is meant, and who is told of a change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lxml import etree

from covirt.common.dialect import HEALTH_NAMESPACE, STOP_CAUSE_NAMESPACE
from covirt.common.stop_cause import StopCause
from covirt.virtocid.driver import metadata
from covirt.virtocid.driver.affect import affected_by, asks_live
from covirt.virtocid.driver.definitions import Definitions
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.format import storable_text
from covirt.virtocid.driver.domain_xml.model import DomainConfig, MetadataElement
from covirt.virtocid.driver.errors import BadArgument, NoMetadata
from covirt.virtocid.driver.restart_policy import RestartState
from covirt.virtocid.driver.restarts import due_text
from covirt.virtocid.driver.services import Services
from covirt.wire.constants import AffectFlag, MetadataType

_CAUSE_TAG: Final = f"{{{STOP_CAUSE_NAMESPACE}}}cause"
_LOG_TAG: Final = f"{{{STOP_CAUSE_NAMESPACE}}}log"
_HEALTH_TAG: Final = f"{{{HEALTH_NAMESPACE}}}health"
_OUTPUT_TAG: Final = f"{{{HEALTH_NAMESPACE}}}output"


class MetadataService:
    """virDomainGetMetadata and virDomainSetMetadata."""

    def __init__(self, services: Services, definitions: Definitions) -> None:
        self._services = services
        self._definitions = definitions

    def get(self, domain: Domain, kind: int, uri: str | None, flags: int, *, secure: bool) -> str:
        """Without ``secure``, for read-only clients, what the container said stays away. Raises NoMetadata."""
        config = domain.config if asks_live(flags, domain, what="metadata") else domain.next_config
        if kind == MetadataType.DESCRIPTION:
            return metadata.get_description(config)
        if kind == MetadataType.TITLE:
            return metadata.get_title(config)
        if kind != MetadataType.ELEMENT:
            raise BadArgument(what=f"there is no metadata of type {kind}")
        if uri in (STOP_CAUSE_NAMESPACE, HEALTH_NAMESPACE):
            return _own_element(domain, uri, stored=bool(flags & AffectFlag.CONFIG), secure=secure)
        return metadata.get_element(config, uri or "")

    def set(
        self, domain: Domain, kind: int, text: str | None, *, key: str | None, uri: str | None, flags: int
    ) -> None:
        """Change it in the running, the configured or both configurations; without flags, in the present one."""
        change = _change(kind, text, key=key, uri=uri)
        with domain.job("metadata"):
            affected = affected_by(flags, domain)
            run = domain.require_run() if affected.live else None
            if run is not None:
                run = run.with_config(change(run.config))
            if affected.stored:
                storable_text(change(domain.next_config))  # both or none
            if run is not None:
                self._services.runs.save(run.record)
                domain.update(run=run)
            if affected.stored:
                self._definitions.replace_config(domain, change(domain.next_config))
        self._services.bus.metadata_change(
            domain.remote, MetadataType(kind), uri if kind == MetadataType.ELEMENT else None
        )


def _change(
    kind: int, text: str | None, *, key: str | None, uri: str | None
) -> Callable[[DomainConfig], DomainConfig]:
    if kind == MetadataType.DESCRIPTION:
        return lambda config: metadata.with_description(config, text)
    if kind == MetadataType.TITLE:
        return lambda config: metadata.with_title(config, text)
    if kind != MetadataType.ELEMENT:
        raise BadArgument(what=f"there is no metadata of type {kind}")
    if uri == STOP_CAUSE_NAMESPACE:
        raise BadArgument(what="the stop cause is written by virtocid itself")
    if uri == HEALTH_NAMESPACE:
        raise BadArgument(what="the state of its health is written by virtocid itself")
    return lambda config: metadata.with_element(config, uri=uri or "", key=key, xml=text)


def _own_element(domain: Domain, uri: str, *, stored: bool, secure: bool) -> str:
    """What virtocid itself says in the metadata. Raises NoMetadata."""
    if uri == STOP_CAUSE_NAMESPACE:
        element, reason = stop_cause_element(domain, secure=secure), "it has not stopped since it was defined"
    else:
        element, reason = health_element(domain, secure=secure), "it is not running with a health check"
        element = None if stored else element
    if element is None:
        raise NoMetadata(what=reason)
    return element.xml


def stop_cause_element(domain: Domain, *, secure: bool) -> MetadataElement | None:
    """<covirtstop:cause> for the last stop, with its last words if ``secure``; None while there was none."""
    cause = domain.facts.last_stop
    if cause is None:
        return None
    told = cause if secure else replace(cause, log_tail=())
    following = RestartState() if domain.active else domain.facts.restart
    return MetadataElement(uri=STOP_CAUSE_NAMESPACE, xml=_cause_text(told, following))


def _cause_text(cause: StopCause, following: RestartState) -> str:
    element = etree.Element(_CAUSE_TAG, nsmap={"covirtstop": STOP_CAUSE_NAMESPACE})
    element.set("kind", cause.kind)
    element.set("when", cause.when)
    if cause.exit_code is not None:
        element.set("exitCode", str(cause.exit_code))
    if cause.signal is not None:
        element.set("signal", str(cause.signal))
    element.set("message", _printable(cause.describe()))
    due = due_text(following)
    if due is not None:
        element.set("restartsAt", due)
        element.set("attempt", str(following.count))
    if following.gave_up:
        element.set("gaveUp", "yes")
    for line in cause.log_tail:
        etree.SubElement(element, _LOG_TAG).text = _printable(line)
    return etree.tostring(element, encoding="unicode")


def health_element(domain: Domain, *, secure: bool) -> MetadataElement | None:
    """<covirthealth:health> for the present run, with what its check said if ``secure``; None when it has none."""
    state = domain.health
    if state is None:
        return None
    element = etree.Element(_HEALTH_TAG, nsmap={"covirthealth": HEALTH_NAMESPACE})
    element.set("status", state.status)
    element.set("check", state.kind)
    element.set("since", state.since)
    element.set("failingStreak", str(state.streak))
    for line in state.output.splitlines() if secure else ():
        etree.SubElement(element, _OUTPUT_TAG).text = _printable(line)
    return MetadataElement(uri=HEALTH_NAMESPACE, xml=etree.tostring(element, encoding="unicode"))


def _printable(text: str) -> str:
    """XML 1.0 has no control characters, and a container may print any byte."""
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
