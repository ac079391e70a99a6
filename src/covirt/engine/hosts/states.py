# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a host's status when it answers, and when it does not."""

from typing import Final

from covirt.engine.model.host import HostStatus

# The engine does not even ask these: somebody has to activate, approve or enrol them first.
RESTING: Final = frozenset(
    (
        HostStatus.MAINTENANCE,
        HostStatus.DOWN,
        HostStatus.PENDING_APPROVAL,
        HostStatus.INSTALL_FAILED,
        HostStatus.ERROR,
    )
)
# On their way to rest: they are asked, and go there by a command's word only.
_LEAVING: Final = frozenset((HostStatus.PREPARING_FOR_MAINTENANCE,))
# Those that were heard of since they were activated.
_HEARD: Final = frozenset((HostStatus.UP, HostStatus.NON_OPERATIONAL, HostStatus.INITIALIZING))


def after_answer(status: HostStatus, obstacle: str) -> HostStatus:
    """``obstacle``: why it cannot work in its cluster."""
    if status in RESTING or status in _LEAVING:
        return status
    return HostStatus.NON_OPERATIONAL if obstacle else HostStatus.UP


def after_silence(status: HostStatus, *, silent_seconds: float, grace_seconds: float) -> HostStatus:
    """One that waits to be enrolled (installing) may take its time."""
    if status in RESTING or status in (HostStatus.INSTALLING, HostStatus.NON_RESPONSIVE):
        return status
    if silent_seconds >= grace_seconds:
        return HostStatus.NON_RESPONSIVE
    return HostStatus.CONNECTING if status in _HEARD else status
