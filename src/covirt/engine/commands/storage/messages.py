# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What events tell of storage, with oVirt's numbers."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.model.event import Severity

ADDED: Final = AuditMessage(code=956, text="Storage Domain {domain} was added by {user}")
ADD_FAILED: Final = AuditMessage(
    code=957, text="Failed to add Storage Domain {domain}. (User: {user}) {reason}", severity=Severity.ERROR
)
EDITED: Final = AuditMessage(code=958, text="Storage Domain {domain} was edited by {user}")
REMOVED: Final = AuditMessage(code=960, text="Storage Domain {domain} was removed by {user}")
REMOVE_FAILED: Final = AuditMessage(
    code=961, text="Failed to remove Storage Domain {domain}. (User: {user}) {reason}", severity=Severity.ERROR
)
ATTACHED: Final = AuditMessage(
    code=962, text="Storage Domain {domain} was attached to Data Center {data_center} by {user}"
)
ATTACH_FAILED: Final = AuditMessage(
    code=963,
    text="Failed to attach Storage Domain {domain} to Data Center {data_center}. (User: {user}) {reason}",
    severity=Severity.ERROR,
)
DETACHED: Final = AuditMessage(
    code=964, text="Storage Domain {domain} was detached from Data Center {data_center} by {user}"
)
DETACH_FAILED: Final = AuditMessage(
    code=965,
    text="Failed to detach Storage Domain {domain} from Data Center {data_center}. (User: {user}) {reason}",
    severity=Severity.ERROR,
)
ACTIVATED: Final = AuditMessage(
    code=966, text="Storage Domain {domain} (Data Center {data_center}) was activated by {user}"
)
ACTIVATE_FAILED: Final = AuditMessage(
    code=967,
    text="Failed to activate Storage Domain {domain} (Data Center {data_center}) by {user}. {reason}",
    severity=Severity.ERROR,
)
DEACTIVATED: Final = AuditMessage(
    code=968, text="Storage Domain {domain} (Data Center {data_center}) was deactivated and has moved to maintenance"
)
DEACTIVATE_FAILED: Final = AuditMessage(
    code=969,
    text="Failed to deactivate Storage Domain {domain} (Data Center {data_center}). {reason}",
    severity=Severity.ERROR,
)
POOL_REMOVED: Final = AuditMessage(code=954, text="Data Center {data_center} was removed by {user}")
POOL_REMOVE_FAILED: Final = AuditMessage(
    code=955, text="Failed to remove Data Center {data_center}. (User: {user}) {reason}", severity=Severity.ERROR
)
