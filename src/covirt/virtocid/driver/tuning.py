# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of domains: changed while they run, for their next start, or both; and what the kernel holds them to.

A live change is three steps: the run's record says that limits are changing, the cgroup is changed and read back, and
the record says the new configuration. A daemon that is killed in between leaves the mark, and the next one puts back
what the record says: nobody was told that the change had come about.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from covirt.common.errors import Error
from covirt.common.undo import UndoStack, undo_on_failure
from covirt.common.units import KIB
from covirt.oci.cgroup_limits import CgroupLimits
from covirt.oci.resources import Resources, changed_resources
from covirt.virtocid.driver.affect import affected_by
from covirt.virtocid.driver.definitions import Definitions
from covirt.virtocid.driver.disk_limits import run_resources
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.resources import require_here, resources_of
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.tuning_changes import Change
from covirt.virtocid.events import EventBus

log = logging.getLogger(__name__)


class Tuning:
    """Changing limits, and reading those in force. Thread-safe."""

    def __init__(self, services: Services, definitions: Definitions) -> None:
        self._services = services
        self._definitions = definitions
        self._limits = CgroupLimits(services.supervisor.layout)

    def change(
        self,
        domain: Domain,
        change: Change,
        *,
        flags: int,
        what: str,
        announce: Callable[[EventBus], None] | None = None,
    ) -> None:
        """Change the running, the stored or both configurations, or none. ``announce`` is called for a live change.

        Raises what ``change`` raises, DomainIsNotRunning, DomainIsTransient, BadArgument for what this host does not
        have, and what CgroupLimits.change() raises when the kernel does not take it.
        """
        with domain.job(what):
            affected = affected_by(flags, domain)
            stored = change(domain.next_config) if affected.stored else None
            if stored is not None:
                resources_of(stored, self._services.config.container)
            with undo_on_failure() as undo:
                run = self._enforce(domain, change, undo) if affected.live else None
                if stored is not None:
                    before = domain.next_config
                    undo.add("store the limits as before", lambda: self._definitions.replace_config(domain, before))
                    self._definitions.replace_config(domain, stored)
                if run is not None:
                    self._save(domain, run)
            log.info("Limits changed domain=%s what=%s live=%s stored=%s", domain.name, what, affected.live,
                     affected.stored)  # fmt: skip
            if affected.live and announce is not None:
                announce(self._services.bus)

    @property
    def default_pids_limit(self) -> int:
        """Of a domain whose XML has none."""
        return self._services.config.container.pids_limit

    def in_force(self, domain: Domain) -> Resources:
        """What the kernel holds a running domain to; None is no limit, or no such controller.

        Raises DomainIsNotRunning.
        """
        run = domain.require_run()
        return self._limits.read(run.cgroup_path, Resources(cpu_shares=run.config.cpu_tune.shares))

    def memory_kib(self, domain: Domain) -> int:
        """What a domain may use: a running one by the kernel's word, where that limits memory."""
        run = domain.run
        limit = None if run is None else self._limits.memory_limit_bytes(run.cgroup_path)
        return domain.config.current_memory_kib if limit is None else limit // KIB

    def _enforce(self, domain: Domain, change: Change, undo: UndoStack) -> Run:
        """Bring the change to the container; the answer is the run to be recorded when all else is done."""
        run = domain.require_run()
        changed = run.with_config(change(run.config))
        old, new = run_resources(self._services, run), run_resources(self._services, changed)
        require_here(new)
        undo.add(f"put back the limits of {domain.name}", lambda: self._put_back(run, old))
        self._services.runs.save(replace(run, limits_changing=True).record)
        self._limits.change(run.cgroup_path, old, new)
        self._tell_runtime(run, old, new, undo)
        return changed

    def _put_back(self, run: Run, old: Resources) -> None:
        """The mark goes last: while the limits are not back, the next start-up tries again."""
        self._limits.restore(run.cgroup_path, old)
        self._services.runs.save(run.record)

    def _tell_runtime(self, run: Run, old: Resources, new: Resources, undo: UndoStack) -> None:
        runtime = self._services.runtimes.named(run.runtime)
        document = changed_resources(old, new)
        if document and runtime.keeps_limits:
            back = changed_resources(new, old)
            undo.add("tell the runtime the limits as before", lambda: runtime.update(run.container_id, back))
            runtime.update(run.container_id, document)

    def _save(self, domain: Domain, run: Run) -> None:
        self._services.runs.save(run.record)
        domain.update(run=run)


def undo_half_done(services: Services, run: Run) -> Run:
    """At start-up: put back the limits of a run whose change was cut off. Only logs what cannot be put back."""
    if not run.limits_changing:
        return run
    try:
        resources = run_resources(services, run)
        CgroupLimits(services.supervisor.layout).restore(run.cgroup_path, resources)
    except Error as error:
        log.error("Limits could not be put back domain=%s: %s", run.config.name, error)
        return run
    log.info("A change of limits that was cut off is undone domain=%s", run.config.name)
    run = replace(run, limits_changing=False)
    services.runs.save(run.record)
    return run
