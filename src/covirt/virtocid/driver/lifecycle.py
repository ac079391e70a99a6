# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a user does to a domain while it lives: start, stop, pause, signal."""

import logging
import signal as signals
from dataclasses import replace
from typing import Final

from covirt.common.dialect import STOP_CAUSE_NAMESPACE
from covirt.common.errors import Denied, Error, InvalidRequest, NotFound, Unsupported
from covirt.common.stop_cause import StopCause, StopKind
from covirt.common.undo import undo_on_failure
from covirt.oci.runtime import Runtime
from covirt.oci.runtimes.errors import ContainerInWrongState, ContainerMissing
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.complete import complete_definition
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.run_names import without_run_names
from covirt.virtocid.driver.domain_xml.signals import signal_number
from covirt.virtocid.driver.ending import Endings, logged_disk_errors, now_text
from covirt.virtocid.driver.errors import (
    BadArgument,
    DomainIsNotPaused,
    DomainIsPaused,
    EndTimedOut,
    NotSupported,
    StartFailed,
    StopTimedOut,
)
from covirt.virtocid.driver.executions import Executions
from covirt.virtocid.driver.health import Health
from covirt.virtocid.driver.health_checks import ContainerChecker
from covirt.virtocid.driver.records import domain_record
from covirt.virtocid.driver.restart_policy import RestartState
from covirt.virtocid.driver.restarts import Restarts
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.start import Starter
from covirt.virtocid.driver.store import RunPhase, UserRequest
from covirt.virtocid.driver.timer import boot_seconds
from covirt.wire.constants import (
    AgentReason,
    AgentState,
    LifecycleEvent,
    MetadataType,
    ResumedDetail,
    StartedDetail,
    StoppedDetail,
    SuspendedDetail,
)

log = logging.getLogger(__name__)

_DEFAULT_STOP_SIGNAL: Final = "SIGTERM"
_KILL_SECONDS: Final = 15.0  # from SIGKILL to the end of the clean-up, before stronger means are used
_CGROUP_KILL_SECONDS: Final = 45.0
# virDomainProcessSignal has its own numbers: those of Linux up to 31, then real-time signals from 32 (= SIGRTMIN).
_FIRST_REAL_TIME: Final = 32
_LAST_SIGNAL: Final = 64
# Requests after which it is to stay off.
_STOPS: Final = (UserRequest.SHUTDOWN, UserRequest.DESTROY, UserRequest.DESTROY_GRACEFULLY)
# Requests whose client has its answer before the container ends.
_UNWATCHED: Final = (UserRequest.SHUTDOWN, UserRequest.REBOOT)
# A mistake in the request keeps its own error; whatever else goes wrong in a start is told as a failed start.
_REQUEST_ERRORS: Final = (InvalidRequest, NotFound, Denied, Unsupported)


