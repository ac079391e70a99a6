# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of classes StoragePool, StorageDomain and Volume, and those of class Host about storage.

Engines send many numbers as texts; both are taken.
"""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, SecretStr

from covirt.hostapi.verb import Params, Verb

BLANK_ID: Final = "00000000-0000-0000-0000-000000000000"


def _or_blank(value: object) -> object:
    return value or BLANK_ID


# Absent, null and empty all mean: none.
OptionalId = Annotated[str, BeforeValidator(_or_blank)]
HostId = Annotated[int, Field(ge=1, le=2000)]
MasterVersion = Annotated[int, Field(ge=0, lt=1 << 31)]
# None and 0 are the default.
LeaseNumber = Annotated[int | None, Field(ge=0, le=86400)]


class PoolParams(Params):
    """A storage pool."""

    pool_id: str = Field(alias="storagepoolID")


class ConnectionParams(Params):
    """A storage server. ``connection``: a directory of the host, or HOST:/EXPORT."""

    id: str = BLANK_ID
    connection: str = ""
    user: str | None = None
    password: SecretStr | None = None
    nfs_version: str | int | None = Field(alias="protocol_version", default=None)
    nfs_timeo: int | None = Field(alias="timeout", default=None, ge=1, le=6000)
    nfs_retrans: int | None = Field(alias="retrans", default=None, ge=0, le=100)


class ServersParams(Params):
    """``domainType``: 1 (NFS) or 4 (LOCALFS)."""

    pool_id: str | None = Field(alias="storagepoolID", default=None)
    domain_type: int = Field(alias="domainType")
    connections: list[ConnectionParams] = Field(alias="connectionParams", min_length=1)


class CreatePoolParams(PoolParams):
    name: str
    master_id: str = Field(alias="masterSdUUID")
    master_version: MasterVersion = Field(alias="masterVersion")
    domain_ids: list[str] = Field(alias="domainList")
    renewal_seconds: LeaseNumber = Field(alias="lockRenewalIntervalSec", default=None)
    lease_seconds: LeaseNumber = Field(alias="leaseTimeSec", default=None)
    io_seconds: LeaseNumber = Field(alias="ioOpTimeoutSec", default=None)
    lease_retries: LeaseNumber = Field(alias="leaseRetries", default=None)


class ConnectPoolParams(PoolParams):
    """``domainDict``: the pool's domains and their statuses; without it they are in the master's metadata."""

    host_id: HostId = Field(alias="hostID")
    scsi_key: str | int | None = Field(alias="scsiKey", default=None)
    master_id: str = Field(alias="masterSdUUID")
    master_version: MasterVersion = Field(alias="masterVersion")
    domains: dict[str, str] | None = Field(alias="domainDict", default=None)


class LeavePoolParams(PoolParams):
    host_id: int | None = Field(alias="hostID", default=None)
    scsi_key: str | int | None = Field(alias="scsiKey", default=None)


class DisconnectPoolParams(LeavePoolParams):
    remove: bool = False


class SpmStartParams(PoolParams):
    previous_id: int = Field(alias="prevID", default=-1)
    previous_lver: int = Field(alias="prevLver", default=-1)
    scsi_fencing: str | bool | None = Field(alias="enableScsiFencing", default=None)
    max_host_id: int | None = Field(alias="maxHostID", default=None)
    domain_version: int | None = Field(alias="domVersion", default=None)


class DescribePoolParams(PoolParams):
    description: str


class DomainParams(Params):
    """A storage domain."""

    domain_id: str = Field(alias="storagedomainID")


class CreateDomainParams(DomainParams):
    """``typeArgs``: the directory, as it was connected. ``blockSize`` 0 takes what the storage has."""

    domain_type: int = Field(alias="domainType")
    remote_path: str = Field(alias="typeArgs")
    name: str
    domain_class: int = Field(alias="domainClass", default=1)
    version: int = 5
    block_size: int = Field(alias="blockSize", default=512)
    max_hosts: int = Field(alias="maxHosts", default=250, ge=1, le=2000)


class PoolDomainParams(DomainParams):
    pool_id: str = Field(alias="storagepoolID")


class DetachParams(PoolDomainParams):
    master_id: OptionalId = Field(alias="masterSdUUID", default=BLANK_ID)
    master_version: MasterVersion = Field(alias="masterVersion", default=0)
    force: bool = False


class DeactivateParams(PoolDomainParams):
    """``masterSdUUID``: who becomes master when this is the master."""

    master_id: OptionalId = Field(alias="masterSdUUID", default=BLANK_ID)
    master_version: MasterVersion = Field(alias="masterVersion", default=0)


class FormatParams(DomainParams):
    auto_detach: bool = Field(alias="autoDetach", default=False)


class DomainVolumesParams(DomainParams):
    pool_id: OptionalId = Field(alias="storagepoolID", default=BLANK_ID)
    image_id: OptionalId = Field(alias="imageID", default=BLANK_ID)


class DumpParams(Params):
    domain_id: str = Field(alias="sd_id")
    full: bool = False


class DescribeDomainParams(DomainParams):
    description: str


class StorageDomainsParams(Params):
    """All may be absent."""

    pool_id: OptionalId = Field(alias="storagepoolID", default=BLANK_ID)
    domain_class: int | None = Field(alias="domainClass", default=None)
    storage_type: int | None = Field(alias="storageType", default=None)
    remote_path: str | None = Field(alias="remotePath", default=None)


class RepoStatsParams(Params):
    domains: list[str] | None = None


class VolumeParams(Params):
    """A volume of a storage domain."""

    volume_id: str = Field(alias="volumeID")
    pool_id: str = Field(alias="storagepoolID")
    domain_id: str = Field(alias="storagedomainID")
    image_id: str = Field(alias="imageID")


class CreateVolumeParams(VolumeParams):
    """``volFormat``: 4 (COW) or 5 (RAW); ``preallocate``: 1 (PREALLOCATED) or 2 (SPARSE); names are taken, too."""

    size_bytes: int = Field(alias="size", ge=1, le=1 << 62)
    format: str | int = Field(alias="volFormat")
    allocation: str | int = Field(alias="preallocate")
    disk_type: str = Field(alias="diskType", default="DATA", coerce_numbers_to_str=True)
    description: str = Field(alias="desc", default="")
    source_image_id: OptionalId = Field(alias="srcImgUUID", default=BLANK_ID)
    source_volume_id: OptionalId = Field(alias="srcVolUUID", default=BLANK_ID)
    initial_bytes: int | None = Field(alias="initialSize", default=None)
    add_bitmaps: bool = Field(alias="addBitmaps", default=False)
    is_legal: bool = Field(alias="legal", default=True)
    sequence: int = Field(default=0, ge=0, lt=1 << 32)
    bitmap: str | None = None


class CopyVolumeParams(VolumeParams):
    """``volType``: 6 (SHARED) makes a template's volume, 8 (LEAF) a disk's."""

    target_domain_id: OptionalId = Field(alias="dstSdUUID", default=BLANK_ID)
    target_image_id: str = Field(alias="dstImgUUID")
    target_volume_id: str = Field(alias="dstVolUUID")
    description: str = Field(alias="desc", default="")
    place: str | int = Field(alias="volType", default=8)
    format: str | int = Field(alias="volFormat", default=0)
    allocation: str | int = Field(alias="preallocate", default=0)


class ExtendVolumeParams(VolumeParams):
    size_bytes: int = Field(alias="newSize", ge=1, le=1 << 62)


class DeleteVolumeParams(VolumeParams):
    """``postZero`` overwrites the content first."""

    post_zero: str | bool = Field(alias="postZero", default=False)
    force: str | bool = False


class DescribeVolumeParams(VolumeParams):
    description: str


class LegalityParams(VolumeParams):
    legality: str


_POOL_VERBS: Final = (
    Verb(
        name="StoragePool.connectStorageServer",
        summary="Connects storage servers; each one's answer has status 0, or the code of what is wrong.",
        params=ServersParams,
        result=list[dict[str, Any]],
        changes=True,
    ),
    Verb(
        name="StoragePool.disconnectStorageServer",
        summary="Disconnects storage servers.",
        params=ServersParams,
        result=list[dict[str, Any]],
        changes=True,
    ),
    Verb(
        name="StoragePool.create",
        summary="Makes a pool of storage domains that are in none.",
        params=CreatePoolParams,
        changes=True,
    ),
    Verb(
        name="StoragePool.connect",
        summary="Connects the host to a pool, or tells it the pool's domains anew.",
        params=ConnectPoolParams,
        changes=True,
    ),
    Verb(
        name="StoragePool.disconnect",
        summary="Disconnects the host from a pool.",
        params=DisconnectPoolParams,
        changes=True,
    ),
    Verb(
        name="StoragePool.destroy",
        summary="Dissolves a pool; its domains stay, and belong to nobody.",
        params=LeavePoolParams,
        changes=True,
    ),
    Verb(
        name="StoragePool.spmStart",
        summary="Begins a task that makes the host the pool's manager.",
        params=SpmStartParams,
        result=str,
        changes=True,
    ),
    Verb(name="StoragePool.spmStop", summary="Ends being the pool's manager.", params=PoolParams, changes=True),
    Verb(
        name="StoragePool.getSpmStatus",
        summary="Tells whether the host manages the pool, and who does.",
        params=PoolParams,
        result=dict[str, Any],
    ),
    Verb(
        name="StoragePool.getInfo",
        summary="Tells of a pool (info) and of its domains (dominfo).",
        params=PoolParams,
        result=dict[str, Any],
    ),
    Verb(name="StoragePool.setDescription", summary="Renames a pool.", params=DescribePoolParams, changes=True),
    Verb(
        name="Host.getConnectedStoragePools",
        summary="Lists the pools that the host is connected to.",
        result=list[str],
    ),
    Verb(
        name="Host.getStorageDomains",
        summary="Lists the storage domains that the host reaches, or those of a pool, a class, a type, a path.",
        params=StorageDomainsParams,
        result=list[str],
    ),
    Verb(
        name="Host.getStorageRepoStats",
        summary="Tells the health of the storage domains that are watched.",
        params=RepoStatsParams,
        result=dict[str, Any],
    ),
)

_DOMAIN_VERBS: Final = (
    Verb(
        name="StorageDomain.create",
        summary="Makes a storage domain of format V5 on a connected server.",
        params=CreateDomainParams,
        changes=True,
    ),
    Verb(
        name="StorageDomain.getInfo",
        summary="Tells what a storage domain is.",
        params=DomainParams,
        result=dict[str, Any],
    ),
    Verb(
        name="StorageDomain.getStats",
        summary="Tells a storage domain's size and free space, in bytes.",
        params=DomainParams,
        result=dict[str, Any],
    ),
    Verb(name="StorageDomain.attach", summary="Puts a domain into a pool.", params=PoolDomainParams, changes=True),
    Verb(
        name="StorageDomain.detach",
        summary="Takes a domain that is not active out of its pool.",
        params=DetachParams,
        changes=True,
    ),
    Verb(
        name="StorageDomain.activate",
        summary="Makes a pool's domain usable, and watches it.",
        params=PoolDomainParams,
        changes=True,
    ),
    Verb(
        name="StorageDomain.deactivate",
        summary="Ends the use of a pool's domain; one that is in use on this host is refused.",
        params=DeactivateParams,
        changes=True,
    ),
    Verb(
        name="StorageDomain.format",
        summary="Removes a domain with all that is in it.",
        params=FormatParams,
        changes=True,
    ),
    Verb(name="StorageDomain.getImages", summary="Lists a domain's images.", params=DomainParams, result=list[str]),
    Verb(
        name="StorageDomain.getVolumes",
        summary="Lists the volumes of a domain, or of one image.",
        params=DomainVolumesParams,
        result=list[str],
    ),
    Verb(name="StorageDomain.setDescription", summary="Renames a domain.", params=DescribeDomainParams, changes=True),
    Verb(name="StorageDomain.validate", summary="Refuses a domain that is not usable.", params=DomainParams),
    Verb(
        name="StorageDomain.dump",
        summary="Tells a domain's metadata and that of all its volumes.",
        params=DumpParams,
        result=dict[str, Any],
    ),
)

_VOLUME_VERBS: Final = (
    Verb(
        name="Volume.create",
        summary="Begins a task that makes a volume, empty or on top of another one.",
        params=CreateVolumeParams,
        result=str,
        changes=True,
    ),
    Verb(
        name="Volume.copy",
        summary="Begins a task that copies a volume, with all it builds on, into a new one.",
        params=CopyVolumeParams,
        result=str,
        changes=True,
    ),
    Verb(
        name="Volume.extendSize",
        summary="Begins a task that makes a raw volume larger.",
        params=ExtendVolumeParams,
        result=str,
        changes=True,
    ),
    Verb(
        name="Volume.delete",
        summary="Begins a task that removes a volume that nothing builds on.",
        params=DeleteVolumeParams,
        result=str,
        changes=True,
    ),
    Verb(name="Volume.getInfo", summary="Tells a volume's metadata.", params=VolumeParams, result=dict[str, Any]),
    Verb(
        name="Volume.getSize",
        summary="Tells a volume's size and what it takes on storage, in bytes.",
        params=VolumeParams,
        result=dict[str, str],
    ),
    Verb(name="Volume.setDescription", summary="Describes a volume.", params=DescribeVolumeParams, changes=True),
    Verb(
        name="Volume.setLegality", summary="Declares a volume LEGAL or ILLEGAL.", params=LegalityParams, changes=True
    ),
)

VERBS: Final = (*_POOL_VERBS, *_DOMAIN_VERBS, *_VOLUME_VERBS)
