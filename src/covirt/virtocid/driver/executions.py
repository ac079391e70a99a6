# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are started inside running domains: by exec channels, the guest agent, health checks."""

import logging

from covirt.oci.execution import ExecRequest, ExecTarget, Execution, Executor, end_left_over
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainIsNotRunning, DomainIsPaused
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.store import RunPhase

log = logging.getLogger(__name__)


class Executions:
    """Takes no domain's job: a runtime that hangs here keeps nobody from ending the domain."""

    def __init__(self, services: Services) -> None:
        self._services = services
        limits = services.config.exec
        self._executor = Executor(per_container=limits.per_container, in_all=limits.in_all)

    def start(self, domain: Domain, request: ExecRequest, *, counted: bool = True) -> Execution:
        """Start a process in the domain's container; the caller closes the execution.

        ``counted=False`` is for what users must not be able to keep out: health checks. Raises DomainIsNotRunning,
        DomainIsPaused, and what Executor.start raises.
        """
        run = domain.require_run()
        if run.paused:
            raise DomainIsPaused(name=domain.name)
        if run.phase is not RunPhase.RUNNING:
            raise DomainIsNotRunning(name=domain.name)
        target = ExecTarget(
            runtime=self._services.runtimes.named(run.runtime),
            container_id=run.container_id,
            bundle=run.bundle,
            directory=run.executions,
        )
        seconds = self._services.config.exec.start_seconds
        execution = self._executor.start(target, request, timeout_seconds=seconds, counted=counted)
        # Not the arguments: they may hold secrets.
        log.debug("Process started in domain=%s pid=%d program=%s", domain.name, execution.pid, request.arguments[0])
        return execution

    def close(self) -> None:
        """End all that was started."""
        self._executor.close()


def end_executions(run: Run) -> None:
    """End what an earlier daemon had started in a run that goes on."""
    if run.container is not None:
        end_left_over(run.executions, first_pid=run.container.pid)
