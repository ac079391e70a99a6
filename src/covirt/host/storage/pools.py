# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs of storage pools, done: create, connect, manage, attach and activate domains, and all of it back.

Local storage has one host, so that managing the pool (SPM) needs no lease: this agent's own lock is enough.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from covirt.common.errors import Error
from covirt.common.files import make_directory, remove_tree
from covirt.common.undo import undo_on_failure
from covirt.host.storage.bounded import BoundedCalls
from covirt.host.storage.domain_format import BLANK_ID, DomainMetadata, DomainStatus, Role, domain_name
from covirt.host.storage.domains import Domains
from covirt.host.storage.file_domain import needs_leases
from covirt.host.storage.operation import Control, Kind, Params
from covirt.host.storage.pool import (
    NOBODY,
    Pool,
    PoolDomains,
    SpmRole,
    SpmStatus,
    attached,
    check_master,
    detached,
    first_master,
    pool_name,
)
from covirt.host.storage.storage_errors import (
    AnotherPoolConnected,
    BadStorageValue,
    DomainAlreadyAttached,
    DomainInConnectedPool,
    IsSpm,
    MasterMissing,
    NoStorageLocks,
    NoSuchPool,
    NoSuchStorageDomain,
    NotSpm,
    PoolExists,
    WrongMaster,
)
from covirt.host.storage.storage_paths import StoragePaths, checked_uuid, named_uuid, replace_link
from covirt.host.storage.storage_state import StateFile

log = logging.getLogger(__name__)

SPM_START: Final = "spmStart"
_MASTER_LINK: Final = "mastersd"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPool:
    id: str
    name: str
    master_id: str
    master_version: int
    domain_ids: Sequence[str]
    leases: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spm:
    """Who manages the pool."""

    status: SpmStatus
    host_id: int
    lver: int


