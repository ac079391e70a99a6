# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage domains, and how a host reaches them."""

from dataclasses import dataclass
from enum import StrEnum

from covirt.engine.model.data_center import StorageFormat
from covirt.engine.model.entity import Entity


class StorageDomainType(StrEnum):
    DATA = "data"
    EXPORT = "export"
    IMAGE = "image"
    ISO = "iso"
    MANAGED_BLOCK_STORAGE = "managed_block_storage"
    VOLUME = "volume"


class StorageDomainStatus(StrEnum):
    """Of a domain in a data center; outside of one it is unattached."""

    ACTIVATING = "activating"
    ACTIVE = "active"
    DETACHING = "detaching"
    INACTIVE = "inactive"
    LOCKED = "locked"
    MAINTENANCE = "maintenance"
    MIXED = "mixed"
    PREPARING_FOR_MAINTENANCE = "preparing_for_maintenance"
    UNATTACHED = "unattached"
    UNKNOWN = "unknown"


class StorageType(StrEnum):
    LOCALFS = "localfs"
    NFS = "nfs"
    POSIXFS = "posixfs"
    ISCSI = "iscsi"
    FCP = "fcp"
    GLUSTERFS = "glusterfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConnection(Entity):
    """``address`` is empty for a directory of one host, which ``host_id`` names then."""

    type: StorageType
    address: str = ""
    path: str = ""
    host_id: str | None = None
    nfs_version: str = ""
    nfs_timeo: int | None = None
    nfs_retrans: int | None = None
    mount_options: str = ""
    vfs_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageDomainFacts:
    """``committed_bytes``: what disks may grow to."""

    available_bytes: int = 0
    used_bytes: int = 0
    committed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageDomain(Entity):
    """``data_center_id`` is None while it is attached to none."""

    type: StorageDomainType = StorageDomainType.DATA
    status: StorageDomainStatus = StorageDomainStatus.UNATTACHED
    data_center_id: str | None = None
    connection_id: str | None = None
    master: bool = False
    storage_format: StorageFormat = StorageFormat.V5
    wipe_after_delete: bool = False
    discard_after_delete: bool = False
    backup: bool = False
    warning_low_space_percent: int = 10
    critical_space_gib: int = 5
    facts: StorageDomainFacts = StorageDomainFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskProfile(Entity):
    storage_domain_id: str
