# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One container domain: what it is (persistent and frozen facts), its present run, and who may change it now.

Facts are frozen and swapped whole, so a reader never needs a lock. A change takes the domain's job first, as in
libvirt: one job at a time, held while programs run; the lock below it is held for the swap only.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from covirt.common.stop_cause import StopCause
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.errors import DomainBusy, DomainIsNotRunning, DomainIsRunning, NoSuchDomain
from covirt.virtocid.driver.health_plan import HealthState
from covirt.virtocid.driver.restart_policy import RestartState
from covirt.virtocid.driver.run import Run
from covirt.wire.constants import DomainState
from covirt.wire.structs import RemoteDomain

JOB_WAIT_SECONDS: Final = 30.0  # as libvirt's own wait for the state change lock


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFacts:
    """Everything known of a domain at one moment. ``transient``: not stored, it ends with its run."""

    config: DomainConfig  # what it will run with at its next start
    first_id: int  # the first host uid and gid of its range
    transient: bool = False
    autostart: bool = False
    run_number: int = 0  # of the last run
    last_stop: StopCause | None = None
    restart: RestartState = field(default_factory=RestartState)
    health: HealthState | None = None  # of the run with its number
    run: Run | None = None


class Domain:
    """A domain that is known to virtocid, running or not."""

    def __init__(self, uuid: UUID, facts: DomainFacts) -> None:
        self.uuid = uuid
        self._facts = facts
        self._changed = threading.Condition()
        self._job: str | None = None
        self._last_told = 0  # the number of the last run whose end is over and was told
        self.gone = False  # undefined, or transient and ended: late calls must not revive it

    @property
    def facts(self) -> DomainFacts:
        return self._facts

    def update(self, **changes: object) -> DomainFacts:
        """Swap in new facts; returns them."""
        with self._changed:
            self._facts = replace(self._facts, **changes)  # type: ignore[arg-type]  # the fields' own types apply
            self._changed.notify_all()
            return self._facts

    def wait_for_end(self, run: Run, *, timeout_seconds: float) -> bool:
        """Wait until this run is over, cleaned up, and every event about it is sent. False when the time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._last_told >= run.run_number, timeout_seconds)

    def end_told(self, run: Run) -> None:
        """Let those go on who wait for the end of this run."""
        with self._changed:
            self._last_told = max(self._last_told, run.run_number)
            self._changed.notify_all()

    @property
    def config(self) -> DomainConfig:
        """What it runs with, else what it will run with."""
        facts = self._facts
        return facts.config if facts.run is None else facts.run.config

    @property
    def next_config(self) -> DomainConfig:
        """What it will run with at its next start."""
        return self._facts.config

    @property
    def name(self) -> str:
        return self.next_config.name

    @property
    def run(self) -> Run | None:
        return self._facts.run

    @property
    def active(self) -> bool:
        return self._facts.run is not None

    @property
    def persistent(self) -> bool:
        return not self._facts.transient

    @property
    def domain_id(self) -> int:
        run = self._facts.run
        return -1 if run is None else run.domain_id

    @property
    def remote(self) -> RemoteDomain:
        return RemoteDomain(name=self.name, uuid=self.uuid, id=self.domain_id)

    @property
    def state(self) -> tuple[int, int]:
        """libvirt's state and reason."""
        facts = self._facts
        if facts.run is not None:
            return facts.run.state
        if facts.last_stop is not None:
            outcome = facts.last_stop.outcome
            return outcome.state, outcome.reason
        return DomainState.SHUTOFF, 0

    @property
    def health(self) -> HealthState | None:
        """How its present run does; None when it is off or not checked."""
        facts = self._facts
        if facts.run is None or facts.health is None or facts.health.run_number != facts.run.run_number:
            return None
        return facts.health

    @property
    def last_stop_text(self) -> str:
        """Why it last stopped, for a message."""
        cause = self._facts.last_stop
        return "it has not run" if cause is None else cause.describe()

    def require_run(self) -> Run:
        run = self._facts.run
        if run is None:
            raise DomainIsNotRunning(name=self.name)
        return run

    def require_inactive(self) -> None:
        if self._facts.run is not None:
            raise DomainIsRunning(name=self.name)

    @contextmanager
    def job(self, what: str, *, wait_seconds: float = JOB_WAIT_SECONDS) -> Iterator[None]:
        """Be the only one who changes this domain. Raises DomainBusy when another job lasts longer than the wait, and
        NoSuchDomain when the domain was undefined or has ended for good meanwhile.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._job is None, wait_seconds):
                raise DomainBusy(name=self.name, job=self._job, seconds=wait_seconds)
            if self.gone:
                raise NoSuchDomain(key="uuid", value=self.uuid)
            self._job = what
        try:
            yield
        finally:
            with self._changed:
                self._job = None
                self._changed.notify_all()
