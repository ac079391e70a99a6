# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The agent: from the text of a command to the text of its answer, and what it keeps of each run meanwhile."""

import json
import logging
import math
import threading
from typing import Any, Final
from uuid import UUID

from covirt.oci.inside import InsideFailed, cgroup_files, open_inside
from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.command import Call
from covirt.virtocid.driver.agent.errors import (
    AgentCommandFailed,
    AgentUnresponsive,
    BadAgentJson,
    BadAgentTimeout,
    Refused,
)
from covirt.virtocid.driver.agent.execution import StartProcess
from covirt.virtocid.driver.agent.guest import GuestRun, OpenInside
from covirt.virtocid.driver.agent.power import Power
from covirt.virtocid.driver.agent.table import REFUSED, all_commands
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import DomainIsNotRunning
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.store import RunPhase

log = logging.getLogger(__name__)

BLOCK, DEFAULT, NOWAIT = -2, -1, 0  # VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_*
# Containers answer in milliseconds. A client that would wait for ever, or names no time, still gets an error.
_DEFAULT_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 30.0
_UNKNOWN: Final = "<unknown>"
_LONGEST_NAME: Final = 64  # characters


class Agent:
    """One for all domains. Thread-safe."""

    def __init__(
        self,
        services: Services,
        power: Power,
        start_process: StartProcess,
        open_inside: OpenInside = open_inside,
    ) -> None:
        self._services = services
        self._open_inside = open_inside
        self._commands = all_commands(power, start_process)
        self._lock = threading.Lock()
        self._guests: dict[UUID, GuestRun] = {}
        self._timeouts: dict[UUID, int] = {}

    def command(self, domain: Domain, text: str, *, timeout: int) -> str:
        """Answer a command, both in JSON. ``timeout``: seconds, or BLOCK, DEFAULT, NOWAIT.

        Raises DomainIsNotRunning, AgentUnresponsive, BadAgentJson, AgentCommandFailed and what a shutdown raises.
        """
        call = self.call(domain, timeout=timeout)
        request = _parsed(text)
        name = _told_name(request.get("execute"))
        try:
            answer = {"return": self._run(call, request)}
        except (Refused, InsideFailed) as error:
            raise AgentCommandFailed(command=name, reason=error) from error
        if "id" in request:
            answer["id"] = request["id"]
        return json.dumps(answer, separators=(",", ":"))

    def call(self, domain: Domain, *, timeout: int = DEFAULT) -> Call:
        """What one command works with. Raises DomainIsNotRunning, AgentUnresponsive, BadAgentTimeout."""
        run = domain.require_run()
        if run.phase is RunPhase.STOPPING:
            raise DomainIsNotRunning(name=domain.name)
        if run.paused:
            raise AgentUnresponsive(name=domain.name, reason="is paused; resume it first")
        seconds = self._seconds(domain, timeout)
        return Call(domain=domain, run=run, guest=self._guest(domain, run), seconds=seconds)

    def set_timeout(self, domain: Domain, timeout: int) -> None:
        """What a timeout of DEFAULT means for this domain until virtocid ends. Raises BadAgentTimeout."""
        _require_timeout(timeout)
        with self._lock:
            self._timeouts[domain.uuid] = timeout

    def forget(self, run: Run) -> None:
        """The run is over: end what the agent has in it, before its places are removed."""
        with self._lock:
            guest = self._guests.get(run.uuid)
            if guest is None or guest.run.run_number > run.run_number:
                return
            del self._guests[run.uuid]
        guest.end()

    def close(self) -> None:
        """virtocid ends: so does what has been opened."""
        with self._lock:
            guests, self._guests = list(self._guests.values()), {}
        for guest in guests:
            guest.end()

    def _run(self, call: Call, request: dict[str, Any]) -> object:
        name, arguments = request.get("execute"), request.get("arguments", {})
        for member in request:
            if member not in ("execute", "arguments", "id"):
                raise Refused(reason=f"QMP input member '{_told_name(member)}' is unexpected")
        if not isinstance(name, str):
            raise Refused(reason="QMP input lacks member 'execute', a string")
        if not isinstance(arguments, dict):
            raise Refused(reason="QMP input member 'arguments' must be an object")
        if name in REFUSED:
            raise Refused(reason=f"Command {name} has been disabled: {REFUSED[name]}")
        command = self._commands.get(name)
        if command is None:
            raise Refused(reason=f"The command {_told_name(name)} has not been found")
        given = Arguments(arguments)
        given.only(command.arguments)
        log.debug("Agent command domain=%s command=%s", call.domain.name, name)
        return command.run(call, given)

    def _guest(self, domain: Domain, run: Run) -> GuestRun:
        with self._lock:
            guest = self._guests.get(run.uuid)
            if guest is not None and guest.run.run_number >= run.run_number:
                return guest
            files = cgroup_files(self._services.supervisor.layout, run.cgroup_path)
            fresh = GuestRun(run, files, self._open_inside)
            present = domain.run
            if present is not None and present.run_number == run.run_number:  # else forget() was here already
                self._guests[run.uuid] = fresh
        if guest is not None:
            guest.end()
        return fresh

    def _seconds(self, domain: Domain, timeout: int) -> float:
        _require_timeout(timeout)
        if timeout == DEFAULT:
            timeout = self._timeouts.get(domain.uuid, DEFAULT)
        if timeout == BLOCK:
            return _LONGEST_SECONDS
        return _DEFAULT_SECONDS if timeout in (DEFAULT, NOWAIT) else min(float(timeout), _LONGEST_SECONDS)


def _require_timeout(timeout: int) -> None:
    if timeout < BLOCK:
        raise BadAgentTimeout(timeout=timeout)


def _parsed(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadAgentJson(reason=error) from error
    if not isinstance(request, dict):
        raise AgentCommandFailed(command=_UNKNOWN, reason="QMP input must be a JSON object")
    return request


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):  # it could not be answered with: JSON has no word for it
        raise ValueError("a number is too large")
    return value


def _told_name(name: object) -> str:
    """A name as it may stand in an error and a log: the client can have written anything."""
    return name if isinstance(name, str) and name.isprintable() and len(name) <= _LONGEST_NAME else _UNKNOWN
