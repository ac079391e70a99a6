# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why a guest has ended, in Vdsm's words: what a container's virtocid wrote down, or what libvirt's events tell."""

from dataclasses import dataclass, replace
from typing import Any, Final

import libvirt

from covirt.common.dialect import STOP_CAUSE_NAMESPACE
from covirt.common.stop_cause import StopCause, StopKind
from covirt.host.virt.document import BadXml, read_xml
from covirt.host.virt.records import Exit
from covirt.hostapi.statuses import EXIT_MESSAGES, ExitCode, ExitReason

_SHUTDOWN_REASONS: Final = {
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST: ExitReason.USER_SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST: ExitReason.HOST_SHUTDOWN,
}
_NORMAL: Final = (
    ExitReason.SUCCESS, ExitReason.SAVE_STATE_SUCCEEDED, ExitReason.ADMIN_SHUTDOWN, ExitReason.USER_SHUTDOWN,
    ExitReason.HOST_SHUTDOWN,
)  # fmt: skip
_EVENT_REASONS: Final = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: ExitReason.USER_SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: ExitReason.ADMIN_SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: ExitReason.SAVE_STATE_SUCCEEDED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: ExitReason.GENERIC_ERROR,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: ExitReason.LOST_QEMU_CONNECTION,
}
_STATE_REASONS: Final = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: ExitReason.USER_SHUTDOWN,
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: ExitReason.ADMIN_SHUTDOWN,
    libvirt.VIR_DOMAIN_SHUTOFF_SAVED: ExitReason.SAVE_STATE_SUCCEEDED,
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: ExitReason.GENERIC_ERROR,
}

# By virsh, or whoever else has a way to libvirt: for libvirt that is a stop like the engine's.
_OUTSIDE: Final = "it was stopped on the host, not by the engine"
_UNFINISHED: Final = "its start was interrupted and is undone: start it again"


def exit_for(reason: ExitReason, message: str = "") -> Exit:
    """With Vdsm's own message unless there is a better one."""
    code = ExitCode.NORMAL if reason in _NORMAL else ExitCode.ERROR
    return Exit(code=code, reason=reason, message=message or EXIT_MESSAGES[reason])


def exit_asked_for(reason: ExitReason) -> Exit:
    """Of one that the agent itself has stopped for this reason. A failed start is stopped only where nobody knows any
    more how far it was."""
    return exit_for(reason, _UNFINISHED if reason is ExitReason.START_FAILED else "")


def shutdown_reason(detail: int) -> ExitReason | None:
    """What a SHUTDOWN event promises of the STOPPED one that follows."""
    return _SHUTDOWN_REASONS.get(detail)


def exit_of_event(detail: int) -> Exit:
    """From a STOPPED event alone: the agent has asked for nothing."""
    return _told(_EVENT_REASONS.get(detail, ExitReason.LOST_QEMU_CONNECTION))


def exit_of_state(reason: int) -> Exit:
    """From what libvirt says of a domain that is off, when nobody saw it end."""
    return _told(_STATE_REASONS.get(reason, ExitReason.LOST_QEMU_CONNECTION))


def _told(reason: ExitReason) -> Exit:
    return exit_for(reason, _OUTSIDE if reason is ExitReason.ADMIN_SHUTDOWN else "")


def container_exit(stop: "ContainerStop", *, asked_for: bool) -> Exit:
    """virtocid knows who ended it, but not whether that was the agent (``asked_for``)."""
    if stop.exit.reason is ExitReason.ADMIN_SHUTDOWN and not asked_for:
        return replace(stop.exit, message=_OUTSIDE)
    return stop.exit


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStop:
    """``restarts``: virtocid will start it again, as its restart policy has it."""

    exit: Exit
    restarts: bool


def container_stop(domain: Any) -> ContainerStop | None:
    """What virtocid wrote down of the last stop; None when it has nothing. Raises libvirtError."""
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, STOP_CAUSE_NAMESPACE, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return None
        raise
    try:
        element = read_xml(text)
        exit_code = element.get("exitCode")
        cause = StopCause(
            kind=StopKind(element.get("kind", "")),
            when=element.get("when", ""),
            exit_code=None if exit_code is None else int(exit_code),
        )
    except (BadXml, ValueError):
        return None
    outcome = cause.outcome
    return ContainerStop(
        exit=Exit(
            code=ExitCode(outcome.exit_code),
            reason=ExitReason(outcome.exit_reason),
            message=element.get("message") or cause.describe(),
        ),
        restarts=element.get("restartsAt") is not None,
    )
