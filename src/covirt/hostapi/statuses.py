# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a Vm can be, why it ended, why it is paused: Vdsm's words and numbers (lib/vdsm/virt/vmstatus.py,
vmexitreason.py and vm.py's pause codes)."""

from enum import IntEnum, StrEnum
from typing import Final


class VmStatus(StrEnum):
    WAIT_FOR_LAUNCH = "WaitForLaunch"
    POWERING_UP = "Powering up"
    UP = "Up"
    PAUSED = "Paused"
    POWERING_DOWN = "Powering down"
    REBOOT_IN_PROGRESS = "RebootInProgress"
    DOWN = "Down"
    MIGRATION_SOURCE = "Migration Source"
    MIGRATION_DESTINATION = "Migration Destination"
    SAVING_STATE = "Saving State"
    RESTORING_STATE = "Restoring state"


class ExitCode(IntEnum):
    NORMAL = 0
    ERROR = 1


class ExitReason(IntEnum):
    SUCCESS = 0
    GENERIC_ERROR = 1
    LOST_QEMU_CONNECTION = 2
    START_FAILED = 3
    MIGRATION_SUCCEEDED = 4
    SAVE_STATE_SUCCEEDED = 5
    ADMIN_SHUTDOWN = 6
    USER_SHUTDOWN = 7
    MIGRATION_FAILED = 8
    DOMAIN_MISSING = 9
    DESTROYED_ON_STARTUP = 10
    HOST_SHUTDOWN = 11
    POSTCOPY_FAILED = 12
    DESTROYED_ON_REBOOT = 13
    DESTROYED_ON_PAUSE_TIMEOUT = 14


# exitMessage, unless something better is known.
EXIT_MESSAGES: Final = {
    ExitReason.SUCCESS: "VM terminated successfully",
    ExitReason.GENERIC_ERROR: "VM terminated with error",
    ExitReason.LOST_QEMU_CONNECTION: "Lost connection with the hypervisor process",
    ExitReason.START_FAILED: "VM failed to start",
    ExitReason.MIGRATION_SUCCEEDED: "Migration succeeded",
    ExitReason.SAVE_STATE_SUCCEEDED: "Saving state succeeded",
    ExitReason.ADMIN_SHUTDOWN: "Admin shut down from the engine",
    ExitReason.USER_SHUTDOWN: "User shut down from within the guest",
    ExitReason.MIGRATION_FAILED: "Migration failed",
    ExitReason.DOMAIN_MISSING: "Failed to find the libvirt domain",
    ExitReason.DESTROYED_ON_STARTUP: "VM destroyed during the startup",
    ExitReason.HOST_SHUTDOWN: "Host shutdown",
    ExitReason.POSTCOPY_FAILED: "Migration failed in post-copy",
    ExitReason.DESTROYED_ON_REBOOT: "VM destroyed on reboot",
    ExitReason.DESTROYED_ON_PAUSE_TIMEOUT: "VM destroyed after a pause that took too long",
}


class PauseCode(StrEnum):
    NONE = "NOERR"
    IO_ERROR = "EIO"
    NO_SPACE = "ENOSPC"
    OTHER = "EOTHER"
