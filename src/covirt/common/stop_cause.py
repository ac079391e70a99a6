# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a container stopped: one structured cause, and the one table that says it in libvirt's and in Vdsm's words."""

import signal as signals
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self

from covirt.common.errors import InvalidRequest

# A shell's convention, kept by conmon: status 128 + N means "killed by signal N".
_SIGNAL_BASE: Final = 128


class BadStopCause(InvalidRequest):
    template = "this is not a recorded stop cause: {reason}"


class StopKind(StrEnum):
    EXITED = "exited"  # by itself; exit_code says how
    SIGNALED = "signaled"  # killed by a signal that we did not send
    OOM = "oom"  # killed by the kernel at its memory limit
    HEALTH = "health"  # stopped because its health check failed
    SHUTDOWN = "shutdown"  # a user asked it to end, and it did
    DESTROY = "destroy"  # a user ended it
    HOST = "host"  # the host went down or was rebooted under it
    START_FAILED = "start_failed"
    SUPERVISOR_LOST = "supervisor_lost"  # its monitor died first, so the container was ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A cause in other words: libvirt's numbers (include/libvirt/libvirt-domain.h) and Vdsm's.

    ``shutdown_detail``: of a SHUTDOWN event to send before STOPPED; None sends none.
    """

    state: int  # virDomainState
    reason: int  # virDomainShutoffReason
    stopped_detail: int  # virDomainEventStoppedDetailType
    shutdown_detail: int | None  # virDomainEventShutdownDetailType
    exit_code: int  # Vdsm: 0 normal, 1 error
    exit_reason: int  # Vdsm: lib/vdsm/virt/vmexitreason.py


_SHUTOFF: Final = 5  # virDomainState
# virDomainShutoffReason
_BY_SHUTDOWN, _BY_DESTROY, _BY_CRASH, _BY_FAILURE, _BY_DAEMON = 1, 2, 3, 6, 8
# virDomainEventStoppedDetailType
_STOPPED_SHUTDOWN, _STOPPED_DESTROYED, _STOPPED_CRASHED, _STOPPED_FAILED = 0, 1, 2, 5
# virDomainEventShutdownDetailType. Stock Vdsm reads GUEST as its exit reason 7 and HOST as 11.
_GUEST, _HOST = 1, 2


def _outcome(reason: int, stopped: int, shutdown: int | None, *, vdsm: tuple[int, int]) -> Outcome:
    return Outcome(
        state=_SHUTOFF,
        reason=reason,
        stopped_detail=stopped,
        shutdown_detail=shutdown,
        exit_code=vdsm[0],
        exit_reason=vdsm[1],
    )


_CRASH: Final = _outcome(_BY_CRASH, _STOPPED_CRASHED, None, vdsm=(1, 1))

# EXITED is the row for exit code 0; any other code is a crash. A shutdown is told like a virtual machine's, which
# also ends by itself when asked.
_OUTCOMES: Final[Mapping[StopKind, Outcome]] = {
    StopKind.EXITED: _outcome(_BY_SHUTDOWN, _STOPPED_SHUTDOWN, _GUEST, vdsm=(0, 7)),
    StopKind.SIGNALED: _CRASH,
    StopKind.OOM: _CRASH,
    StopKind.HEALTH: _CRASH,
    StopKind.SHUTDOWN: _outcome(_BY_SHUTDOWN, _STOPPED_SHUTDOWN, _GUEST, vdsm=(0, 6)),
    StopKind.DESTROY: _outcome(_BY_DESTROY, _STOPPED_DESTROYED, None, vdsm=(0, 6)),
    StopKind.HOST: _outcome(_BY_DAEMON, _STOPPED_SHUTDOWN, _HOST, vdsm=(1, 11)),
    StopKind.START_FAILED: _outcome(_BY_FAILURE, _STOPPED_FAILED, None, vdsm=(1, 3)),
    StopKind.SUPERVISOR_LOST: _outcome(_BY_FAILURE, _STOPPED_FAILED, None, vdsm=(1, 2)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCause:
    """``when``: UTC, ISO 8601. ``exit_code``: as the container's process left it; None when nobody knows.

    ``message``: what the program or we have to add (a runtime's error, which health check); ``log_tail``: the last
    lines of the container's log.
    """

    kind: StopKind
    when: str
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    log_tail: tuple[str, ...] = ()

    @classmethod
    def of_exit(
        cls, status: int, *, when: str, oom: bool = False, message: str = "", log_tail: tuple[str, ...] = ()
    ) -> Self:
        """The cause of an end that nobody asked for, from an exit status in conmon's form (128 + N: signal N).

        An out-of-memory kill counts only when the process died of it: a container may survive a killed child.
        """
        number = status - _SIGNAL_BASE if _is_signal(status - _SIGNAL_BASE) else None
        if number is None:
            kind = StopKind.EXITED
        elif oom and number == signals.SIGKILL:
            kind = StopKind.OOM
        else:
            kind = StopKind.SIGNALED
        return cls(kind=kind, when=when, exit_code=status, signal=number, message=message, log_tail=log_tail)

    @property
    def outcome(self) -> Outcome:
        """The same in libvirt's and Vdsm's words."""
        if self.kind is StopKind.EXITED and self.exit_code != 0:
            return _CRASH
        return _OUTCOMES[self.kind]

    def describe(self) -> str:
        """One sentence for people: the log, the metadata, Vdsm's exitMessage."""
        sentence = _SENTENCES[self.kind].format(exit_code=self.exit_code, signal=_signal_name(self.signal))
        return f"{sentence}: {self.message}" if self.message else sentence

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "log_tail": list(self.log_tail)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Reads what as_json() gave; keys of later versions are left out. Raises BadStopCause."""
        try:
            return cls(
                kind=StopKind(value["kind"]),
                when=str(value["when"]),
                exit_code=_optional_int(value.get("exit_code")),
                signal=_optional_int(value.get("signal")),
                message=str(value.get("message", "")),
                log_tail=tuple(str(line) for line in value.get("log_tail", ())),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadStopCause(reason=repr(error)) from error


_SENTENCES: Final[Mapping[StopKind, str]] = {
    StopKind.EXITED: "its process ended with exit code {exit_code}",
    StopKind.SIGNALED: "its process was killed by {signal}",
    StopKind.OOM: "the kernel killed its process because it reached its memory limit",
    StopKind.HEALTH: "it was stopped because its health check failed",
    StopKind.SHUTDOWN: "a user shut it down",
    StopKind.DESTROY: "a user destroyed it",
    StopKind.HOST: "its host went down",
    StopKind.START_FAILED: "it could not be started",
    StopKind.SUPERVISOR_LOST: "its monitor was lost, so it was ended",
}


def _is_signal(number: int) -> bool:
    return 0 < number <= signals.SIGRTMAX


def _signal_name(number: int | None) -> str:
    if number is None:
        return "a signal"
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)