class Pools:
    """Changes come one after the other; storage that hangs keeps the next one waiting no longer than a verb may."""

    def __init__(
        self,
        *,
        paths: StoragePaths,
        state: StateFile,
        domains: Domains,
        calls: BoundedCalls,
        unused: Callable[[str], AbstractContextManager[None]],
        changed: Callable[[], object],
        stages: Callable[[], Collection[str]],
    ) -> None:
        self._paths = paths
        self._state = state
        self._domains = domains
        self._calls = calls
        self._unused = unused
        self._changed = changed
        self._stages = stages
        self._changes = threading.RLock()
        self._spm = SpmRole()
        self._active: frozenset[str] = frozenset()

    def kinds(self) -> Sequence[Kind]:
        return (Kind(name=SPM_START, run=self._run_spm_start),)

    # reading

    def get(self, pool_id: str) -> Pool:
        """Raises NoSuchPool."""
        pool = self._state.now.pool
        if pool is None or pool.id != checked_uuid("storagepoolID", pool_id):
            raise NoSuchPool(pool_id=pool_id)
        return pool

    def connected(self) -> list[str]:
        pool = self._state.now.pool
        return [] if pool is None else [pool.id]

    def domains(self, pool_id: str) -> Mapping[str, DomainStatus]:
        return self._domains_of(self.get(pool_id)).read()

    def master(self, pool_id: str) -> DomainMetadata:
        """Raises MasterMissing."""
        return self._master(self.get(pool_id))

    def require_active(self, pool_id: str, domain_id: str) -> None:
        """Raises NoSuchPool, DomainNotInPool and DomainNotActive."""
        self._domains_of(self.get(pool_id)).require_active(domain_id)

    def require_managed(self, pool_id: str) -> Pool:
        """Raises NoSuchPool and NotSpm."""
        pool = self.get(pool_id)
        self._spm.require(pool)
        return pool

    def require_managed_domain(self, pool_id: str, domain_id: str) -> None:
        """Raises as require_managed() and require_active()."""
        self.require_managed(pool_id)
        self.require_active(pool_id, domain_id)

    def require_manager(self) -> None:
        """Raises NotSpm when this host manages no pool."""
        pool = self._state.now.pool
        if pool is None:
            raise NotSpm(pool_id=BLANK_ID)
        self._spm.require(pool)

    def require_outside(self, domain_id: str) -> None:
        """Raises DomainInConnectedPool."""
        pool = self._state.now.pool
        if pool is not None and domain_id in self._domains_of(pool).read():
            raise DomainInConnectedPool(domain_id=domain_id)

    def active_domains(self) -> frozenset[str]:
        """Of the connected pool. When the master cannot be asked, those that were active when it last could."""
        pool = self._state.now.pool
        if pool is None:
            return frozenset()
        try:
            statuses = self._domains_of(pool).read()
        except (Error, OSError) as error:
            log.warning("The pool's domains are not known anew pool=%s: %s", pool.id, error)
            return self._active | {pool.master_id}
        self._active = frozenset(key for key, status in statuses.items() if status is DomainStatus.ACTIVE)
        return self._active

    @property
    def last_active(self) -> frozenset[str]:
        """As active_domains() last found them, without asking storage."""
        return self._active

    def spm(self, pool_id: str) -> Spm:
        pool = self.get(pool_id)
        status = self._spm.status
        if pool.told_domains is not None:  # the engine keeps the facts, and only the lock tells who it is
            host_id = pool.host_id if status is SpmStatus.SPM else NOBODY
            return Spm(status=status, host_id=host_id, lver=0)
        metadata = self._master(pool)
        return Spm(status=status, host_id=metadata.spm_id, lver=metadata.spm_lver)

    # the pool as a whole

    def create(self, new: NewPool) -> None:
        """Raises PoolExists, DomainAlreadyAttached, NoSuchStorageDomain, BadStorageValue."""
        pool_id, master_id = named_uuid("storagepoolID", new.id), checked_uuid("masterSdUUID", new.master_id)
        domain_ids = [checked_uuid("domainList", domain_id) for domain_id in new.domain_ids]
        if master_id not in domain_ids:
            raise BadStorageValue(name="masterSdUUID", value=master_id, reason="domainList does not have it")
        with self._changes, undo_on_failure() as undo:
            self._require_free(pool_id)
            before = {domain_id: self._domains.metadata(domain_id) for domain_id in domain_ids}
            for domain_id, metadata in before.items():
                # A killed agent may have written the others, and the master last.
                if metadata.pools and (domain_id == master_id or metadata.pools != (pool_id,)):
                    raise DomainAlreadyAttached(domain_id=domain_id, pool_id=metadata.pools[0])
            for domain_id, metadata in before.items():
                undo.add(f"detach {domain_id}", partial(self._write, domain_id, metadata))
            leases = new.leases
            master = first_master(
                before[master_id],
                domain_id=master_id, pool_id=pool_id, name=new.name, version=new.master_version, leases=leases,
            )  # fmt: skip
            others = [domain_id for domain_id in domain_ids if domain_id != master_id]
            statuses = "".join(f",{domain_id}:{DomainStatus.ATTACHED}" for domain_id in others)
            domain = self._domains.get(master_id)
            self._calls.call(master_id, domain.make_master_directories)
            for domain_id in others:
                self._write(domain_id, before[domain_id].changed(POOL_UUID=pool_id))
            self._write(master_id, master.changed(POOL_DOMAINS=master.values["POOL_DOMAINS"] + statuses))
        log.info("Storage pool created pool=%s master=%s", pool_id, master_id)

    def connect(
        self,
        *,
        pool_id: str,
        host_id: int,
        master_id: str,
        master_version: int,
        told_domains: Mapping[str, DomainStatus] | None,
    ) -> None:
        """Connected already is fine, and brings what is told up to date.

        Raises AnotherPoolConnected, MasterMissing, WrongMaster.
        """
        pool = Pool(
            id=named_uuid("storagepoolID", pool_id),
            host_id=host_id,
            master_id=checked_uuid("masterSdUUID", master_id),
            master_version=master_version,
            told_domains=told_domains,
        )
        with self._changes:
            present = self._state.now.pool
            if present is not None and present.id != pool.id:
                raise AnotherPoolConnected(other=present.id)
            check_master(self._master(pool), pool)
            self._keep(pool)
        log.info("Storage pool connected pool=%s master=%s", pool.id, pool.master_id)

    def disconnect(self, pool_id: str) -> None:
        """Not connected is fine. Raises IsSpm and DomainInUse."""
        with self._changes:
            try:
                pool = self.get(pool_id)
            except NoSuchPool:
                return
            if self._spm.status is not SpmStatus.FREE:
                raise IsSpm(pool_id=pool.id)
            with self._all_unused(self.active_domains()):
                self._forget(pool)
        log.info("Storage pool disconnected pool=%s", pool.id)

    def destroy(self, pool_id: str) -> None:
        """The domains stay, and belong to nobody. Raises NoSuchPool, NotSpm, DomainInUse."""
        with self._changes:
            pool = self.require_managed(pool_id)
            statuses = self._domains_of(pool).read()
            with self._all_unused(statuses):
                # The master last: until then it still tells which domains are left.
                for domain_id in sorted(statuses, key=lambda key: key == pool.master_id):
                    self._write(domain_id, detached(self._domains.metadata(domain_id), pool.id))
                self._spm.status = SpmStatus.FREE
                self._forget(pool)
        log.info("Storage pool destroyed pool=%s", pool.id)

    def rename(self, pool_id: str, name: str) -> None:
        with self._changes:
            pool = self.require_managed(pool_id)
            self._write(pool.master_id, self._master(pool).changed(POOL_DESCRIPTION=pool_name(name)))

    def rename_domain(self, domain_id: str, name: str) -> None:
        """In a pool or not. Here, because its pool's facts are in the same file."""
        with self._changes:
            domain = self._domains.get(domain_id)
            self._write(domain.id, self._domains.metadata(domain.id).changed(DESCRIPTION=domain_name(name)))

    # managing it

    def _run_spm_start(self, params: Params, _control: Control) -> None:
        self.start_spm(str(params["pool_id"]))

    def start_spm(self, pool_id: str) -> None:
        """Is so already is fine. Raises NoSuchPool, MasterMissing, NoStorageLocks."""
        with self._changes:
            pool = self.get(pool_id)
            if self._spm.status is SpmStatus.SPM:
                return
            metadata = self._master(pool)
            if needs_leases(metadata.storage_type):
                raise NoStorageLocks(domain_id=pool.master_id)
            self._spm.status = SpmStatus.CONTEND
            try:
                if pool.told_domains is None:
                    values = metadata.changed(POOL_SPM_ID=pool.host_id, POOL_SPM_LVER=metadata.spm_lver + 1)
                    self._write(pool.master_id, values)
                self._calls.call(pool.master_id, self._domains.get(pool.master_id).make_master_directories)
            except BaseException:
                self._spm.status = SpmStatus.FREE
                raise
            self._spm.status = SpmStatus.SPM
            self._finish_moved_master(pool)
            self._collect_garbage()
        log.info("Storage pool is managed here pool=%s", pool.id)

    def stop_spm(self, pool_id: str) -> None:
        """Is not is fine. Raises NoSuchPool."""
        with self._changes:
            pool = self.get(pool_id)
            if self._spm.status is SpmStatus.FREE:
                return
            self._spm.status = SpmStatus.FREE
            if pool.told_domains is None:
                self._write(pool.master_id, self._master(pool).changed(POOL_SPM_ID=NOBODY))
        log.info("Storage pool is not managed here any more pool=%s", pool.id)

    # its domains

    def attach(self, pool_id: str, domain_id: str) -> None:
        """Attached already is fine. Raises DomainAlreadyAttached, NoSuchStorageDomain, NotSpm."""
        domain_id = checked_uuid("storagedomainID", domain_id)
        with self._changes:
            pool = self.require_managed(pool_id)
            domains, metadata = self._domains_of(pool), self._domains.metadata(domain_id)
            known = domain_id in domains.read()
            if not (known and pool.id in metadata.pools):
                self._write(domain_id, attached(metadata, pool, domain_id))
                if not known:
                    domains.set(domain_id, DomainStatus.ATTACHED)

    def detach(self, pool_id: str, domain_id: str, *, force: bool) -> None:
        """``force``: one whose storage is gone, too. Raises DomainNotInPool, MasterCannotLeave, DomainStillActive."""
        domain_id = checked_uuid("storagedomainID", domain_id)
        with self._changes:
            pool = self.require_managed(pool_id)
            domains = self._domains_of(pool)
            domains.require_may_leave(domain_id)
            with self._unused(domain_id):
                try:
                    self._write(domain_id, detached(self._domains.metadata(domain_id), pool.id))
                except (Error, OSError) as error:
                    if not force:
                        raise
                    log.warning("A domain that is not there is detached domain=%s: %s", domain_id, error)
                domains.remove(domain_id)

    def activate(self, pool_id: str, domain_id: str) -> None:
        """Raises DomainNotInPool, NoSuchStorageDomain, DomainAlreadyAttached (elsewhere)."""
        domain_id = checked_uuid("storagedomainID", domain_id)
        with self._changes:
            pool = self.require_managed(pool_id)
            domains = self._domains_of(pool)
            domains.status(domain_id)
            attached(self._domains.metadata(domain_id), pool, domain_id)
            domains.set(domain_id, DomainStatus.ACTIVE)
            self._refresh()
            self._collect_garbage()

    def deactivate(self, pool_id: str, domain_id: str, *, new_master_id: str | None, new_version: int) -> None:
        """The master gives its role to another one first; without another one nothing happens, as Vdsm does.

        Raises DomainNotInPool, DomainInUse, NotSpm.
        """
        domain_id = checked_uuid("storagedomainID", domain_id)
        with self._changes:
            pool = self.require_managed(pool_id)
            self._domains_of(pool).status(domain_id)
            with self._unused(domain_id):
                if domain_id == pool.master_id:
                    if new_master_id is None:
                        return
                    pool = self._move_master(pool, checked_uuid("masterSdUUID", new_master_id), new_version)
                self._domains_of(pool).set(domain_id, DomainStatus.ATTACHED)
                self._refresh()

    def _move_master(self, pool: Pool, new_id: str, version: int) -> Pool:
        """The new one is whole before the old one gives up, so that a kill leaves one of them."""
        if new_id == pool.master_id:
            reason = "the domain that is deactivated cannot be the master"
            raise BadStorageValue(name="masterSdUUID", value=new_id, reason=reason)
        if version <= pool.master_version:
            raise WrongMaster(domain_id=new_id, pool_id=pool.id, version=version)
        self._domains_of(pool).require_active(new_id)
        old, new = self._master(pool), self._domains.metadata(new_id)
        moved = {key: value for key, value in old.values.items() if key.startswith("POOL_") and key != "POOL_UUID"}
        self._calls.call(new_id, self._domains.get(new_id).make_master_directories)
        self._write(new_id, new.changed(**moved, MASTER_VERSION=version, ROLE=Role.MASTER))
        changed = replace(pool, master_id=new_id, master_version=version)
        self._keep(changed)
        self._write(pool.master_id, old.changed(ROLE=Role.REGULAR, MASTER_VERSION=0))
        log.info("Storage pool has another master pool=%s master=%s", pool.id, new_id)
        return changed

    def _finish_moved_master(self, pool: Pool) -> None:
        """A killed agent may have left the old one its role, and a pool connected to it would be another pool."""
        for domain_id in self._domains_of(pool).read():
            try:
                metadata = self._domains.metadata(domain_id)
                if domain_id != pool.master_id and metadata.role is Role.MASTER and pool.id in metadata.pools:
                    self._write(domain_id, metadata.changed(ROLE=Role.REGULAR, MASTER_VERSION=0))
            except (Error, OSError) as error:
                log.warning("A domain's role is not known domain=%s: %s", domain_id, error)

    # inside

    @contextmanager
    def _all_unused(self, domain_ids: Iterable[str]) -> Iterator[None]:
        with ExitStack() as unused:
            for domain_id in domain_ids:
                unused.enter_context(self._unused(domain_id))
            yield

    def _require_free(self, pool_id: str) -> None:
        present = self._state.now.pool
        if present is None:
            return
        if present.id == pool_id:
            raise PoolExists(pool_id=pool_id)
        raise AnotherPoolConnected(other=present.id)

    def _domains_of(self, pool: Pool) -> PoolDomains:
        return PoolDomains(
            pool=pool,
            read_master=lambda: self._master(pool),
            write_master=lambda metadata: self._write(pool.master_id, metadata),
            keep_pool=self._state.set_pool,
        )

    def _master(self, pool: Pool) -> DomainMetadata:
        try:
            return self._domains.metadata(pool.master_id)
        except NoSuchStorageDomain as error:
            raise MasterMissing(domain_id=pool.master_id, pool_id=pool.id) from error

    def _write(self, domain_id: str, metadata: DomainMetadata) -> None:
        domain = self._domains.get(domain_id)
        self._calls.call(domain_id, lambda: domain.write_metadata(metadata))

    def _keep(self, pool: Pool) -> None:
        self._state.set_pool(pool)
        self._refresh()

    def _forget(self, pool: Pool) -> None:
        self._state.set_pool(None)
        self._active = frozenset()
        remove_tree(self._paths.pool(pool.id))
        self._changed()

    def _refresh(self) -> None:
        """Vdsm's links of a pool show its active domains, which are watched."""
        pool = self._state.now.pool
        if pool is None:
            return
        directory = self._paths.pool(pool.id)
        make_directory(directory, mode=0o755)
        wanted = {}
        for domain_id in self.active_domains():
            try:
                wanted[domain_id] = self._domains.get(domain_id).path
            except NoSuchStorageDomain as error:
                log.warning("An active domain is not there domain=%s: %s", domain_id, error)
        if pool.master_id in wanted:
            wanted[_MASTER_LINK] = wanted[pool.master_id]
        for name, target in wanted.items():
            replace_link(directory / name, target)
        for link in directory.iterdir():
            if link.name not in wanted:
                link.unlink()
        self._changed()

    def _collect_garbage(self) -> None:
        for domain_id in self.active_domains():
            try:
                domain = self._domains.get(domain_id)
                self._calls.call(domain_id, partial(domain.collect_garbage, self._stages))
            except (Error, OSError) as error:
                log.warning("What was removed from a domain is left for later domain=%s: %s", domain_id, error)
