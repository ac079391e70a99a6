# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The storage pool that this host is connected to: its domains, its master, and whether this host manages it.

There is one at a time. An engine tells the pool's domains when it connects the host, and remembers them itself; one
that tells none (old engines, vdsm-client) finds them in the master's metadata, where they are kept then.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from covirt.host.storage.domain_format import DomainMetadata, DomainStatus, Role, domains_text
from covirt.host.storage.storage_errors import (
    DomainAlreadyAttached,
    DomainNotActive,
    DomainNotInPool,
    DomainStillActive,
    MasterCannotLeave,
    NotSpm,
    PoolNameTooLong,
    WrongMaster,
)

NOBODY: Final = -1  # as SPM
# What the lease parameters are unless all four of them are told.
_LEASE_DEFAULTS: Final = {
    "LOCKPOLICY": "ON", "LEASERETRIES": 3, "LEASETIMESEC": 60, "LOCKRENEWALINTERVALSEC": 5, "IOOPTIMEOUTSEC": 10,
}  # fmt: skip


_NAME_LIMIT: Final = 50  # Vdsm's


class SpmStatus(StrEnum):
    FREE = "Free"
    CONTEND = "Contend"
    SPM = "SPM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """``told_domains``: as the engine told them; None where the master's metadata says."""

    id: str
    host_id: int
    master_id: str
    master_version: int
    told_domains: Mapping[str, DomainStatus] | None = None

    def as_json(self) -> dict[str, Any]:
        told = self.told_domains
        return {
            "id": self.id,
            "host_id": self.host_id,
            "master_id": self.master_id,
            "master_version": self.master_version,
            "told_domains": None if told is None else dict(told),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Pool":
        told = value["told_domains"]
        return cls(
            id=str(value["id"]),
            host_id=int(value["host_id"]),
            master_id=str(value["master_id"]),
            master_version=int(value["master_version"]),
            told_domains=None if told is None else {key: DomainStatus(status) for key, status in told.items()},
        )


@dataclass(slots=True)
class SpmRole:
    """This host's part in managing the pool; a new life of the agent begins without it, as an engine expects."""

    status: SpmStatus = SpmStatus.FREE
    lock: threading.Lock = field(default_factory=threading.Lock)

    def require(self, pool: Pool) -> None:
        """Raises NotSpm."""
        if self.status is not SpmStatus.SPM:
            raise NotSpm(pool_id=pool.id)


def pool_name(text: str) -> str:
    """In one line. Raises PoolNameTooLong."""
    name = " ".join(text.splitlines())
    if len(name) > _NAME_LIMIT:
        raise PoolNameTooLong(length=len(name), limit=_NAME_LIMIT)
    return name


def lease_values(
    *, renewal_seconds: int | None, lease_seconds: int | None, io_seconds: int | None, retries: int | None
) -> dict[str, object]:
    """What a pool's creator says about leases; all of it, or nothing."""
    if not (renewal_seconds and lease_seconds and io_seconds and retries):
        return dict(_LEASE_DEFAULTS)
    return {
        "LEASERETRIES": retries,
        "LEASETIMESEC": lease_seconds,
        "LOCKRENEWALINTERVALSEC": renewal_seconds,
        "IOOPTIMEOUTSEC": io_seconds,
    }


def first_master(
    metadata: DomainMetadata, *, domain_id: str, pool_id: str, name: str, version: int, leases: Mapping[str, object]
) -> DomainMetadata:
    """The metadata of a new pool's master."""
    return metadata.changed(
        **leases,
        POOL_SPM_ID=NOBODY,
        POOL_SPM_LVER=NOBODY,
        MASTER_VERSION=version,
        POOL_DESCRIPTION=pool_name(name),
        POOL_DOMAINS=f"{domain_id}:{DomainStatus.ACTIVE}",
        POOL_UUID=pool_id,
        ROLE=Role.MASTER,
    )


def check_master(metadata: DomainMetadata, pool: Pool) -> None:
    """Raises WrongMaster."""
    is_master = metadata.role is Role.MASTER and pool.id in metadata.pools
    # An engine that tells the domains keeps the version itself, too.
    if not is_master or (pool.told_domains is None and metadata.master_version != pool.master_version):
        raise WrongMaster(domain_id=pool.master_id, pool_id=pool.id, version=pool.master_version)


def attached(metadata: DomainMetadata, pool: Pool, domain_id: str) -> DomainMetadata:
    """Raises DomainAlreadyAttached."""
    if metadata.pools and pool.id not in metadata.pools:
        raise DomainAlreadyAttached(domain_id=domain_id, pool_id=metadata.pools[0])
    return metadata.changed(POOL_UUID=pool.id)


def detached(metadata: DomainMetadata, pool_id: str) -> DomainMetadata:
    left = [other for other in metadata.pools if other != pool_id]
    return metadata.changed(POOL_UUID=",".join(left), ROLE=Role.REGULAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDomains:
    """A pool's domains, wherever they are kept. ``keep`` is given the changed pool, or the master's metadata."""

    pool: Pool
    read_master: Callable[[], DomainMetadata]
    write_master: Callable[[DomainMetadata], object]
    keep_pool: Callable[[Pool], object]

    def read(self) -> Mapping[str, DomainStatus]:
        told = self.pool.told_domains
        return self.read_master().pool_domains if told is None else told

    def write(self, domains: Mapping[str, DomainStatus]) -> None:
        if self.pool.told_domains is None:
            self.write_master(self.read_master().changed(POOL_DOMAINS=domains_text(domains)))
        else:
            self.keep_pool(replace(self.pool, told_domains=dict(domains)))

    def set(self, domain_id: str, status: DomainStatus) -> None:
        self.write({**self.read(), domain_id: status})

    def remove(self, domain_id: str) -> None:
        self.write({key: status for key, status in self.read().items() if key != domain_id})

    def status(self, domain_id: str) -> DomainStatus:
        """Raises DomainNotInPool."""
        try:
            return self.read()[domain_id]
        except KeyError:
            raise DomainNotInPool(domain_id=domain_id, pool_id=self.pool.id) from None

    def require_active(self, domain_id: str) -> None:
        """Raises DomainNotInPool and DomainNotActive."""
        status = self.status(domain_id)
        if status is not DomainStatus.ACTIVE:
            raise DomainNotActive(domain_id=domain_id, status=status.lower())

    def require_may_leave(self, domain_id: str) -> None:
        """Raises DomainNotInPool, MasterCannotLeave and DomainStillActive."""
        status = self.status(domain_id)
        if domain_id == self.pool.master_id:
            raise MasterCannotLeave(domain_id=domain_id, pool_id=self.pool.id)
        if status is DomainStatus.ACTIVE:
            raise DomainStillActive(domain_id=domain_id)
