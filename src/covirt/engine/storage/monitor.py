# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Looks now and then at active storage domains: how much is free, what disks take, and whether their host
reaches them."""

import logging
import time
from collections import Counter
from dataclasses import replace
from typing import Final

from covirt.common.errors import Error, Unavailable
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.audit import About, AuditMessage, tell
from covirt.engine.hosts.connections import Hosts
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.disk import Disk
from covirt.engine.model.event import Severity
from covirt.engine.model.storage_domain import StorageDomain, StorageDomainFacts, StorageDomainStatus
from covirt.engine.storage.host_storage import HostStorage
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store

log = logging.getLogger(__name__)

_SIZES_EVERY_SECONDS: Final = 60.0
_LOOKED_AT: Final = (StorageDomainStatus.ACTIVE, StorageDomainStatus.INACTIVE)
_LOST: Final = AuditMessage(
    code=980,
    text="Storage Domain {domain} (Data Center {data_center}) was deactivated by system because it's not visible by "
    "its host: {reason}",
    severity=Severity.ERROR,
)
_FOUND: Final = AuditMessage(
    code=15006, text="Storage Domain {domain} (Data Center {data_center}) is reachable again and active"
)


class StorageMonitor:
    """Called by one thread now and then. What disks take is looked at every ``sizes_every_seconds``: a host reads
    each volume's description for it."""

    def __init__(self, store: Store, hosts: Hosts, *, sizes_every_seconds: float = _SIZES_EVERY_SECONDS) -> None:
        self._store = store
        self._hosts = hosts
        self._sizes_every_seconds = sizes_every_seconds
        self._sized: dict[str, float] = {}

    def look(self) -> None:
        """At all of them, one after the other; a host that does not answer costs its call's time."""
        with self._store.read() as session:
            managers = {center.id: center.spm_host_id for center in session.data_centers.list()}
            domains = session.storage_domains.list(ListQuery(where={"status": _LOOKED_AT}))
        for domain in domains:
            host_id = managers.get(domain.data_center_id or "")
            if host_id and self._hosts.is_up(host_id):
                self._look_at(domain, host_id)

    def _look_at(self, domain: StorageDomain, host_id: str) -> None:
        storage = HostStorage(hosts=self._hosts, host_id=host_id, pause=_never)
        try:
            total, free = storage.domain_sizes(domain.id)
        except HostRefused as error:
            self._write(domain.id, StorageDomainStatus.INACTIVE, reason=error.text)
        except Unavailable as error:
            log.debug("A storage domain is not looked at domain=%s reason=%s", domain.id, error)
        except Error as error:
            log.warning("A storage domain cannot be looked at domain=%s reason=%s", domain.id, error)
        else:
            self._look_at_disks(domain, storage)
            self._write(domain.id, StorageDomainStatus.ACTIVE, total=total, free=free)

    def _look_at_disks(self, domain: StorageDomain, storage: HostStorage) -> None:
        last = self._sized.get(domain.id)
        if last is not None and time.monotonic() - last < self._sizes_every_seconds:
            return
        self._sized[domain.id] = time.monotonic()
        try:
            volumes = storage.volumes(domain.id)
        except Error as error:
            log.debug("The sizes of disks are not known domain=%s reason=%s", domain.id, error)
            return
        totals: Counter[str] = Counter()
        for volume in volumes:
            totals[volume.disk_id] += volume.actual_bytes
        written_to = {volume.id: volume.actual_bytes for volume in volumes}

        def changed(session: Session) -> dict[str, tuple[int, int]]:
            """What each disk takes, of those whose sizes are written down otherwise."""
            found = {
                disk.id: (written_to[disk.image_id], totals[disk.id])
                for disk in session.disks.where_in("storage_domain_id", [domain.id])
                if disk.image_id in written_to
                if (disk.actual_size_bytes, disk.total_size_bytes) != (written_to[disk.image_id], totals[disk.id])
            }
            return {disk_id: sizes for disk_id, sizes in found.items() if not session.commands.is_locked(disk_id)}

        with self._store.read() as session:
            news = changed(session)
        if news:  # there is one writer at a time, and mostly nothing to write
            with self._store.write() as session:
                session.disks.update_sizes(changed(session))

    def _write(
        self, domain_id: str, status: StorageDomainStatus, *, total: int = 0, free: int = 0, reason: str = ""
    ) -> None:
        with self._store.write() as session:
            domain = session.storage_domains.find(id=domain_id)
            if domain is None or domain.status not in _LOOKED_AT or session.commands.is_locked(domain_id):
                return
            if status is StorageDomainStatus.ACTIVE:
                session.storage_domains.update_facts(domain_id, _facts(session, domain, total, free))
            if domain.status is not status:
                session.storage_domains.update(replace(domain, status=status))
                _tell(session, domain, _FOUND if status is StorageDomainStatus.ACTIVE else _LOST, reason)


def _facts(session: Session, domain: StorageDomain, total: int, free: int) -> StorageDomainFacts:
    disks = session.disks.where_in("storage_domain_id", [domain.id])
    return StorageDomainFacts(
        available_bytes=free,
        used_bytes=max(0, total - free),
        committed_bytes=sum(map(_not_yet_used, disks)),
    )


def _not_yet_used(disk: Disk) -> int:
    return max(0, disk.provisioned_size_bytes - disk.actual_size_bytes)


def _tell(session: Session, domain: StorageDomain, message: AuditMessage, reason: str) -> None:
    center = session.data_centers.get(domain.data_center_id)
    about = About(storage_domain_id=domain.id, data_center_id=center.id)
    tell(session, message, Asked.system(), about, domain=domain.name, data_center=center.name, reason=reason)


def _never(seconds: float) -> None:
    raise AssertionError(f"nothing is waited for here, and {seconds} s are")
