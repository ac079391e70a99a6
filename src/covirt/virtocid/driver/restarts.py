# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Starts persistent domains again that ended, as their policy says; a user's stop always wins.

What is to come stands in the domain's record before anybody hears of the end, so a killed daemon's successor
waits on. The domain is shut off meanwhile: a user's start begins at once, a user's stop cancels what is to come.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from covirt.common.dialect import STOP_CAUSE_NAMESPACE
from covirt.common.errors import Error
from covirt.common.stop_cause import StopCause
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainBusy, NoSuchDomain
from covirt.virtocid.driver.records import domain_record
from covirt.virtocid.driver.restart_policy import RestartRule, RestartState, rule_of
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.store import UserRequest
from covirt.virtocid.driver.timer import boot_seconds
from covirt.wire.constants import MetadataType

log = logging.getLogger(__name__)

_AT_ONCE: Final = 8  # starts side by side
_THREADS: Final = 64  # made when they are needed: for starts that hang, as on a file server that is gone
_PATIENCE_SECONDS: Final = 20.0  # then a start does not wait any more for those before it
_BUSY_SECONDS: Final = 1.0
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
# Of these an end is no user's doing.
_OURS: Final = (None, UserRequest.HEALTH)

Start = Callable[[Domain], None]


class Restarts:
    """The one restarter. ``start`` starts a domain whose job is held; it answers for its failures itself."""

    def __init__(self, services: Services, start: Start) -> None:
        self._services = services
        self._start = start
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="virtocid-restart")
        self._places = threading.Semaphore(_AT_ONCE)
        self._open = False

    def open(self) -> None:
        """Begin, once recovery is over: with what an earlier daemon had planned."""
        self._open = True
        for domain in self._services.domains.all():
            state = domain.facts.restart
            if state.boot_id not in ("", self._services.boot_id):
                domain.update(restart=RestartState())  # after a reboot only autostart starts anything
            self.arm(domain)

    def close(self) -> None:
        """Let what has begun finish; the timer must be stopped first."""
        self._open = False
        self._places.release(_THREADS)  # nobody waits any more
        self._pool.shutdown(cancel_futures=True)

    def after_end(self, domain: Domain, run: Run, cause: StopCause) -> RestartState:
        """What follows the end of this run; to be recorded together with its cause."""
        if run.request not in _OURS or domain.gone or not domain.persistent or run.container is None:
            return RestartState()
        ran_seconds = boot_seconds() - run.container.start_time / _TICKS_PER_SECOND
        return self._after(rule_of(run.config), cause, count=domain.facts.restart.count, ran_seconds=ran_seconds)

    def after_failed_start(self, domain: Domain, cause: StopCause, *, count: int) -> RestartState:
        """What follows a start that failed, and that was no user's wish of this moment."""
        if domain.gone or not domain.persistent:
            return RestartState()
        return self._after(rule_of(domain.next_config), cause, count=count, ran_seconds=-1.0)

    def _after(self, rule: RestartRule, cause: StopCause, *, count: int, ran_seconds: float) -> RestartState:
        state = rule.after(cause, count=count, ran_seconds=ran_seconds, now_seconds=boot_seconds())
        return state if state == RestartState() else replace(state, boot_id=self._services.boot_id)

    def arm(self, domain: Domain) -> None:
        """Begin to wait for what the domain's facts say is to come, if anything."""
        due = domain.facts.restart.due_seconds
        if due is None or not self._open or domain.active:
            return
        log.info("Domain starts again in %.1f s domain=%s uuid=%s attempt=%d", max(0.0, due - boot_seconds()),
                 domain.name, domain.uuid, domain.facts.restart.count)  # fmt: skip
        self._services.timer.at((domain.uuid, "restart"), due, lambda: self._submit(domain))

    def cancel(self, domain: Domain) -> bool:
        """A user's stop while it waits: it stays off. False when it does not wait; the caller holds its job."""
        if domain.active or domain.facts.restart.due_seconds is None:
            return False
        self._forget(domain)
        log.info("Domain stays off, as a user wishes domain=%s uuid=%s", domain.name, domain.uuid)
        return True

    def _submit(self, domain: Domain) -> None:
        try:
            self._pool.submit(self._guarded, domain)
        except RuntimeError:  # the daemon is stopping; the next one will start it
            log.debug("Restart left to the next daemon domain=%s", domain.name)

    def _guarded(self, domain: Domain) -> None:
        try:
            with self._place(), domain.job("restart", wait_seconds=_BUSY_SECONDS):
                self._restart(domain)
        except NoSuchDomain:  # undefined meanwhile
            return
        except DomainBusy:
            again = boot_seconds() + _BUSY_SECONDS
            self._services.timer.at((domain.uuid, "restart"), again, lambda: self._submit(domain))
        except Exception:  # a thread top: one domain must not silence the others' restarts
            log.exception("A restart failed domain=%s", domain.name)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """One of a few, so that many restarts do not choke the host; but those that hang must not keep others off."""
        taken = self._places.acquire(timeout=_PATIENCE_SECONDS)
        try:
            yield
        finally:
            if taken:
                self._places.release()

    def _restart(self, domain: Domain) -> None:
        """Start it if that is still to be: meanwhile a user may have started, stopped or changed it."""
        facts = domain.facts
        due = facts.restart.due_seconds
        if not self._open or domain.active or not domain.persistent or due is None:
            return
        if due > boot_seconds():  # it ran meanwhile and ended once more: that is another wait
            self.arm(domain)
            return
        if facts.last_stop is None or not rule_of(facts.config).wants(facts.last_stop):
            self._forget(domain)
            log.info("Domain stays off by its new definition domain=%s uuid=%s", domain.name, domain.uuid)
            return
        self._services.counters.restarts.add()
        try:
            self._start(domain)
        except (Error, OSError) as error:
            log.warning("A restart failed domain=%s attempt=%d: %s", domain.name, facts.restart.count, error)

    def _forget(self, domain: Domain) -> None:
        domain.update(restart=RestartState())
        self._services.timer.cancel((domain.uuid, "restart"))
        self._services.store.save(domain_record(domain))
        self._services.bus.metadata_change(domain.remote, MetadataType.ELEMENT, STOP_CAUSE_NAMESPACE)


def due_text(state: RestartState) -> str | None:
    """When it starts again: UTC, ISO 8601; None when it does not."""
    if state.due_seconds is None:
        return None
    due = datetime.now(UTC) + timedelta(seconds=state.due_seconds - boot_seconds())
    return due.isoformat(timespec="seconds")


def message(domain: Domain) -> str | None:
    """What people are told of a domain that is off and has a policy."""
    state = domain.facts.restart
    if domain.active:
        return None
    if state.gave_up:
        return f"not started again: it ended {state.count + 1} times in a row without a good run"
    if state.due_seconds is None:
        return None
    return f"starts again at {due_text(state)}, attempt {state.count}"
