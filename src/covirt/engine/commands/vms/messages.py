# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events of machines, with oVirt's numbers and sentences."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.model.event import Severity

ADDED: Final = AuditMessage(code=34, text="VM {vm} was created by {user}.")
UPDATED: Final = AuditMessage(code=35, text="VM {vm} configuration was updated by {user}.")
REMOVED: Final = AuditMessage(code=113, text="VM {vm} was successfully removed by {user}.")
DISKS_LEFT: Final = AuditMessage(
    code=15060,
    text="VM {vm} was removed by {user}, but its disks {disks} could not be: they belong to no machine now. "
    "Remove them again.",
    severity=Severity.WARNING,
)
STARTED: Final = AuditMessage(code=153, text="VM {vm} was started by {user} (Host: {host}).")
STARTS: Final = AuditMessage(code=150, text="Starting VM {vm} was initiated by {user}.")
START_FAILED: Final = AuditMessage(
    code=54,
    text="Failed to run VM {vm} due to a failed validation: {reason} (User: {user}).",
    severity=Severity.ERROR,
)
STOPPED: Final = AuditMessage(code=33, text="VM {vm} powered off by {user} (Host: {host}){reason}.")
STOP_FAILED: Final = AuditMessage(
    code=56, text="Failed to power off VM {vm} (Host: {host}, User: {user}).", severity=Severity.ERROR
)
SHUT_DOWN: Final = AuditMessage(code=73, text="VM shutdown initiated by {user} on VM {vm} (Host: {host}){reason}.")
SHUT_DOWN_FAILED: Final = AuditMessage(
    code=74, text="Failed to initiate shutdown on VM {vm} (Host: {host}, User: {user}).", severity=Severity.ERROR
)
REBOOTED: Final = AuditMessage(code=157, text="VM {vm} is rebooting. Rebooted by: {user}")
REBOOT_FAILED: Final = AuditMessage(
    code=158, text="Failed to reboot VM {vm} (User: {user}).", severity=Severity.ERROR
)
RESET: Final = AuditMessage(code=221, text="VM {vm} is resetting. Reset by: {user}")
RESET_FAILED: Final = AuditMessage(code=222, text="Failed to reset VM {vm} (User: {user}).", severity=Severity.ERROR)
RESUMED: Final = AuditMessage(code=15005, text="VM {vm} was resumed by {user} (Host: {host}).")
TICKET_SET: Final = AuditMessage(code=164, text="User {user} initiated console session for VM {vm}")
DISC_CHANGED: Final = AuditMessage(code=38, text="CD {disk} was inserted to VM {vm} by {user}.")
DISC_EJECTED: Final = AuditMessage(code=528, text="CD was ejected from VM {vm} by {user}.")
FROZEN: Final = AuditMessage(code=10766, text="Guest filesystems on {vm} have been frozen successfully.")
THAWED: Final = AuditMessage(code=10768, text="Guest filesystems on {vm} have been thawed successfully.")
NIC_ADDED: Final = AuditMessage(code=932, text="Interface {nic} ({kind}) was added to VM {vm}. (User: {user})")
NIC_REMOVED: Final = AuditMessage(code=930, text="Interface {nic} ({kind}) was removed from VM {vm}. (User: {user})")
NIC_UPDATED: Final = AuditMessage(
    code=934, text="Interface {nic} ({kind}) was updated for VM {vm}. Link State is {link}. (User: {user})"
)
NIC_PLUGGED: Final = AuditMessage(
    code=1012, text="Network Interface {nic} ({kind}) was plugged to VM {vm}. (User: {user})"
)
NIC_UNPLUGGED: Final = AuditMessage(
    code=1014, text="Network Interface {nic} ({kind}) was unplugged from VM {vm}. (User: {user})"
)
