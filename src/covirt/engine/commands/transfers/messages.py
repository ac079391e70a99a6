# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What events tell of transfers."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.model.event import Severity

BEGUN: Final = AuditMessage(code=15070, text="Image {direction} with disk {disk} was initiated by {user}.")
SUCCEEDED: Final = AuditMessage(code=15071, text="Image {direction} with disk {disk} succeeded.")
CANCELLED: Final = AuditMessage(
    code=15072, text="Image {direction} with disk {disk} was cancelled.", severity=Severity.WARNING
)
FAILED: Final = AuditMessage(
    code=15073, text="Image {direction} with disk {disk} failed: {reason}", severity=Severity.ERROR
)
PAUSED: Final = AuditMessage(code=15074, text="Image {direction} with disk {disk} was paused by {user}.")
PAUSED_BY_SYSTEM: Final = AuditMessage(
    code=15075, text="Image {direction} with disk {disk} is paused: {reason}", severity=Severity.WARNING
)
