# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""After a restart of the daemon: find every domain and every run again, without asking a runtime.

A run whose processes live is adopted. One that ended meanwhile gets its true cause from the exit file. What was half
made is removed (and made again for a reboot), what was half removed is removed to its end. A record of an earlier
boot ended with its host.
"""

import logging
from dataclasses import replace

from covirt.common.errors import Error
from covirt.common.files import write_atomic
from covirt.common.process_identity import alive
from covirt.common.stop_cause import StopCause, StopKind
from covirt.oci.runtime import ContainerStatus
from covirt.virtocid.driver.devices import finish_change
from covirt.virtocid.driver.domain import Domain, DomainFacts
from covirt.virtocid.driver.domain_xml.run_names import without_run_names
from covirt.virtocid.driver.ending import Endings, now_text
from covirt.virtocid.driver.executions import end_executions
from covirt.virtocid.driver.lifecycle import Lifecycle
from covirt.virtocid.driver.records import domain_of, domain_record
from covirt.virtocid.driver.run import Run, run_of
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.start import clean_up, remove_all_left
from covirt.virtocid.driver.store import RunPhase, RunRecord, UserRequest
from covirt.virtocid.driver.tuning import undo_half_done

log = logging.getLogger(__name__)


class Recovery:
    """Runs once, before the first client is served."""

    def __init__(self, services: Services, lifecycle: Lifecycle) -> None:
        self._services = services
        self._lifecycle = lifecycle
        self._endings: Endings = lifecycle.endings
        self._left_alone: set[str] = set()  # UUIDs of runs whose record cannot be read: nothing of theirs is touched

    def run(self) -> None:
        self._load_domains()
        remove_all_left(self._services)
        self._services.kept_volumes.finish_removals()
        runs = self._load_runs()
        living = {run.container_id: run for run in runs if self._lives(run)}
        self._services.network.adopt(living.values())
        self._services.addressing.adopt(living.values())
        ended = [self._recover(run, lives=run.container_id in living) for run in runs]
        self._remove_strangers(runs)
        self._endings.handle_ended([each for each in ended if each is not None])  # some of these start again
        self._explain_host_ends()
        self._finish_undefines()
        self._services.reconcile_images()

    def autostart(self) -> None:
        """Start what is marked so, once per boot."""
        marker = self._services.root.run_dir / "virtocid" / "autostarted"
        if marker.exists() and marker.read_text() == self._services.boot_id:
            return
        for domain in self._services.domains.all():
            if domain.facts.autostart and not domain.active:
                try:
                    self._lifecycle.start(domain, paused=False, retried=True)
                except Error as error:
                    log.error("Autostart failed domain=%s: %s", domain.name, error)
        write_atomic(marker, self._services.boot_id.encode(), durable=False)

    def _load_domains(self) -> None:
        services = self._services
        records, broken = services.store.load_all()
        for each in broken:
            log.error("A domain is left out because its file is broken path=%s reason=%s", each.path, each.reason)
        for record in records:
            try:
                if record.id_range is not None:  # also for a definition that cannot be read: it may run
                    services.ids.reserve(record.uuid, record.id_range[0])
                services.domains.add(domain_of(record))
            except Error as error:
                log.error("A domain is left out domain=%s: %s", record.name, error)

    def _load_runs(self) -> list[Run]:
        services = self._services
        records, broken = services.runs.load_all()
        for each in broken:
            log.error("A run is left alone because its file is broken path=%s reason=%s", each.path, each.reason)
            self._left_alone.add(each.path.parent.name)
        runs = []
        for record in records:
            run = self._read(record)
            if run is not None:
                runs.append(run)
                services.domains.seen_id(run.domain_id)
        return runs

    def _read(self, record: RunRecord) -> Run | None:
        try:
            return run_of(record, self._services.runs.directory(record.uuid))
        except Error as error:
            log.error("A run is left alone because its record cannot be read uuid=%s: %s", record.uuid, error)
            self._left_alone.add(str(record.uuid))
            return None

    def _lives(self, run: Run) -> bool:
        """Whether this run can go on: of this boot, fully made, and its monitor and process still there."""
        if run.boot_id != self._services.boot_id or run.phase not in (RunPhase.CREATED, RunPhase.RUNNING):
            return False
        if run.phase is RunPhase.CREATED and not run.paused:
            return False  # killed between create and start: undone below
        return run.monitor is not None and alive(run.monitor.pid, run.monitor.start_time)

    def _recover(self, run: Run, *, lives: bool) -> tuple[Domain, Run] | None:
        """Adopt or undo a run; one that ended by itself is returned, to be handled with others at once."""
        domain = self._domain_of(run)
        if lives:
            run = finish_change(self._services, domain, self._as_it_is(run))
            run = undo_half_done(self._services, run)
            end_executions(run)
            domain.update(run=run, run_number=run.run_number)
            log.info("Domain found running domain=%s uuid=%s", domain.name, domain.uuid)
            self._endings.watch(domain, run)
            self._lifecycle.health.adopt(domain, run)
            self._finish_request(domain, run)
        elif self._ended(run):
            domain.update(run=run)
            return domain, run
        elif run.rebooting and run.boot_id == self._services.boot_id:
            return domain, self._back_to_its_end(domain, run)
        else:
            self._undo(domain, run)
        return None

    def _ended(self, run: Run) -> bool:
        """It ran, and ended while nobody looked or in the middle of its clean-up: its exit file tells the rest."""
        ran = run.phase in (RunPhase.RUNNING, RunPhase.STOPPING) and run.container is not None
        return ran and run.boot_id == self._services.boot_id

    def _back_to_its_end(self, domain: Domain, run: Run) -> Run:
        """A half-made start of a reboot, as the end of the run before it, whose handling starts it again."""
        ended = replace(run, phase=RunPhase.STOPPING, request=UserRequest.REBOOT)
        cause = domain.facts.last_stop or StopCause(kind=StopKind.SHUTDOWN, when=now_text())
        domain.update(run=ended, run_number=run.run_number, last_stop=cause)
        return ended

    def _as_it_is(self, run: Run) -> Run:
        """A pause is on record before it begins until after it is over: only the runtime knows whether it is so."""
        if not run.paused:
            return run
        try:
            status = self._services.runtimes.named(run.runtime).state(run.container_id).status
        except Error as error:
            log.warning("Taken for paused, as recorded domain=%s: %s", run.config.name, error)
            return run
        if status is not ContainerStatus.RUNNING:
            return run
        run = replace(run, phase=RunPhase.RUNNING, paused=False, resumed=True)
        self._services.runs.save(run.record)
        return run

    def _finish_request(self, domain: Domain, run: Run) -> None:
        """A stop that was asked for may not have reached the container: ask for it again."""
        if run.request is None or (run.request_sent and run.request is not UserRequest.HEALTH):
            return
        try:
            self._lifecycle.ask_again(domain, run.request)
        except Error as error:
            log.error("A stop could not be finished domain=%s: %s", domain.name, error)

    def _undo(self, domain: Domain, run: Run) -> None:
        """Half made, or of another boot: remove what is left and say why it is not running."""
        cause = self._cause(domain, run)
        following = domain.facts.restart
        if cause.kind is StopKind.START_FAILED and following.due_seconds is None:
            following = self._lifecycle.restarts.after_failed_start(domain, cause, count=following.count)
        number = max(run.run_number, domain.facts.run_number)
        domain.update(last_stop=cause, run_number=number, restart=following)
        if domain.persistent:
            self._services.store.save(domain_record(domain))
            self._services.store.clear_running(domain.uuid)
        try:
            clean_up(self._services, run)
        except Error as error:
            log.error("Something of a run could not be removed container=%s: %s", run.container_id, error)
        self._endings.finish(domain, cause)

    def _cause(self, domain: Domain, run: Run) -> StopCause:
        if run.boot_id == self._services.boot_id:
            reason = "virtocid ended during the start; start it again"
            return StopCause(kind=StopKind.START_FAILED, when=now_text(), message=reason)
        recorded = domain.facts.last_stop
        if run.phase is RunPhase.STOPPING and recorded is not None and domain.facts.run_number == run.run_number:
            return recorded
        return StopCause(kind=StopKind.HOST, when=now_text())

    def _domain_of(self, run: Run) -> Domain:
        """The run's domain; a transient one exists nowhere else."""
        services = self._services
        domain = services.domains.find(run.uuid)
        if domain is None:
            domain = Domain(
                run.uuid,
                DomainFacts(
                    config=without_run_names(run.config),
                    first_id=run.first_id,
                    transient=True,
                    run_number=run.run_number - 1,
                ),
            )
            services.ids.reserve(run.uuid, run.first_id)
            services.domains.add(domain)
        return domain

    def _finish_undefines(self) -> None:
        """Directories of domains that were undefined while they ran, and whose run is over."""
        services = self._services
        for uuid in services.store.undefined():
            if services.domains.find(uuid) is None and str(uuid) not in self._left_alone:
                services.store.remove(uuid)

    def _explain_host_ends(self) -> None:
        """Domains that ran when their host went down: /run is empty now, and only their mark is left."""
        services = self._services
        for domain in services.domains.all():
            alone = str(domain.uuid) in self._left_alone
            if domain.active or alone or services.store.running_boot_id(domain.uuid) is None:
                continue
            cause = StopCause(kind=StopKind.HOST, when=now_text())
            domain.update(last_stop=cause)
            services.store.save(domain_record(domain))
            services.store.clear_running(domain.uuid)
            log.warning("Domain had been running domain=%s uuid=%s: %s", domain.name, domain.uuid, cause.describe())

    def _remove_strangers(self, runs: list[Run]) -> None:
        """Places of runs that no record tells of: their record was removed right before their daemon was killed."""
        known = {run.container_id for run in runs}
        for name in self._services.supervisor.leftovers():
            if name not in known and name.rpartition("-")[0] not in self._left_alone:
                log.warning("Removing what is left of an unknown run container=%s", name)
                try:
                    self._services.supervisor.adopt(name).remove()
                except Error as error:
                    log.error("It could not be removed container=%s: %s", name, error)
