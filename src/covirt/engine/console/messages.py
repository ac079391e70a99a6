# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events of streams: who has seen what, from where, and for how long. oVirt has none of them."""

from typing import Final

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.model.event import Severity

OPENED: Final = AuditMessage(code=15030, text="User {user} opened {what} of VM {vm} from '{address}'.")
ENDED: Final = AuditMessage(
    code=15031, text="User {user} has left {what} of VM {vm} after {seconds} seconds: {reason}."
)
NOT_OPENED: Final = AuditMessage(
    code=15032,
    text="User {user} could not open {what} of VM {vm} from '{address}': {reason}",
    severity=Severity.WARNING,
)
