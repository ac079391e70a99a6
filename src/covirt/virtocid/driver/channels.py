# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The two channels that every container has: a process started inside, and the log of the first one."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Final

from covirt.common.channels import EXEC_CHANNEL, LOG_CHANNEL, ExecChannelRequest, LogChannelRequest
from covirt.oci.execution import ExecRequest, Execution
from covirt.oci.log_reader import LogReader, parse_since
from covirt.oci.runtime import TerminalSize
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainIsPaused, NoSuchChannel, TooManyLogReaders
from covirt.virtocid.driver.exec_endpoint import ExecEndpoint
from covirt.virtocid.driver.executions import Executions
from covirt.virtocid.driver.log_endpoint import LogEndpoint
from covirt.virtocid.driver.services import Services

log = logging.getLogger(__name__)

_THREADS: Final = 16  # of each kind, made when they are needed: starts wait for runtimes, logs for disks


class Channels:
    """Opens channels; what goes over them is the endpoints'."""

    def __init__(self, services: Services, executions: Executions) -> None:
        self._services = services
        self._executions = executions
        self._starts = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="virtocid-exec")
        self._reads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="virtocid-logs")
        self._lock = threading.Lock()
        self._readers = 0

    def close(self) -> None:
        """After the executions: a start that waits fails then."""
        self._starts.shutdown(cancel_futures=True)
        self._reads.shutdown(cancel_futures=True)

    def open(self, domain: Domain, name: str | None, *, client: str) -> ExecEndpoint | LogEndpoint:
        """``client`` is for the log: who it is. No name means the first channel, which is the one for exec.

        Raises NoSuchChannel, DomainIsNotRunning, DomainIsPaused, TooManyLogReaders, and for a log what
        Services.console_log raises. A log can be read of a domain that is not running, too.
        """
        if name in (None, "", EXEC_CHANNEL):
            if domain.require_run().paused:
                raise DomainIsPaused(name=domain.name)
            return ExecEndpoint(lambda request: self._start(domain, request, client), self._starts)
        if name == LOG_CHANNEL:
            return self._open_log(domain)
        raise NoSuchChannel(name=domain.name, channel=name, known=f"{EXEC_CHANNEL} and {LOG_CHANNEL}")

    def _start(self, domain: Domain, request: ExecChannelRequest, client: str) -> Execution:
        size = request.size
        terminal = TerminalSize() if size is None else TerminalSize(rows=size.rows, columns=size.columns)
        execution = self._executions.start(
            domain,
            ExecRequest(
                arguments=request.command,
                user=request.user,
                working_directory=request.working_directory,
                environment=tuple(request.environment.items()),
                terminal=terminal if request.terminal else None,
            ),
        )
        # Not the arguments: they may hold secrets.
        log.info("Command begun domain=%s uuid=%s program=%r pid=%d client=%s", domain.name, domain.uuid,
                 request.command[0], execution.pid, client)  # fmt: skip
        return execution

    def _open_log(self, domain: Domain) -> LogEndpoint:
        run = domain.run
        path = run.log if run else self._services.console_log(
            domain.uuid, domain.next_config, persistent=domain.persistent
        )  # fmt: skip
        number = run.run_number if run else None

        def is_over() -> bool:
            present = domain.run
            return present is None or present.run_number != number

        with self._lock:
            if self._readers >= self._services.config.log.max_readers:
                raise TooManyLogReaders(limit=self._services.config.log.max_readers)
            self._readers += 1
        return LogEndpoint(
            lambda request: _reader(path, request), self._reads, is_over=is_over, on_close=self._reader_left
        )

    def _reader_left(self) -> None:
        with self._lock:
            self._readers -= 1


def _reader(path: Path, request: LogChannelRequest) -> LogReader:
    since: datetime | None = None if request.since is None else parse_since(request.since)
    return LogReader(path, since=since, tail=request.tail, timestamps=request.timestamps)
