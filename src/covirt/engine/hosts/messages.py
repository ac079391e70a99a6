# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The events of what hosts do by themselves; oVirt's numbers and sentences (AuditLogType, AuditLogMessages)."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.model.event import Severity

HOST_STATUS: Final = AuditMessage(code=13, text="Status of host {host} was set to {status}.")
HOST_NON_RESPONSIVE: Final = AuditMessage(
    code=12, severity=Severity.ERROR, text="Host {host} is non responsive. The reason: {reason}."
)
HOST_CONNECTING: Final = AuditMessage(
    code=9008,
    severity=Severity.WARNING,
    text="Host {host} is not responding. It will stay in Connecting state for a grace period of {seconds} seconds. "
    "The reason: {reason}.",
)
HOST_NON_OPERATIONAL: Final = AuditMessage(
    code=517, severity=Severity.WARNING, text="Host {host} moved to Non-Operational state. {reason}"
)
VM_DOWN: Final = AuditMessage(code=61, text="VM {vm} is down. {exit}")
VM_DOWN_ERROR: Final = AuditMessage(
    code=119, severity=Severity.ERROR, text="VM {vm} is down with error. Exit message: {exit}."
)
VM_UNKNOWN: Final = AuditMessage(code=142, severity=Severity.WARNING, text="VM {vm} was set to the Unknown status.")
VM_DOWN_BY_FENCE: Final = AuditMessage(
    code=143, text="Vm {vm} was shut down due to {host} host reboot or manual fence"
)
VM_RESTORED: Final = AuditMessage(code=163, text="VM {vm} status was restored to {status}.")
VM_NOT_RESPONDING: Final = AuditMessage(code=126, severity=Severity.WARNING, text="VM {vm} is not responding.")
VM_PAUSED: Final = AuditMessage(code=1025, text="VM {vm} has been paused.")
VM_PAUSED_BY: Final = {
    "enospc": AuditMessage(
        code=138, severity=Severity.ERROR, text="VM {vm} has been paused due to no Storage space error."
    ),
    "eio": AuditMessage(
        code=145, severity=Severity.ERROR, text="VM {vm} has been paused due to storage I/O problem."
    ),
    "eother": AuditMessage(
        code=139, severity=Severity.ERROR, text="VM {vm} has been paused due to unknown storage error."
    ),
}
VM_RECOVERED: Final = AuditMessage(code=196, text="VM {vm} has recovered from paused back to up.")
# No number of oVirt's: it cannot see this.
VM_TWICE: Final = AuditMessage(
    code=20_001,
    severity=Severity.ALERT,
    text="VM {vm} runs on host {host}, while by the engine's knowledge it runs on {other}. Neither is stopped: look "
    "which of both is the right one, and end the other on its host.",
)
