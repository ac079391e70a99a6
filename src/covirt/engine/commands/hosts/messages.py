# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The events of what people do with hosts; oVirt's numbers and sentences."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage

ADDED: Final = AuditMessage(code=42, text="Host {host} was added by {user}.")
UPDATED: Final = AuditMessage(code=43, text="Host {host} configuration was updated by {user}.")
REMOVED: Final = AuditMessage(code=44, text="Host {host} was removed by {user}.")
ACTIVATED: Final = AuditMessage(code=16, text="Activation of host {host} initiated by {user}.")
APPROVED: Final = AuditMessage(code=498, text="Host {host} was successfully approved by user {user}.")
MAINTENANCE: Final = AuditMessage(code=620, text="Host {host} was switched to Maintenance mode by {user}.")
MAINTENANCE_WITH_REASON: Final = AuditMessage(
    code=600, text="Host {host} was switched to Maintenance mode by {user} (Reason: {reason})."
)
MAINTENANCE_FAILED: Final = AuditMessage(code=17, text="Failed to switch Host {host} to Maintenance mode. {reason}")
FENCED: Final = AuditMessage(code=494, text="Manual fence for host {host} was started.")
REFRESHED: Final = AuditMessage(code=606, text="Successfully refreshed the capabilities of host {host}.")
WAITS_FOR_ENROLMENT: Final = AuditMessage(
    code=509,
    text="Host {host} waits to be enrolled: make a token for it (POST /covirt/enrolment/tokens), and run covirt-host "
    "enrol --engine URL --token-file FILE on it. The engine never logs in to hosts.",
)
ENROLLED: Final = AuditMessage(code=504, text="Host {host} was enrolled with a token of {user}.")
