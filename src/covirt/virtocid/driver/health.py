# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Checks containers that are to be checked, tells how they do, and has those ended that are unhealthy for good.

The services' timer says when, a few workers do it. A container has one check at a time, and its next one is planned
when that is over, so nothing piles up. One whose last check took long waits for one of the workers that such checks
may have, and never keeps the others' from theirs.
"""

import logging
import os
from dataclasses import dataclass
from typing import Final, Protocol

from covirt.common.dialect import HEALTH_NAMESPACE
from covirt.common.errors import Error
from covirt.common.workers import WorkerPool
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model_health import OnUnhealthy
from covirt.virtocid.driver.ending import now_text
from covirt.virtocid.driver.errors import DomainBusy, NoSuchDomain
from covirt.virtocid.driver.health_checks import Checker
from covirt.virtocid.driver.health_plan import BadHealthRecord, CheckResult, HealthPlan, HealthState, HealthStatus
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.store import RunPhase, UserRequest
from covirt.virtocid.driver.timer import boot_seconds
from covirt.wire.constants import MetadataType

log = logging.getLogger(__name__)

_QUICK_WORKERS: Final = 8
_SLOW_WORKERS: Final = 4
_SLOW_SECONDS: Final = 3.0
_BUSY_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 10.0
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class End(Protocol):
    """Ends a run: by its stop signal or, ``kill``, at once; None when it is over or a user has asked for its end."""

    def __call__(self, domain: Domain, run_number: int, *, kill: bool) -> Run | None: ...


@dataclass(slots=True, kw_only=True)
class _Watched:
    """One run that is checked. ``began_seconds``: when it first ran; None while it waits for its first resume."""

    domain: Domain
    run_number: int
    plan: HealthPlan
    began_seconds: float | None
    slow: bool = False

    @property
    def run(self) -> Run | None:
        """The run, unless it is over or ends."""
        run = self.domain.run
        over = run is None or run.run_number != self.run_number or run.phase is RunPhase.STOPPING
        return None if over else run

    @property
    def age_seconds(self) -> float:
        return 0.0 if self.began_seconds is None else boot_seconds() - self.began_seconds


class Health:
    """Of all domains. Those without a check cost nothing here."""

    def __init__(self, services: Services, checker: Checker, end: End) -> None:
        self._services = services
        self._checker = checker
        self._end = end
        self._closing = False
        self._pool = WorkerPool(workers=_SLOW_WORKERS, priority_workers=_QUICK_WORKERS, name="virtocid-health")

    def begin_close(self) -> None:
        """From here on no check says anything: what runs is killed now. The services' timer must be stopped first."""
        self._closing = True

    def close(self) -> None:
        """Wait for what runs, but not long."""
        self._pool.stop(timeout_seconds=_STOP_SECONDS)

    def watch(self, domain: Domain, run: Run) -> None:
        """Check a run that has just been started, if it is to be checked; the caller holds the domain's job."""
        if run.health is not None:
            self._begin(domain, run, run.health, None if run.paused else boot_seconds())

    def adopt(self, domain: Domain, run: Run) -> None:
        """Go on with a run of an earlier daemon."""
        if run.health is None or run.container is None:
            return
        began = run.container.start_time / _TICKS_PER_SECOND
        self._begin(domain, run, run.health, None if run.phase is RunPhase.CREATED else began)

    def end_again(self, domain: Domain, run: Run) -> None:
        """A daemon that was killed may not have brought the end of an unhealthy container to its end; waits not."""
        self._pool.submit(lambda: self._end_unhealthy(domain, run.run_number), priority=False)

    def _begin(self, domain: Domain, run: Run, plan: HealthPlan, began_seconds: float | None) -> None:
        fresh = HealthState(run_number=run.run_number, kind=plan.kind, since=now_text())
        state = self._recorded(run) or fresh
        domain.update(health=state)
        watched = _Watched(domain=domain, run_number=run.run_number, plan=plan, began_seconds=began_seconds)
        self._plan_next(watched, state)

    def _recorded(self, run: Run) -> HealthState | None:
        value = self._services.runs.load_health(run.uuid)
        try:
            state = None if value is None else HealthState.from_json(value)
        except BadHealthRecord as error:
            log.warning("Health begins anew container=%s: %s", run.container_id, error)
            return None
        return state if state is not None and state.run_number == run.run_number else None

    def _plan_next(self, watched: _Watched, state: HealthState | None) -> None:
        if watched.run is None:
            return
        starting = state is None or state.status is HealthStatus.STARTING
        pause = watched.plan.pause_seconds(age_seconds=watched.age_seconds, starting=starting)
        key = (watched.domain.uuid, "health")
        self._services.timer.at(key, boot_seconds() + pause, lambda: self._beat(watched))

    def _beat(self, watched: _Watched) -> None:
        """In the timer's thread: hand the check to a worker."""
        run = watched.run
        if run is None:
            return
        if run.paused:  # what stands still answers nobody, and that is no illness
            self._plan_next(watched, watched.domain.health)
        elif watched.began_seconds is None:
            watched.began_seconds = boot_seconds()
            self._plan_next(watched, watched.domain.health)
        else:
            self._pool.submit(lambda: self._check(watched), priority=not watched.slow)

    def _check(self, watched: _Watched) -> None:
        run = watched.run
        if run is None:
            return
        try:
            begun = boot_seconds()
            result = self._checker.check(
                watched.domain, run, watched.plan.check, timeout_seconds=watched.plan.timeout_seconds
            )
            watched.slow = boot_seconds() - begun >= _SLOW_SECONDS
            if result is not None and not self._closing:
                self._services.counters.health_checks.add("success" if result.healthy else "failure")
                self._note(watched, result)
        finally:
            self._plan_next(watched, watched.domain.health)

    def _note(self, watched: _Watched, result: CheckResult) -> None:
        domain, before = watched.domain, watched.domain.health
        run = watched.run
        if before is None or run is None or (run.paused and not result.healthy):
            return
        if run.request is UserRequest.HEALTH:  # it is being ended for what was found; the cause tells that number
            return
        after = before.after(result, watched.plan, age_seconds=watched.age_seconds, now=now_text)
        if after.status is before.status:
            domain.update(health=after)
        elif not self._changed(watched, after):
            return
        unwanted = after.status is HealthStatus.UNHEALTHY and watched.plan.on_unhealthy is not OnUnhealthy.NOTHING
        if unwanted and run.request is None:  # else its end was asked for, by a user or after an earlier check
            self._end_unhealthy(domain, watched.run_number)

    def _changed(self, watched: _Watched, state: HealthState) -> bool:
        """Record and tell. False when its domain is busy: the next check will find the same."""
        domain = watched.domain
        try:
            with domain.job("health", wait_seconds=_BUSY_SECONDS):
                if watched.run is None:
                    return False
                domain.update(health=state)
                try:
                    self._services.runs.save_health(domain.uuid, state.as_json())
                except OSError as error:
                    log.error("It could not be written down how %s does: %s", domain.name, error)
                self._services.bus.metadata_change(domain.remote, MetadataType.ELEMENT, HEALTH_NAMESPACE)
        except (DomainBusy, NoSuchDomain):
            return False
        log.info("Health changed domain=%s uuid=%s health=%s", domain.name, domain.uuid, state.status)
        return True

    def _end_unhealthy(self, domain: Domain, run_number: int) -> None:
        """By its stop signal, and by force when that takes too long.

        Once the wish is on record nobody else has it any more, so from there on this does not give up.
        """
        try:
            self._end(domain, run_number, kill=False)
        except NoSuchDomain:
            return
        except Error as error:
            log.warning("An unhealthy container could not be asked to end domain=%s: %s", domain.name, error)
        run = domain.run
        if run is None or run.run_number != run_number or run.request is not UserRequest.HEALTH:
            return  # it is over, or a user's; or the next check finds the same
        log.warning("Domain is unhealthy and is ended domain=%s uuid=%s", domain.name, domain.uuid)
        self._kill_later(domain, run_number, self._services.stop_seconds(run.config))

    def _kill_later(self, domain: Domain, run_number: int, seconds: float) -> None:
        self._services.timer.at(
            (domain.uuid, "health-kill"),
            boot_seconds() + seconds,
            lambda: self._pool.submit(lambda: self._kill(domain, run_number), priority=False),
        )

    def _kill(self, domain: Domain, run_number: int) -> None:
        try:
            self._end(domain, run_number, kill=True)
        except NoSuchDomain:
            return
        except Error as error:
            log.error(
                "An unhealthy container could not be killed; it is tried again domain=%s: %s", domain.name, error
            )
            self._kill_later(domain, run_number, _AGAIN_SECONDS)


def message(domain: Domain) -> str | None:
    """What people are told of a domain that does not do well."""
    state = domain.health
    if state is None or state.status is not HealthStatus.UNHEALTHY:
        return None
    return f"unhealthy since {state.since}: its {state.kind} check failed {state.streak} times in a row"
