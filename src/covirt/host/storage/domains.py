# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""All storage domains that this host reaches: found by their id, made, and formatted."""

import logging
import mmap
import os
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from covirt.common.errors import Error
from covirt.host.storage.bounded import BoundedCalls
from covirt.host.storage.connections import Connection, Connections
from covirt.host.storage.domain_format import (
    BLOCK_BYTES,
    FIRST_NAME_LIMIT,
    VERSION,
    DomainClass,
    DomainMetadata,
    StorageType,
    domain_name,
    new_domain_metadata,
)
from covirt.host.storage.file_domain import FileDomain, finish_removals, needs_leases
from covirt.host.storage.storage_errors import (
    BlockSizeDiffers,
    DomainAttachedElsewhere,
    NoStorageLocks,
    NoSuchStorageDomain,
    StorageDomainExists,
    StorageDomainMetadataMissing,
    StorageNotConnected,
    StorageNotEmpty,
    UnsupportedDomainVersion,
    UnsupportedStorageType,
)
from covirt.host.storage.storage_paths import StoragePaths, checked_local_path, checked_uuid, is_uuid, named_uuid

log = logging.getLogger(__name__)

_MIB: Final = 1 << 20
_LOOK_SECONDS: Final = 10.0
# Bytes of a lease by block size and hosts, as sanlock lays them out.
_ALIGNMENTS: Final = {512: ((2000, _MIB),), 4096: ((250, _MIB), (500, 2 * _MIB), (1000, 4 * _MIB), (2000, 8 * _MIB))}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDomain:
    """What StorageDomain.create asks for. ``block_size`` 0: what the storage has."""

    id: str
    name: str
    storage_type: int
    domain_class: DomainClass
    remote_path: str
    version: int
    block_size: int = BLOCK_BYTES
    max_hosts: int = 250


