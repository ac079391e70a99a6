# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Errors in Vdsm's numbers; the only place that knows both."""

from typing import Final

from covirt.common.errors import (
    CommandFailed,
    Conflict,
    Denied,
    Error,
    InvalidRequest,
    NotFound,
    Unavailable,
    Unsupported,
)
from covirt.host.network.errors import (
    BadAddress,
    BadBonding,
    BadBridge,
    BadNetworkSetting,
    BadVlan,
    BondInUse,
    ConnectionLost,
    ForeignLink,
    GuestsOnNetwork,
    LinkChangeFailed,
    LinkKindUnsupported,
    NetworkChangeRuns,
    NicInUse,
    NoSuchNic,
)
from covirt.host.storage.container_images import ContainerImageExists, NotAContainerImage
from covirt.host.storage.copy_data import NoBitmapsInRaw
from covirt.host.storage.disk_images import NoSuchImage, UploadRefused
from covirt.host.storage.image_volumes import VolumeIsIllegal, VolumeIsShared
from covirt.host.storage.imageio import ImageDaemonRefused, ImageDaemonSilent, NoImageDaemon
from covirt.host.storage.jobs import JobExists, JobNotActive, JobNotDone, NoSuchJob
from covirt.host.storage.nbd import BadNbdSettings
from covirt.host.storage.operation import OperationStopped
from covirt.host.storage.tasks import NoSuchTask, TaskInWrongState, TaskNotFinished
from covirt.host.storage.transfers import TicketAddressRefused
from covirt.host.virt import errors as virt
from covirt.hostapi.errors import TEXTS, CallRefused, Code

# The first row that fits counts: precise classes come before the seven meanings.
_CODES: Final[tuple[tuple[type[Error], Code], ...]] = (
    (NoSuchTask, Code.NO_SUCH_TASK),
    (TaskNotFinished, Code.TASK_NOT_FINISHED),
    (TaskInWrongState, Code.TASK_STATE),
    (NoSuchJob, Code.NO_SUCH_JOB),
    (JobExists, Code.JOB_EXISTS),
    (JobNotDone, Code.JOB_NOT_DONE),
    (JobNotActive, Code.JOB_NOT_ACTIVE),
    (OperationStopped, Code.STOPPED),
    (NoImageDaemon, Code.NO_IMAGE_DAEMON),
    (ImageDaemonSilent, Code.IMAGE_DAEMON_SILENT),
    (ImageDaemonRefused, Code.IMAGE_DAEMON_REFUSED),
    (TicketAddressRefused, Code.STORAGE_PARAMETER),
    (BadNbdSettings, Code.STORAGE_UNSUPPORTED),
    (NoBitmapsInRaw, Code.STORAGE_UNSUPPORTED),
    (VolumeIsShared, Code.SHARED_VOLUME),
    (VolumeIsIllegal, Code.VOLUME_ILLEGAL),
    (NoSuchImage, Code.NO_SUCH_IMAGE),
    (UploadRefused, Code.IMAGE_VERIFICATION),
    (NotAContainerImage, Code.IMAGE_PATH),
    (ContainerImageExists, Code.IMAGE_PATH),
    (virt.NoSuchVm, Code.NO_SUCH_VM),
    (virt.VmExists, Code.VM_EXISTS),
    (virt.VmIsDown, Code.VM_IS_DOWN),
    (virt.BadVm, Code.CANNOT_CREATE_VM),
    (virt.NothingToAsk, Code.VM_EXISTS),  # Vdsm's answer when it has no way to shut a guest down
    (virt.ResetFailed, Code.RESET_FAILED),
    (virt.DestroyFailed, Code.VM_DESTROY_FAILED),
    (virt.HypervisorUnavailable, Code.RESOURCE_UNAVAILABLE),
    (ConnectionLost, Code.NETWORK_CONNECTION_LOST),
    (NetworkChangeRuns, Code.RESOURCE_UNAVAILABLE),
    (BadNetworkSetting, Code.NETWORK_PARAMETERS),
    (BadAddress, Code.NETWORK_ADDRESS),
    (NoSuchNic, Code.NO_SUCH_NIC),
    (NicInUse, Code.NIC_IN_USE),
    (GuestsOnNetwork, Code.NIC_IN_USE),
    (BadBonding, Code.BONDING),
    (BondInUse, Code.BOND_IN_USE),
    (BadVlan, Code.VLAN),
    (BadBridge, Code.BRIDGE),
    (ForeignLink, Code.BRIDGE),
    (LinkKindUnsupported, Code.LINK_CHANGE),
    (LinkChangeFailed, Code.LINK_CHANGE),
    (Unsupported, Code.UNSUPPORTED),
    (InvalidRequest, Code.INVALID_PARAMETER),
    (NotFound, Code.UNEXPECTED),
    (Conflict, Code.UNEXPECTED),
    (Denied, Code.UNEXPECTED),
    (Unavailable, Code.RESOURCE_UNAVAILABLE),
    (CommandFailed, Code.UNEXPECTED),
    (Error, Code.UNEXPECTED),
)


def refusal_of(error: Error) -> CallRefused:
    """The answer for an expected error: Vdsm's code, and its text before our sentence."""
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    text = TEXTS.get(code)
    return CallRefused(code, f"{text}: {{'reason': {str(error)!r}}}" if text else str(error))


def described(error: BaseException) -> tuple[int, str]:
    """Code and message of what ended long work; of a bug only where to look."""
    if isinstance(error, Error):
        refused = refusal_of(error)
        return refused.code, refused.message
    return int(Code.GENERAL), f"General Exception: the log of covirt-host knows more of {type(error).__name__}"
