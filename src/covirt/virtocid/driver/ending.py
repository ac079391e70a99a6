# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The end of a run: why it ended, what is cleaned up, who is told, and whether it starts again.

The order makes a killed daemon harmless: the cause is on disk before anything that tells it is removed, the places
are removed before the domain counts as shut off, and only then do clients hear of it.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.common.dialect import STOP_CAUSE_NAMESPACE
from covirt.common.errors import Error
from covirt.common.stop_cause import StopCause, StopKind
from covirt.oci.monitor import RunEnd, log_tail, read_end
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainBusy, NoSuchDomain
from covirt.virtocid.driver.health_plan import HealthState
from covirt.virtocid.driver.records import domain_record
from covirt.virtocid.driver.restart_policy import RestartState
from covirt.virtocid.driver.restarts import Restarts
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.start import clean_up
from covirt.virtocid.driver.store import RunPhase, UserRequest
from covirt.virtocid.driver.timer import boot_seconds
from covirt.wire.constants import AgentReason, AgentState, LifecycleEvent, MetadataType

log = logging.getLogger(__name__)

_LOG_TAIL_LINES: Final = 10
_BUSY_SECONDS: Final = 5.0
_RESTARTS: Final = (UserRequest.REBOOT, UserRequest.RESET)
_DESTROYS: Final = (UserRequest.DESTROY, UserRequest.DESTROY_GRACEFULLY, UserRequest.RESET)
# What an end is that was asked for by a signal, when the container did end.
_ASKED: Final = {
    UserRequest.SHUTDOWN: StopKind.SHUTDOWN,
    UserRequest.REBOOT: StopKind.SHUTDOWN,
    UserRequest.HEALTH: StopKind.HEALTH,
    **dict.fromkeys(_DESTROYS, StopKind.DESTROY),
}

Restart = Callable[[Domain, Run], None]


@contextlib.contextmanager
def logged_disk_errors(what: str) -> Iterator[None]:
    """A full disk must not keep a container from ending, nor its clients from hearing of it."""
    try:
        yield
    except OSError as error:
        log.error("It could not be written down %s: %s", what, error)


