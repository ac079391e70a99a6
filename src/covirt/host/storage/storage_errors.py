# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Why storage domains, pools and volumes are refused; verbs.faults knows Vdsm's number for each."""

from covirt.common.errors import Conflict, InvalidRequest, NotFound, Unavailable, Unsupported


class BadStorageId(InvalidRequest):
    template = "{name} is {id!r}, which is not a UUID"


class BadStorageValue(InvalidRequest):
    template = "{name} is {value!r}; {reason}"


class NoSuchStorageDomain(NotFound):
    template = "storage domain {domain_id} is on no storage that this host is connected to"


class StorageDomainSilent(Unavailable):
    template = "storage at {where} did not answer within {seconds:g} s; look after it, then try again"


class StorageDomainUnusable(Unavailable):
    template = "storage {domain_id} cannot be used: {reason}"


class StorageDomainMetadataMissing(NotFound):
    template = "storage domain {domain_id} has no metadata at {path}; it was formatted, or its storage is not mounted"


class StorageDomainExists(Conflict):
    template = "storage domain {domain_id} exists already; choose another id"


class StorageNotEmpty(Conflict):
    template = "{path} holds storage domain {found} already; choose an empty directory"


class BrokenDomainMetadata(InvalidRequest):
    template = "the metadata of storage domain {domain_id} is damaged: {reason}; restore it from a backup"


class UnsupportedStorageType(Unsupported):
    template = "storage of type {type} is not supported on this host; local directories and NFS are"


class UnsupportedDomainVersion(Unsupported):
    template = "version {version} of storage domains is not supported; only version 5 is"


class BadDomainClass(InvalidRequest):
    template = "{value!r} is no class of storage domain; 1 (data), 2 (ISO) and 3 (backup) are"


class BadRemotePath(InvalidRequest):
    template = "{path!r} is no usable path: {reason}"


class StorageNotConnected(Conflict):
    template = "{path} is not connected; call StoragePool.connectStorageServer first"


class BlockSizeDiffers(Conflict):
    template = "the storage has blocks of {found} bytes, not of {asked}"


class StorageNotAccessible(Unavailable):
    template = "{path} is not usable by user and group 36: {reason}; chown it to 36:36 and let others pass to it"


class MountFailed(Unavailable):
    template = "{remote} cannot be mounted: {reason}"


class UnmountFailed(Conflict):
    template = "{remote} cannot be unmounted: {reason}"


class NoSuchPool(NotFound):
    template = "storage pool {pool_id} is not connected on this host"


class PoolExists(Conflict):
    template = "storage pool {pool_id} exists already"


class AnotherPoolConnected(Conflict):
    template = "this host is connected to storage pool {other} already; disconnect it first"


class PoolNameTooLong(InvalidRequest):
    template = "the storage pool's name has {length} characters; give one of at most {limit}"


class DomainNameTooLong(InvalidRequest):
    template = "the storage domain's name has {length} characters; give one of at most {limit}"


class WrongMaster(Conflict):
    template = "storage domain {domain_id} is not the master of pool {pool_id} in version {version}"


class MasterMissing(NotFound):
    template = "the master storage domain {domain_id} of pool {pool_id} is not reachable"


class NotSpm(Conflict):
    template = "this host does not manage storage pool {pool_id}; call StoragePool.spmStart first"


class IsSpm(Conflict):
    template = "this host manages storage pool {pool_id}; call StoragePool.spmStop first"


class DomainNotInPool(NotFound):
    template = "storage domain {domain_id} is not in pool {pool_id}"


class DomainAlreadyAttached(Conflict):
    template = "storage domain {domain_id} is attached to pool {pool_id} already; detach it there first"


class DomainNotActive(Conflict):
    template = "storage domain {domain_id} is {status} and not active; activate it first"


class DomainStillActive(Conflict):
    template = "storage domain {domain_id} is active; deactivate it first"


class DomainInUse(Conflict):
    template = "storage domain {domain_id} is used by {users}; stop them first"


class MasterCannotLeave(Conflict):
    template = "storage domain {domain_id} is the master of pool {pool_id}; make another one the master first"


class DomainInConnectedPool(Conflict):
    template = "storage domain {domain_id} belongs to the connected pool; detach it before it is formatted"


class DomainAttachedElsewhere(Conflict):
    template = "storage domain {domain_id} is attached to pool {pool_id}; detach it before it is formatted"


class NoSuchVolume(NotFound):
    template = "volume {volume_id} of image {image_id} does not exist in storage domain {domain_id}"


class VolumeExists(Conflict):
    template = "volume {volume_id} of image {image_id} exists already; choose another id"


class BrokenVolumeMetadata(InvalidRequest):
    template = "the metadata of volume {volume_id} is damaged: {reason}"


class VolumeMetadataTooLong(InvalidRequest):
    template = "the metadata of volume {volume_id} takes {size} bytes and may take {limit}; shorten the description"


class WrongVolumeFormat(InvalidRequest):
    template = "{value} is no usable volume format: {reason}"


class WrongVolumeType(InvalidRequest):
    template = "{value} is no kind of allocation; 1 (preallocated) and 2 (sparse) are"


class VolumeInUse(Conflict):
    template = "volume {volume_id} is used by {users}; stop them first"


class VolumeTaken(Conflict):
    template = "volume {volume_id} is taken by {purpose}; wait for its end"


class UsedByOthers(Conflict):
    template = "it is used by {users}"


class VolumeHasChildren(Conflict):
    template = "volume {volume_id} has volumes above it ({children}); delete those first"


class SharedVolumeKept(Conflict):
    template = "volume {volume_id} is a template's; delete it with force, or its image as a whole"


class VolumeNotShared(Conflict):
    template = "volume {volume_id} of image {image_id} is not a template's, so that no other image may build on it"


class VolumeNotGrowable(Conflict):
    template = "volume {volume_id} cannot be extended: {reason}"


class VolumeWouldShrink(InvalidRequest):
    template = "volume {volume_id} has {present} bytes, and {asked} bytes would cut data off"


class WrongGeneration(Conflict):
    template = "volume {volume_id} is of generation {found}, not {asked}: the work was done already, or by another"


class BrokenChain(InvalidRequest):
    template = "the chain below volume {volume_id} is not whole: {reason}"


class NoSpaceLeft(Unavailable):
    template = "storage domain {domain_id} has no space left"


class NoStorageLocks(Unsupported):
    template = (
        "storage domain {domain_id} is shared between hosts, and this host has no sanlock to keep them apart; "
        "use a local storage domain"
    )