class Lifecycle:
    """Changes of a domain's state. Every method raises DomainBusy when another change takes too long."""

    def __init__(self, services: Services, executions: Executions) -> None:
        self._services = services
        self._starter = Starter(services)
        self.restarts = Restarts(services, self._start_by_policy)
        self.endings = Endings(services, self._start_again, self.restarts)
        self.health = Health(services, ContainerChecker(executions), self._end_unhealthy)
        self.endings.before_clean_up.append(lambda run: services.timer.cancel((run.uuid, "stop")))

    def close(self) -> None:
        """Restarts and health must be closed first, and the services' timer and watcher stopped."""
        self.endings.close()

    def start(
        self, domain: Domain, *, paused: bool, config: DomainConfig | None = None, retried: bool = False
    ) -> None:
        """Start a domain, for this run with ``config`` in place of its own.

        ``retried``: nobody waits for the answer, so its restart policy takes care of a failure.
        Raises DomainIsRunning, StartFailed, and what a wrong definition raises.
        """
        with domain.job("start"):
            self.start_within_job(domain, paused=paused, config=config or domain.next_config, retried=retried)

    def start_within_job(
        self, domain: Domain, *, paused: bool, config: DomainConfig, retried: bool = False, count: int = 0
    ) -> None:
        """The same for a caller that holds the domain's job. ``count``: restarts by its policy, with this one."""
        domain.require_inactive()
        services = self._services
        retried = retried or domain.facts.restart.due_seconds is not None  # it was to run anyway
        try:
            run = self._starter.start(domain, config, paused=paused, domain_id=services.domains.next_id())
        except (Error, OSError) as error:
            self._start_failed(domain, error, retried=retried, count=count)
            if isinstance(error, _REQUEST_ERRORS):
                raise
            raise StartFailed(name=domain.name, reason=error) from error
        self._running(domain, run)
        self._count_restarts(domain, count)
        log.info("Domain started domain=%s uuid=%s runtime=%s pid=%d", domain.name, domain.uuid, run.runtime,
                 run.container.pid if run.container else 0)  # fmt: skip
        services.bus.lifecycle(domain.remote, LifecycleEvent.STARTED, StartedDetail.BOOTED)
        if not paused:
            self._agent_answers(domain)
        if paused:
            services.bus.lifecycle(domain.remote, LifecycleEvent.SUSPENDED, SuspendedDetail.PAUSED)

    def _running(self, domain: Domain, run: Run) -> None:
        """From here on it is watched: whatever else fails, its end is handled (once this job is over)."""
        domain.update(run=run, run_number=run.run_number)
        self.endings.watch(domain, run)
        self._services.addressing.begin(run)
        if run.persistent:
            with logged_disk_errors(f"that {domain.name} runs"):
                self._services.store.mark_running(domain.uuid, run.boot_id)
        self.endings.register(run)
        self.health.watch(domain, run)

    def _count_restarts(self, domain: Domain, count: int) -> None:
        """It runs. What was planned is on disk, and not true any more: a run counts more than it, so there it stays;
        but a start by a user begins the count anew.
        """
        before = domain.facts.restart
        if before == RestartState():
            return
        counted = replace(before, count=count, due_seconds=None, gave_up=False) if count else RestartState()
        domain.update(restart=counted)
        if not count and domain.persistent:
            with logged_disk_errors(f"that {domain.name} was started"):
                self._services.store.save(domain_record(domain))

    def _start_by_policy(self, domain: Domain) -> None:
        count = domain.facts.restart.count
        self.start_within_job(domain, paused=False, config=domain.next_config, retried=True, count=count)

    def _start_failed(self, domain: Domain, error: Exception, *, retried: bool, count: int) -> None:
        services = self._services
        cause = StopCause(kind=StopKind.START_FAILED, when=now_text(), message=str(error))
        log.warning("Domain could not be started domain=%s cause=%s: %s", domain.name, cause.kind, error)
        following = self.restarts.after_failed_start(domain, cause, count=count) if retried else RestartState()
        domain.update(last_stop=cause, run_number=domain.facts.run_number + 1, restart=following)
        if domain.persistent:
            with logged_disk_errors(f"why {domain.name} did not start"):
                services.store.save(domain_record(domain))
        services.bus.metadata_change(domain.remote, MetadataType.ELEMENT, STOP_CAUSE_NAMESPACE)
        services.bus.lifecycle(domain.remote, LifecycleEvent.STOPPED, StoppedDetail.FAILED)
        services.counters.stops.add(cause.kind)
        self.restarts.arm(domain)

    def _start_again(self, domain: Domain, run: Run) -> None:
        """After a reboot: the same domain id, so that clients see one domain that never went away.

        With what it ran with, as in libvirt's own drivers: what was attached to the run only is still there, and
        what was changed in the definition only waits for the next start.
        """
        config = complete_definition(without_run_names(run.config), generated_name_prefix=self._services.root.id)
        again = self._starter.start(domain, config, paused=False, domain_id=run.domain_id, rebooting=True)
        self._running(domain, again)
        self._agent_answers(domain)

    def _agent_answers(self, domain: Domain) -> None:
        """virtocid is every container's guest agent: it is there as soon as the container runs."""
        self._services.bus.agent_lifecycle(domain.remote, AgentState.CONNECTED, AgentReason.CHANNEL)

    def shutdown(self, domain: Domain) -> None:
        """Send the stop signal and return; the end is told by an event. Or cancel the restart that it waits for."""
        self._ask_to_stop(domain, UserRequest.SHUTDOWN, "shutdown")

    def reboot(self, domain: Domain) -> None:
        """A shutdown, after which it starts again unless <on_reboot> says otherwise."""
        restarts = domain.config.on_reboot == "restart"
        self._ask_to_stop(domain, UserRequest.REBOOT if restarts else UserRequest.SHUTDOWN, "reboot")

    def reset(self, domain: Domain) -> None:
        """End it at once and start it again; returns when it runs. Raises StartFailed."""
        run = self._kill(domain, UserRequest.RESET, "reset")
        if run is not None:
            self._wait_for_kill(domain, run)
        if domain.run is None:
            raise StartFailed(name=domain.name, reason=domain.last_stop_text)

    def destroy(self, domain: Domain, *, graceful: bool) -> None:
        """End it and return when everything of it is gone. Raises StopTimedOut when a graceful end takes too long.

        While it waits for its restart, there is nothing to end but the waiting.
        """
        if graceful:
            run = self._ask_to_stop(domain, UserRequest.DESTROY_GRACEFULLY, "destroy")
            if run is None:
                return
            seconds = self._services.stop_seconds(run.config)
            if not domain.wait_for_end(run, timeout_seconds=seconds):
                self._withdraw(domain, run)
                raise StopTimedOut(name=domain.name, seconds=seconds, signal=run.stop_signal or _DEFAULT_STOP_SIGNAL)
            return
        run = self._kill(domain, UserRequest.DESTROY, "destroy")
        if run is not None:
            self._wait_for_kill(domain, run)

    def ask_again(self, domain: Domain, request: UserRequest) -> None:
        """Repeat what was asked of a daemon that was killed, which may not have reached the container; waits not."""
        if request is UserRequest.HEALTH:
            self.health.end_again(domain, domain.require_run())
            return
        if request in (UserRequest.DESTROY, UserRequest.RESET):
            self._kill(domain, request, request)
        else:
            self._ask_to_stop(domain, request, request)

    def _end_unhealthy(self, domain: Domain, run_number: int, *, kill: bool) -> Run | None:
        """health.End: no user's request, and never in the place of one."""
        with domain.job("health"):
            run = domain.run
            if run is None or run.run_number != run_number or run.request not in (None, UserRequest.HEALTH):
                return None
            if run.paused:
                if not kill:
                    return None
                run = self._thaw(domain, run)
            number = signals.SIGKILL if kill else signal_number(run.stop_signal or _DEFAULT_STOP_SIGNAL)
            run = self._end(domain, run, UserRequest.HEALTH, number)
        if kill:
            self._wait_for_kill(domain, run)
        return run

    def suspend(self, domain: Domain) -> None:
        """Freeze it. Raises DomainIsPaused."""
        with domain.job("suspend"):
            run = domain.require_run()
            if run.paused:
                raise DomainIsPaused(name=domain.name)
            paused = replace(run, paused=True)
            with undo_on_failure() as undo:
                # On record before it is so: what a record calls paused is compared with the runtime by a successor.
                undo.add(f"record that {domain.name} goes on", lambda: self._services.runs.save(run.record))
                self._services.runs.save(paused.record)
                self._runtime(run).pause(run.container_id)
                domain.update(run=paused)
            self._services.bus.lifecycle(domain.remote, LifecycleEvent.SUSPENDED, SuspendedDetail.PAUSED)

    def resume(self, domain: Domain) -> None:
        """Let it go on, or for the first time run. Raises DomainIsNotPaused."""
        with domain.job("resume"):
            run = domain.require_run()
            if not run.paused:
                raise DomainIsNotPaused(name=domain.name)
            self._thaw(domain, run)
            self._services.bus.lifecycle(domain.remote, LifecycleEvent.RESUMED, ResumedDetail.UNPAUSED)
            if run.phase is RunPhase.CREATED:
                self._agent_answers(domain)

    def signal(self, domain: Domain, *, pid: int, libvirt_signal: int) -> None:
        """Signal the first process; others are not known by pid here. Raises NotSupported, BadArgument."""
        if pid not in (1, -1):
            raise NotSupported(
                what=f"a signal to process {pid}", reason="only the first process (1) and all (-1) can be"
            )
        if not 1 <= libvirt_signal <= _LAST_SIGNAL:
            raise BadArgument(what=f"there is no signal {libvirt_signal}")
        number = libvirt_signal
        if libvirt_signal >= _FIRST_REAL_TIME:
            number = min(signals.SIGRTMIN + libvirt_signal - _FIRST_REAL_TIME, signals.SIGRTMAX)
        with domain.job("send-process-signal"):
            run = domain.require_run()
            self._runtime(run).kill(run.container_id, number, all_processes=pid == -1)

    def _ask_to_stop(self, domain: Domain, request: UserRequest, job: str) -> Run | None:
        """None when it was only waiting for its restart, and does not any more."""
        with domain.job(job):
            if request in _STOPS and self.restarts.cancel(domain):
                return None
            run = domain.require_run()
            if run.phase is RunPhase.CREATED:
                return self._end(
                    domain, run, request, signals.SIGKILL
                )  # it has not run: nothing could catch a signal
            if run.paused:
                run = self._thaw(domain, run)
            run = self._end(domain, run, request, signal_number(run.stop_signal or _DEFAULT_STOP_SIGNAL))
            if request in _UNWATCHED:
                self._warn_later(domain, run)
            return run

    def _warn_later(self, domain: Domain, run: Run) -> None:
        """Nobody waits for the end of a shutdown, so that a container that takes no notice is told of in the log."""
        seconds = self._services.stop_seconds(run.config)

        def warn() -> None:
            present = domain.run
            if present is not None and present.run_number == run.run_number and present.request in _UNWATCHED:
                log.warning(
                    "The container runs on, %g s after %s; to end it by force: virsh destroy %s domain=%s uuid=%s",
                    seconds, run.stop_signal or _DEFAULT_STOP_SIGNAL, domain.name, domain.name, domain.uuid,
                )  # fmt: skip

        self._services.timer.at((domain.uuid, "stop"), boot_seconds() + seconds, warn)

    def _kill(self, domain: Domain, request: UserRequest, job: str) -> Run | None:
        """As _ask_to_stop()."""
        with domain.job(job):
            if request in _STOPS and self.restarts.cancel(domain):
                return None
            run = domain.require_run()
            if run.paused and run.phase is not RunPhase.CREATED:
                run = self._thaw(domain, run)
            return self._end(domain, run, request, signals.SIGKILL)

    def _end(self, domain: Domain, run: Run, request: UserRequest, number: int) -> Run:
        """The request is on disk before the signal, so that a killed daemon's successor knows the cause."""
        run = self._save(domain, replace(run, request=request, request_sent=False))
        try:
            self._runtime(run).kill(run.container_id, number)
        except (ContainerInWrongState, ContainerMissing) as error:
            log.debug("It had ended already container=%s: %s", run.container_id, error)
        if number == signals.SIGKILL:
            return run
        return self._save(domain, replace(run, request_sent=True))

    def _withdraw(self, domain: Domain, run: Run) -> None:
        """It did not end when asked: what it does later is its own doing."""
        with domain.job("destroy"):
            present = domain.run
            if present is not None and present.run_number == run.run_number:
                self._save(domain, replace(present, request=None, request_sent=False))

    def _wait_for_kill(self, domain: Domain, run: Run) -> None:
        """A runtime or monitor that hangs cannot keep a container: its whole cgroup is killed then."""
        if domain.wait_for_end(run, timeout_seconds=_KILL_SECONDS):
            return
        log.warning("The container did not end by its runtime, so all of it is killed container=%s", run.container_id)
        self._services.supervisor.adopt(run.container_id).kill()
        if not domain.wait_for_end(run, timeout_seconds=_CGROUP_KILL_SECONDS):
            raise EndTimedOut(name=domain.name, seconds=_KILL_SECONDS + _CGROUP_KILL_SECONDS)

    def _thaw(self, domain: Domain, run: Run) -> Run:
        runtime = self._runtime(run)
        if run.phase is RunPhase.CREATED:
            runtime.start(run.container_id)
            return self._save(domain, replace(run, phase=RunPhase.RUNNING, paused=False, resumed=True))
        runtime.resume(run.container_id)
        return self._save(domain, replace(run, paused=False, resumed=True))

    def _save(self, domain: Domain, run: Run) -> Run:
        self._services.runs.save(run.record)
        domain.update(run=run)
        return run

    def _runtime(self, run: Run) -> Runtime:
        return self._services.runtimes.named(run.runtime)