def now_text() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Endings:
    """Watches runs and handles their ends, several at a time."""

    def __init__(self, services: Services, restart: Restart, restarts: Restarts) -> None:
        self._services = services
        self._restart = restart  # for what a user asked for
        self._restarts = restarts  # for what its policy says
        # What others have in a container, or of it, ends before its places are removed. They do not raise.
        self.before_clean_up: list[Callable[[Run], None]] = []
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="virtocid-end")

    def close(self) -> None:
        """Let what has begun finish. The watcher must be stopped first."""
        self._pool.shutdown()

    def watch(self, domain: Domain, run: Run) -> None:
        """Handle the run's end when it comes, also when it has come already."""
        assert run.monitor is not None  # noqa: S101 - a created run has one
        self._services.watcher.watch(run.container_id, run.monitor, lambda _key: self._submit(domain, run))

    def register(self, run: Run) -> None:
        """Tell the system's machine manager about a new run, without letting its client wait for that."""
        if run.container is not None:
            place = self._services.supervisor.adopt(run.container_id)
            leader = run.container.pid
            self._pool.submit(lambda: place.register(leader_pid=leader, uuid=run.uuid.bytes))

    def handle_ended(self, ended: list[tuple[Domain, Run]]) -> None:
        """Handle the ends that an earlier daemon did not live to see; returns when all are done."""
        list(self._pool.map(lambda pair: self._guarded(*pair), ended))

    def _submit(self, domain: Domain, run: Run) -> None:
        try:
            self._pool.submit(self._guarded, domain, run)
        except RuntimeError:  # the daemon is stopping; the next one will find the end
            log.debug("End left to the next daemon container=%s", run.container_id)

    def _guarded(self, domain: Domain, run: Run) -> None:
        try:
            self.ended(domain, run)
        except DomainBusy:  # for long, by a disk that hangs for one: let the workers see to others meanwhile
            again = boot_seconds() + _BUSY_SECONDS
            self._services.timer.at((domain.uuid, "end"), again, lambda: self._submit(domain, run))
        except NoSuchDomain:
            log.debug("The domain of a run that ended is gone container=%s", run.container_id)
        except Exception:  # a thread top: the end of one domain must not silence those of others
            log.exception("Handling the end of a run failed container=%s", run.container_id)

    def ended(self, domain: Domain, run: Run) -> None:
        """Handle the end of this run, once. Raises DomainBusy, NoSuchDomain."""
        with domain.job("its end", wait_seconds=_BUSY_SECONDS):
            present = domain.run
            if present is None or present.run_number != run.run_number:
                return
            try:
                self._handle(domain, present)
            finally:
                domain.end_told(present)

    def _handle(self, domain: Domain, run: Run) -> None:
        cause, following = self._recorded_cause(domain, run), domain.facts.restart
        if cause is None:
            cause = self._cause(run, domain.health)
            following = self._restarts.after_end(domain, run, cause)
        restarts = run.request in _RESTARTS and not domain.gone
        self._record(domain, run, cause, following)
        self._services.bus.agent_lifecycle(domain.remote, AgentState.DISCONNECTED, AgentReason.CHANNEL)
        for step in self.before_clean_up:
            step(run)
        self._clean_up(run)
        if restarts:
            log.info("Domain ended and starts again domain=%s uuid=%s cause=%s: %s", domain.name, domain.uuid,
                     cause.kind, cause.describe())  # fmt: skip
            self._start_again(domain, run)
        else:
            self.finish(domain, cause)

    def finish(self, domain: Domain, cause: StopCause) -> None:
        """The run is gone: say so. Also for a run that an earlier daemon saw end."""
        services = self._services
        with logged_disk_errors(f"that the run of {domain.name} is over"):
            services.runs.remove(domain.uuid)
        domain.update(run=None, last_stop=cause)
        dom = domain.remote
        if domain.persistent:
            with logged_disk_errors(f"which images {domain.name} uses"):
                services.hold_images(domain)  # no longer the one that only this run used
        else:
            self._forget(domain)
        log.info("Domain stopped domain=%s uuid=%s cause=%s: %s", dom.name, dom.uuid, cause.kind, cause.describe())
        outcome = cause.outcome
        if cause.kind is StopKind.SUPERVISOR_LOST:
            services.bus.control_error(dom)
        services.bus.metadata_change(dom, MetadataType.ELEMENT, STOP_CAUSE_NAMESPACE)
        if outcome.shutdown_detail is not None:
            services.bus.lifecycle(dom, LifecycleEvent.SHUTDOWN, outcome.shutdown_detail)
        services.bus.lifecycle(dom, LifecycleEvent.STOPPED, outcome.stopped_detail)
        services.counters.stops.add(cause.kind)
        self._restarts.arm(domain)

    def _forget(self, domain: Domain) -> None:
        """A transient domain ends with its run."""
        services = self._services
        services.domains.remove(domain)
        if services.store.has_definition(domain.uuid):
            log.warning("Its definition could not be read, so its files stay domain=%s", domain.name)
        else:
            with logged_disk_errors(f"that {domain.name} is gone"):
                services.store.remove(domain.uuid)
        services.ids.free(domain.uuid)
        services.images.release(None, domain.uuid)

    def _recorded_cause(self, domain: Domain, run: Run) -> StopCause | None:
        """What an earlier daemon found, before it was killed during the clean-up."""
        facts = domain.facts
        return facts.last_stop if run.phase is RunPhase.STOPPING and facts.run_number == run.run_number else None

    def _cause(self, run: Run, health: HealthState | None) -> StopCause:
        """Why it ended: what was asked for wins, but for a death at the memory limit."""
        assert run.container is not None  # noqa: S101 - only created runs are watched
        end = read_end(run.monitor_paths, run.container)
        oom = end.oom_mark or bool(self._services.reader.oom_kills(run.cgroup_path))
        tail = tuple(line.text.rstrip("\r") for line in log_tail(run.monitor_paths, _LOG_TAIL_LINES))
        cause = decide(run.request, end, oom=oom, tail=tail)
        if cause.kind is not StopKind.HEALTH or health is None:
            return cause
        return replace(cause, message=f"{health.kind}, {health.streak} times in a row")

    def _record(self, domain: Domain, run: Run, cause: StopCause, following: RestartState) -> None:
        ending = replace(run, phase=RunPhase.STOPPING)
        facts = domain.update(run=ending, last_stop=cause, run_number=run.run_number, restart=following)
        with logged_disk_errors(f"why {domain.name} ended"):
            if not facts.transient:
                self._services.store.save(domain_record(domain))
                self._services.store.clear_running(domain.uuid)
        with logged_disk_errors(f"that {domain.name} is ending"):
            self._services.runs.save(ending.record)

    def _clean_up(self, run: Run) -> None:
        try:
            clean_up(self._services, run)
        except Error as error:
            log.error("Something of a run is left and will be tried again at the next start-up container=%s: %s",
                      run.container_id, error)  # fmt: skip

    def _start_again(self, domain: Domain, run: Run) -> None:
        try:
            self._restart(domain, run)
        except (Error, OSError) as error:
            log.error("Domain could not be started again domain=%s: %s", domain.name, error)
            cause = StopCause(kind=StopKind.START_FAILED, when=now_text(), message=str(error))
            following = self._restarts.after_failed_start(domain, cause, count=0)
            self._record(domain, replace(run, run_number=run.run_number + 1), cause, following)
            self.finish(domain, cause)
        else:
            self._services.bus.metadata_change(domain.remote, MetadataType.ELEMENT, STOP_CAUSE_NAMESPACE)
            self._services.bus.reboot(domain.remote)


def decide(request: UserRequest | None, end: RunEnd, *, oom: bool, tail: tuple[str, ...]) -> StopCause:
    """The one cause, from what a user asked for and what the monitor left."""
    when = now_text()
    forced = request in _DESTROYS or request is UserRequest.HEALTH
    if end.status is not None:
        cause = StopCause.of_exit(end.status, when=when, oom=oom, log_tail=tail)
        if request is None or (cause.kind is StopKind.OOM and not forced):
            return cause
        return replace(cause, kind=_ASKED[request])
    if request is not None and forced:
        return StopCause(kind=_ASKED[request], when=when, log_tail=tail)
    return StopCause(kind=StopKind.SUPERVISOR_LOST, when=when, log_tail=tail)