class Domains:
    """Thread-safe. Everything that touches storage is bounded in time."""

    def __init__(self, *, paths: StoragePaths, connections: Connections, calls: BoundedCalls) -> None:
        self._paths = paths
        self._connections = connections
        self._calls = calls
        self._lock = threading.Lock()
        self._mounts: dict[str, Path] = {}  # where a domain was seen last

    def connect(self, storage_type: int, connection: Connection) -> None:
        """Raises as Connections.connect()."""
        mount = self._calls.call(connection.path, lambda: self._connections.connect(storage_type, connection))
        self._look(mount)
        try:
            self._calls.call(connection.path, lambda: finish_removals(mount), timeout_seconds=_LOOK_SECONDS)
        except (Error, OSError) as error:
            log.warning("What was formatted is left for later mount=%s: %s", mount, error)

    def disconnect(self, storage_type: int, connection: Connection) -> None:
        self._calls.call(connection.path, lambda: self._connections.disconnect(storage_type, connection))

    def seen_at(self, remote: str) -> Collection[str]:
        """The ids of those that were last seen on this server. Never asks storage, which may be gone."""
        mount = self._paths.mount(remote)
        with self._lock:
            return [domain_id for domain_id, seen in self._mounts.items() if seen == mount]

    def get(self, domain_id: str) -> FileDomain:
        """Raises NoSuchStorageDomain."""
        domain_id = checked_uuid("storagedomainID", domain_id)
        with self._lock:
            mount = self._mounts.get(domain_id)
        if mount is None or not os.path.lexists(mount):
            self._look_everywhere()
            with self._lock:
                mount = self._mounts.get(domain_id)
        if mount is None or not os.path.lexists(mount):
            raise NoSuchStorageDomain(domain_id=domain_id)
        return FileDomain(mount=mount, domain_id=domain_id)

    def list(self) -> Sequence[str]:
        """The ids of all that can be seen now."""
        self._look_everywhere()
        with self._lock:
            return sorted(domain_id for domain_id, mount in self._mounts.items() if os.path.lexists(mount))

    def metadata(self, domain_id: str) -> DomainMetadata:
        """Raises NoSuchStorageDomain, and what FileDomain.metadata() does."""
        domain = self.get(domain_id)
        try:
            return self._calls.call(domain.id, domain.metadata)
        except StorageDomainMetadataMissing:
            # Formatted, or gone with its mount, by somebody else.
            self._forget(domain.id)
            raise NoSuchStorageDomain(domain_id=domain.id) from None

    def create(self, new: NewDomain) -> None:
        """Raises many of storage_errors, before anything is written."""
        domain_id = named_uuid("storagedomainID", new.id)
        if new.storage_type not in (StorageType.LOCALFS, StorageType.NFS):
            raise UnsupportedStorageType(type=new.storage_type)
        storage_type = StorageType(new.storage_type)
        if new.version != VERSION:
            raise UnsupportedDomainVersion(version=new.version)
        if needs_leases(storage_type):
            raise NoStorageLocks(domain_id=domain_id)
        remote = checked_local_path(new.remote_path)
        mount = self._paths.mount(remote)
        if not mount.is_symlink():
            raise StorageNotConnected(path=remote)
        if domain_id in self.list():
            raise StorageDomainExists(domain_id=domain_id)
        self._calls.call(domain_id, lambda: self._create(new, domain_id, storage_type, remote, mount))
        with self._lock:
            self._mounts[domain_id] = mount
        log.info("Storage domain created id=%s path=%s", domain_id, remote)

    def format(self, domain_id: str, *, detach: bool) -> None:
        """Remove it with all it holds. Raises DomainAttachedElsewhere unless ``detach``."""
        domain = self.get(domain_id)
        pools = self.metadata(domain.id).pools
        if pools and not detach:
            raise DomainAttachedElsewhere(domain_id=domain.id, pool_id=pools[0])
        self._calls.call(domain.id, domain.remove)
        self._forget(domain.id)
        log.info("Storage domain formatted id=%s", domain.id)

    def _create(self, new: NewDomain, domain_id: str, storage_type: StorageType, remote: str, mount: Path) -> None:
        found = _domains_below(mount)
        if found:
            raise StorageNotEmpty(path=remote, found=found[0])
        block_size = _block_size(mount, new.block_size)
        metadata = new_domain_metadata(
            domain_id=domain_id,
            name=domain_name(new.name, limit=FIRST_NAME_LIMIT),
            storage_type=storage_type,
            domain_class=new.domain_class,
            remote_path=remote,
            block_size=block_size,
            alignment=_alignment(block_size, new.max_hosts),
        )
        FileDomain(mount=mount, domain_id=domain_id).create(metadata)

    def _look_everywhere(self) -> None:
        """One mount at a time and each bounded, so that a hanging one hides no other."""
        try:
            mounts = sorted(self._paths.mounts.iterdir())
        except FileNotFoundError:
            return
        for mount in mounts:
            self._look(mount)

    def _look(self, mount: Path) -> None:
        try:
            found = self._calls.call(str(mount), lambda: _domains_below(mount), timeout_seconds=_LOOK_SECONDS)
        except (Error, OSError) as error:
            log.warning("Storage cannot be looked at mount=%s: %s", mount, error)
            return
        with self._lock:
            for domain_id, seen in list(self._mounts.items()):
                if seen == mount and domain_id not in found:
                    del self._mounts[domain_id]
            self._mounts |= dict.fromkeys(found, mount)

    def _forget(self, domain_id: str) -> None:
        with self._lock:
            self._mounts.pop(domain_id, None)


def _domains_below(mount: Path) -> list[str]:
    if not os.path.isdir(mount):
        return []
    names = (name for name in os.listdir(mount) if is_uuid(name))
    return sorted(name for name in names if os.path.lexists(mount / name / "dom_md/metadata"))


def _alignment(block_size: int, max_hosts: int) -> int:
    for limit, alignment in _ALIGNMENTS[block_size]:
        if max_hosts <= limit:
            return alignment
    return _ALIGNMENTS[block_size][-1][1]


def _block_size(mount: Path, asked: int) -> int:
    """Bytes of a block; 512 where the storage does not say. Raises BlockSizeDiffers."""
    found = _probed_block_size(mount)
    if asked == 0:
        return found or BLOCK_BYTES
    if asked not in _ALIGNMENTS or (found is not None and found != asked):
        raise BlockSizeDiffers(found=found or BLOCK_BYTES, asked=asked)
    return asked


def _probed_block_size(mount: Path) -> int | None:
    """The smallest write past the page cache that the storage takes; None where it takes none, or any."""
    path = mount / f".covirt-probe-{uuid4().hex}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_DIRECT, 0o600)
    except OSError:
        path.unlink(missing_ok=True)
        return None
    try:
        # Anonymous memory is aligned to pages, as such writes need.
        with mmap.mmap(-1, 4096) as buffer:
            for size in sorted(_ALIGNMENTS):
                try:
                    os.pwrite(descriptor, memoryview(buffer)[:size], 0)
                except OSError:
                    continue
                return size
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
    return None
