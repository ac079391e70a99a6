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
from covirt.common.files import CANNOT_WRITE
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
from covirt.host.storage import storage_errors as storage
from covirt.host.storage.container_images import ContainerImageExists, ContainerImageInUse, NotAContainerImage
from covirt.host.storage.copy_data import NoBitmapsInRaw, TargetInUse
from covirt.host.storage.disk_images import ImageInUse, ImageIsTemplate, NoSuchImage, UploadRefused
from covirt.host.storage.image_volumes import CopiedWhileUsed, VolumeIsIllegal, VolumeIsShared, WrittenWhileUsed
from covirt.host.storage.imageio import ImageDaemonRefused, ImageDaemonSilent, NoImageDaemon
from covirt.host.storage.jobs import JobExists, JobNotActive, JobNotDone, NoSuchJob
from covirt.host.storage.merge import MergedWhileUsed, NotOnTop
from covirt.host.storage.nbd import BadNbdSettings
from covirt.host.storage.operation import OperationStopped
from covirt.host.storage.qemu_img import BrokenImage, ForeignReference, LargerThanItsVolume
from covirt.host.storage.tasks import NoSuchTask, TaskInWrongState, TaskNotFinished
from covirt.host.storage.ticket_holds import TicketPathRefused, TicketTooLarge
from covirt.host.storage.transfers import TicketAddressRefused
from covirt.host.virt import device_errors as devices
from covirt.host.virt import errors as virt
from covirt.host.virt.container_errors import BadContainerProperty, NoContainerImage
from covirt.host.virt.host_reach import BeyondTheGuest
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
    (TicketPathRefused, Code.STORAGE_PARAMETER),
    (TicketTooLarge, Code.STORAGE_PARAMETER),
    (BadNbdSettings, Code.STORAGE_UNSUPPORTED),
    (NoBitmapsInRaw, Code.STORAGE_UNSUPPORTED),
    (VolumeIsShared, Code.SHARED_VOLUME),
    (VolumeIsIllegal, Code.VOLUME_ILLEGAL),
    (NoSuchImage, Code.NO_SUCH_IMAGE),
    (ImageInUse, Code.VOLUME_BUSY),
    (WrittenWhileUsed, Code.VOLUME_BUSY),
    (CopiedWhileUsed, Code.VOLUME_BUSY),
    (TargetInUse, Code.VOLUME_BUSY),
    (MergedWhileUsed, Code.VOLUME_BUSY),
    (NotOnTop, Code.WRONG_PARENT_VOLUME),
    (ContainerImageInUse, Code.VOLUME_BUSY),
    (ImageIsTemplate, Code.SHARED_VOLUME_KEPT),
    (UploadRefused, Code.IMAGE_VERIFICATION),
    (ForeignReference, Code.IMAGE_VERIFICATION),
    (BrokenImage, Code.IMAGE_VERIFICATION),
    (LargerThanItsVolume, Code.IMAGE_VERIFICATION),
    (NotAContainerImage, Code.IMAGE_PATH),
    (ContainerImageExists, Code.IMAGE_PATH),
    (storage.BadStorageId, Code.STORAGE_PARAMETER),
    (storage.BadStorageValue, Code.STORAGE_PARAMETER),
    (storage.NoSuchStorageDomain, Code.NO_SUCH_STORAGE_DOMAIN),
    (storage.StorageDomainSilent, Code.STORAGE_DOMAIN_ACCESS),
    (storage.StorageDomainUnusable, Code.STORAGE_DOMAIN_ACCESS),
    (storage.StorageDomainMetadataMissing, Code.STORAGE_METADATA_NOT_FOUND),
    (storage.StorageDomainExists, Code.STORAGE_DOMAIN_EXISTS),
    (storage.StorageNotEmpty, Code.STORAGE_DOMAIN_NOT_EMPTY),
    (storage.BrokenDomainMetadata, Code.METADATA_SEAL),
    (storage.UnsupportedStorageType, Code.STORAGE_TYPE),
    (storage.UnsupportedDomainVersion, Code.STORAGE_DOMAIN_VERSION),
    (storage.BadDomainClass, Code.STORAGE_DOMAIN_CLASS),
    (storage.BadRemotePath, Code.STORAGE_PATH),
    (storage.StorageNotConnected, Code.STORAGE_CONNECTION),
    (storage.BlockSizeDiffers, Code.BLOCK_SIZE_DIFFERS),
    (storage.StorageNotAccessible, Code.STORAGE_ACCESS),
    (storage.MountFailed, Code.STORAGE_MOUNT),
    (storage.UnmountFailed, Code.STORAGE_MOUNT),
    (storage.NoStorageLocks, Code.ACQUIRE_LOCK),
    (storage.NoSuchPool, Code.NO_SUCH_POOL),
    (storage.PoolExists, Code.POOL_EXISTS),
    (storage.PoolNameTooLong, Code.POOL_NAME_TOO_LONG),
    (storage.DomainNameTooLong, Code.STORAGE_DOMAIN_NAME_TOO_LONG),
    (storage.AnotherPoolConnected, Code.ANOTHER_POOL),
    (storage.WrongMaster, Code.WRONG_MASTER),
    (storage.MasterMissing, Code.MASTER_MISSING),
    (storage.NotSpm, Code.NOT_SPM),
    (storage.IsSpm, Code.IS_SPM),
    (storage.DomainNotInPool, Code.STORAGE_DOMAIN_NOT_IN_POOL),
    (storage.DomainAlreadyAttached, Code.STORAGE_DOMAIN_ATTACHED),
    (storage.DomainNotActive, Code.STORAGE_DOMAIN_NOT_ACTIVE),
    (storage.DomainStillActive, Code.STORAGE_DOMAIN_ACTIVE),
    (storage.DomainInUse, Code.STORAGE_DOMAIN_ACTIVE),
    (storage.MasterCannotLeave, Code.MASTER_CANNOT_LEAVE),
    (storage.DomainInConnectedPool, Code.FORMAT_IN_POOL),
    (storage.DomainAttachedElsewhere, Code.FORMAT_ATTACHED),
    (storage.NoSuchVolume, Code.NO_SUCH_VOLUME),
    (storage.VolumeExists, Code.VOLUME_EXISTS),
    (storage.BrokenVolumeMetadata, Code.METADATA_KEY),
    (storage.VolumeMetadataTooLong, Code.METADATA_TOO_LONG),
    (storage.WrongVolumeFormat, Code.WRONG_VOLUME_FORMAT),
    (storage.WrongVolumeType, Code.WRONG_VOLUME_TYPE),
    (storage.VolumeInUse, Code.VOLUME_BUSY),
    (storage.VolumeTaken, Code.VOLUME_BUSY),
    (storage.VolumeHasChildren, Code.VOLUME_HAS_CHILDREN),
    (storage.SharedVolumeKept, Code.SHARED_VOLUME_KEPT),
    (storage.VolumeNotShared, Code.VOLUME_NOT_SHARED),
    (storage.VolumeNotGrowable, Code.VOLUME_NOT_WRITABLE),
    (storage.VolumeWouldShrink, Code.VOLUME_WOULD_SHRINK),
    (storage.WrongGeneration, Code.WRONG_GENERATION),
    (storage.BrokenChain, Code.ILLEGAL_CHAIN),
    (storage.NoSpaceLeft, Code.NO_SPACE),
    (virt.NoSuchVm, Code.NO_SUCH_VM),
    (virt.VmExists, Code.VM_EXISTS),
    (virt.VmIsDown, Code.VM_IS_DOWN),
    (virt.BadVm, Code.CANNOT_CREATE_VM),
    (virt.UnreadableVm, Code.GENERAL),  # as Vdsm, whose parser's error nobody expects there
    (virt.NothingToAsk, Code.VM_EXISTS),  # Vdsm's answer when it has no way to shut a guest down
    (virt.ResetFailed, Code.RESET_FAILED),
    (virt.DestroyFailed, Code.VM_DESTROY_FAILED),
    (virt.NotGivenBack, Code.VM_DESTROY_FAILED),
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
    (devices.DiskNotPlugged, Code.HOT_PLUG_DISK),
    (devices.DiskNotUnplugged, Code.HOT_UNPLUG_DISK),
    (devices.NicNotPlugged, Code.HOT_PLUG_NIC),
    (devices.NicNotUnplugged, Code.HOT_UNPLUG_NIC),
    (devices.DeviceNotUpdated, Code.UPDATE_DEVICE),
    (devices.NoSuchDevice, Code.UPDATE_DEVICE),
    (devices.NoSuchDisk, Code.IMAGE_FILE),
    (devices.DiscNotChanged, Code.CHANGE_DISK),
    (devices.DisplayNotOpened, Code.TICKET),
    (devices.CpusNotSet, Code.SET_CPUS),
    (devices.BalloonNotSet, Code.BALLOON),
    (devices.PolicyNotSet, Code.UPDATE_POLICY),
    (devices.NotSnapshot, Code.SNAPSHOT),
    (devices.NotMerged, Code.MERGE),
    (devices.NotFrozen, Code.FREEZE),
    (devices.NotThawed, Code.THAW),
    (devices.AgentSilent, Code.NON_RESPONSIVE_GUEST_AGENT),
    (BeyondTheGuest, Code.CANNOT_CREATE_VM),
    (BadContainerProperty, Code.CANNOT_CREATE_VM),
    (NoContainerImage, Code.CANNOT_CREATE_VM),
    (Unsupported, Code.UNSUPPORTED),
    (InvalidRequest, Code.INVALID_PARAMETER),
    (NotFound, Code.UNEXPECTED),
    (Conflict, Code.UNEXPECTED),
    (Denied, Code.UNEXPECTED),
    (Unavailable, Code.RESOURCE_UNAVAILABLE),
    (CommandFailed, Code.UNEXPECTED),
    (Error, Code.UNEXPECTED),
)


class NotWritten(Unavailable):
    template = "this host cannot write {path}: {reason}; see to the room on its own disks, then try again"


def expected(error: BaseException) -> Error | None:
    """What happens without a bug; storage domains tell themselves when they are full."""
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE and error.filename:
        return NotWritten(path=error.filename, reason=error.strerror)
    return error if isinstance(error, Error) else None


def refusal_of(error: Error) -> CallRefused:
    """The answer for an expected error: Vdsm's code, and its text before our sentence."""
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    text = TEXTS.get(code)
    return CallRefused(code, f"{text}: {{'reason': {str(error)!r}}}" if text else str(error))


def described(error: BaseException) -> tuple[int, str]:
    """Code and message of what ended long work; of a bug only where to look."""
    known = expected(error)
    if known is not None:
        refused = refusal_of(known)
        return refused.code, refused.message
    return int(Code.GENERAL), f"General Exception: the log of covirt-host knows more of {type(error).__name__}"
