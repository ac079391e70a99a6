# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One check of one running container, to its result."""

import logging
from typing import Final, Protocol

from covirt.common.adopter import AdopterLost
from covirt.common.errors import Error
from covirt.oci.execution import ExecEnd, ExecRequest
from covirt.oci.execution_capture import capture
from covirt.oci.execution_errors import ContainerConfigUnreadable
from covirt.oci.network_probe import Endpoint, probe_http, probe_tcp
from covirt.oci.runtimes.errors import ContainerInWrongState, ContainerMissing
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.model_health import Check, CommandCheck, HttpCheck, TcpCheck
from covirt.virtocid.driver.errors import DomainIsNotRunning, DomainIsPaused
from covirt.virtocid.driver.executions import Executions
from covirt.virtocid.driver.health_plan import CheckResult
from covirt.virtocid.driver.run import Run

log = logging.getLogger(__name__)

_OUTPUT_CHARACTERS: Final = 1000
_OUTPUT_BYTES: Final = 16_384
# The container ends or stands still, or our own helper was killed: nothing of it is an illness.
_NO_VERDICT: Final = (
    AdopterLost,
    ContainerConfigUnreadable,
    ContainerInWrongState,
    ContainerMissing,
    DomainIsNotRunning,
    DomainIsPaused,
)


class Checker(Protocol):
    """What health asks of whoever checks."""

    def check(self, domain: Domain, run: Run, check: Check, *, timeout_seconds: float) -> CheckResult | None:
        """None when nothing can be said, because the container ends for one. Never raises an expected error."""


class ContainerChecker:
    """Runs commands inside the container, and asks ports from inside its network."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions

    def check(self, domain: Domain, run: Run, check: Check, *, timeout_seconds: float) -> CheckResult | None:
        try:
            match check:
                case CommandCheck():
                    return self._command(domain, check, timeout_seconds)
                case HttpCheck():
                    return _http(run, check, timeout_seconds)
                case TcpCheck():
                    return _tcp(run, check, timeout_seconds)
        except _NO_VERDICT as error:
            log.debug("No verdict of a health check container=%s: %s", run.container_id, error)
            return None
        except (Error, OSError) as error:
            return CheckResult(healthy=False, output=_end_of(str(error)))
        return None

    def _command(self, domain: Domain, check: CommandCheck, timeout_seconds: float) -> CheckResult | None:
        execution = self._executions.start(domain, ExecRequest(arguments=check.words), counted=False)
        captured = capture(execution, timeout_seconds=timeout_seconds, limit_bytes=_OUTPUT_BYTES)
        output = (captured.stdout + captured.stderr).decode(errors="replace")
        match captured.end:
            case None:
                output = f"the command did not end within {timeout_seconds:g} seconds\n{output}"
            case ExecEnd(exit_code=0):
                return CheckResult(healthy=True, output=_end_of(output))
            case ExecEnd(exit_code=None, signal=None):
                return None
            case ExecEnd(exit_code=None, signal=number):
                output = f"killed by signal {number}\n{output}"
            case ExecEnd(exit_code=code):
                output = f"exit code {code}\n{output}"
        return CheckResult(healthy=False, output=_end_of(output))


def _tcp(run: Run, check: TcpCheck, timeout_seconds: float) -> CheckResult:
    endpoint = Endpoint(namespace=run.network_namespace, address=check.address, port=check.port)
    probe_tcp(endpoint, timeout_seconds=timeout_seconds)
    return CheckResult(healthy=True, output=f"{endpoint.text}: connected")


def _http(run: Run, check: HttpCheck, timeout_seconds: float) -> CheckResult:
    endpoint = Endpoint(namespace=run.network_namespace, address=check.address, port=check.port)
    status = probe_http(endpoint, path=check.path, host=check.host, timeout_seconds=timeout_seconds)
    low, high = check.status
    return CheckResult(healthy=low <= status <= high, output=f"{endpoint.text}{check.path}: status {status}")


def _end_of(text: str) -> str:
    return text.strip()[-_OUTPUT_CHARACTERS:]
