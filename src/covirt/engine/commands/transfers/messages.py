# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What events tell of transfers, with oVirt's codes."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.model.event import Severity

BEGUN: Final = AuditMessage(code=1031, text="Image {direction} with disk {disk} was initiated by {user}.")
SUCCEEDED: Final = AuditMessage(code=1032, text="Image {direction} with disk {disk} succeeded.")
CANCELLED: Final = AuditMessage(code=1033, text="Image {direction} with disk {disk} was cancelled.")
FAILED: Final = AuditMessage(
    code=1034, text="Image {direction} with disk {disk} failed: {reason}.", severity=Severity.ERROR
)
LOST: Final = AuditMessage(
    code=1065,
    text="Image {direction} with disk {disk} is paused: its host has lost the ticket; resume it, or cancel it.",
    severity=Severity.ERROR,
)
UPLOAD_PAUSED: Final = AuditMessage(
    code=1071,
    text="Upload to disk {disk} is paused: unused for {seconds} s; resume it, or cancel it.",
    severity=Severity.ERROR,
)
DOWNLOAD_CANCELLED: Final = AuditMessage(
    code=1072,
    text="Download of disk {disk} was cancelled: unused for {seconds} s.",
    severity=Severity.ERROR,
)
PAUSED: Final = AuditMessage(code=1073, text="Image {direction} with disk {disk} was paused by {user}.")
RESUMED: Final = AuditMessage(code=1074, text="Image {direction} with disk {disk} was resumed by {user}.")
CANCELLED_BY_POLICY: Final = AuditMessage(
    code=1076,
    text="Image {direction} with disk {disk} was cancelled: unused for {seconds} s.",
    severity=Severity.ERROR,
)
PAUSED_BY_POLICY: Final = AuditMessage(
    code=1077,
    text="Image {direction} with disk {disk} is paused: unused for {seconds} s; resume it, or cancel it.",
    severity=Severity.WARNING,
)
