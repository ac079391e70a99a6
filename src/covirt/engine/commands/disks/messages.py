# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What events tell of disks, with oVirt's numbers."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.model.event import Severity

_WARNING: Final = Severity.WARNING
_ERROR: Final = Severity.ERROR
ADD_BEGUN: Final = AuditMessage(code=2020, text="Add-Disk operation of '{disk}' was initiated by {user}.")
ADDED: Final = AuditMessage(code=2021, text="The disk '{disk}' was successfully added.")
ADD_FAILED: Final = AuditMessage(
    code=2022, text="Add-Disk operation of '{disk}' failed to complete. {reason}", severity=_ERROR
)
REMOVED: Final = AuditMessage(
    code=2014, text="Disk {disk} was successfully removed from domain {domain} (User {user})."
)
REMOVE_FAILED: Final = AuditMessage(
    code=2015,
    text="Failed to remove disk {disk} from storage domain {domain} (User {user}). {reason}",
    severity=_WARNING,
)
ATTACHED: Final = AuditMessage(code=2016, text="Disk {disk} was successfully attached to VM {vm} by {user}.")
ATTACH_FAILED: Final = AuditMessage(
    code=2017, text="Failed to attach Disk {disk} to VM {vm} (User: {user}). {reason}", severity=_ERROR
)
DETACHED: Final = AuditMessage(code=2018, text="Disk {disk} was successfully detached from VM {vm} by {user}.")
DETACH_FAILED: Final = AuditMessage(
    code=2019, text="Failed to detach Disk {disk} from VM {vm} (User: {user}). {reason}", severity=_ERROR
)
PLUGGED: Final = AuditMessage(code=2000, text="VM {vm} disk {disk} was plugged by {user}.")
PLUG_FAILED: Final = AuditMessage(
    code=2001, text="Failed to plug disk {disk} to VM {vm} (User: {user}). {reason}", severity=_ERROR
)
UNPLUGGED: Final = AuditMessage(code=2002, text="VM {vm} disk {disk} was unplugged by {user}.")
UNPLUG_FAILED: Final = AuditMessage(
    code=2003, text="Failed to unplug disk {disk} from VM {vm} (User: {user}). {reason}", severity=_ERROR
)
VM_DISK_UPDATED: Final = AuditMessage(code=88, text="VM {vm} {disk} disk was updated by {user}.")
UPDATED: Final = AuditMessage(code=2042, text="Disk {disk} was updated by {user}.")
COPY_BEGUN: Final = AuditMessage(code=2004, text="User {user} is copying disk {disk} to domain {domain}.")
COPIED: Final = AuditMessage(code=2006, text="User {user} finished copying disk {disk} to domain {domain}.")
COPY_FAILED: Final = AuditMessage(
    code=2007,
    text="User {user} finished with error copying disk {disk} to domain {domain}. {reason}",
    severity=_ERROR,
)
MOVE_BEGUN: Final = AuditMessage(code=2008, text="User {user} moving disk {disk} to domain {domain}.")
MOVED: Final = AuditMessage(code=2010, text="User {user} finished moving disk {disk} to domain {domain}.")
MOVE_FAILED: Final = AuditMessage(
    code=2011, text="User {user} has failed to move disk {disk} to domain {domain}. {reason}", severity=_ERROR
)
MOVED_WITH_LEFTOVERS: Final = AuditMessage(
    code=15061,
    text="Disk {disk} was moved, and what it was copied from could not be removed from domain {domain}. {reason}",
    severity=_WARNING,
)
EXTENDED: Final = AuditMessage(
    code=371, text="Size of the disk '{disk}' was successfully updated to {size} GB by {user}."
)
EXTEND_FAILED: Final = AuditMessage(
    code=372, text="Failed to extend size of the disk '{disk}' to {size} GB, User: {user}. {reason}", severity=_ERROR
)
