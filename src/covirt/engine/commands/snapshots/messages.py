# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What events tell of snapshots, with oVirt's numbers."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.model.event import Severity

CREATE_BEGUN: Final = AuditMessage(
    code=45, text="Snapshot '{snapshot}' creation for VM '{vm}' was initiated by {user}."
)
CREATED: Final = AuditMessage(code=68, text="Snapshot '{snapshot}' creation for VM '{vm}' has been completed.")
CREATE_FAILED: Final = AuditMessage(
    code=69,
    text="Failed to complete snapshot '{snapshot}' creation for VM '{vm}'. {reason}",
    severity=Severity.ERROR,
)
REMOVE_BEGUN: Final = AuditMessage(
    code=342, text="Snapshot '{snapshot}' deletion for VM '{vm}' was initiated by {user}."
)
REMOVED: Final = AuditMessage(code=356, text="Snapshot '{snapshot}' deletion for VM '{vm}' has been completed.")
REMOVE_FAILED: Final = AuditMessage(
    code=357, text="Failed to delete snapshot '{snapshot}' for VM '{vm}'. {reason}", severity=Severity.ERROR
)
RESTORED: Final = AuditMessage(code=47, text="VM {vm} restored from Snapshot '{snapshot}' by {user}.")
RESTORE_FAILED: Final = AuditMessage(
    code=15090,
    text="Failed to restore VM {vm} from snapshot '{snapshot}'. {reason}",
    severity=Severity.ERROR,
)
PREVIEW_BEGUN: Final = AuditMessage(
    code=46, text="Snapshot-Preview '{snapshot}' for VM '{vm}' was initiated by {user}."
)
PREVIEWED: Final = AuditMessage(code=71, text="Snapshot-Preview '{snapshot}' for VM '{vm}' has been completed.")
PREVIEW_FAILED: Final = AuditMessage(
    code=15092,
    text="Failed to complete Snapshot-Preview '{snapshot}' for VM '{vm}'. {reason}",
    severity=Severity.ERROR,
)
COMMITTED: Final = AuditMessage(
    code=15093, text="The preview of Snapshot '{snapshot}' for VM '{vm}' was committed by {user}."
)
COMMIT_FAILED: Final = AuditMessage(
    code=15094,
    text="Failed to commit the preview of Snapshot '{snapshot}' for VM '{vm}'. {reason}",
    severity=Severity.ERROR,
)
UNDONE: Final = AuditMessage(
    code=15095, text="The preview of Snapshot '{snapshot}' for VM '{vm}' was undone by {user}."
)
UNDO_FAILED: Final = AuditMessage(
    code=15096,
    text="Failed to undo the preview of Snapshot '{snapshot}' for VM '{vm}'. {reason}",
    severity=Severity.ERROR,
)
LEFTOVERS: Final = AuditMessage(
    code=15091,
    text="A volume of disk {disk} that no snapshot needs any more could not be deleted. {reason}",
    severity=Severity.WARNING,
)
