# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The storage of this host, its parts put together: connections, domains, the pool, volumes, and their health."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from covirt.common.root import Root
from covirt.host.storage.access import StoredVolumes
from covirt.host.storage.bounded import BoundedCalls
from covirt.host.storage.connections import Connection, Connections
from covirt.host.storage.domain_format import BLANK_ID, DomainStatus
from covirt.host.storage.domains import Domains
from covirt.host.storage.file_domain import FileDomain, Space
from covirt.host.storage.jobs import Jobs
from covirt.host.storage.merge import MergeWork
from covirt.host.storage.monitor import Health, HealthListener, Look, StorageMonitor
from covirt.host.storage.operations import Book
from covirt.host.storage.pools import Pools
from covirt.host.storage.storage_config import StorageConfig
from covirt.host.storage.storage_errors import DomainInUse, UsedByOthers
from covirt.host.storage.storage_paths import StoragePaths, checked_uuid
from covirt.host.storage.storage_state import StateFile
from covirt.host.storage.tasks import Tasks
from covirt.host.storage.volume_work import VolumeWork
from covirt.hostapi.json import JsonValue

log = logging.getLogger(__name__)

Describe = Callable[[BaseException], tuple[int, str]]


class Storage:
    """``describe`` gives the code of an error in Vdsm's numbers. ``transfer_port``: of the imageio daemon."""

    def __init__(self, *, root: Root, config: StorageConfig, describe: Describe, transfer_port: int = 0) -> None:
        self._transfer_port = transfer_port
        self.paths = StoragePaths(root)
        self._describe = describe
        self._books: list[Book] = []
        self._state = StateFile(root.run_dir / "host/storage.json")
        self.calls = BoundedCalls(timeout_seconds=config.call_timeout_seconds)
        connections = Connections(self.paths, mount_timeout_seconds=config.mount_timeout_seconds)
        self.domains = Domains(paths=self.paths, connections=connections, calls=self.calls)
        self.volumes = StoredVolumes(
            paths=self.paths, state=self._state, calls=self.calls, usable=self._usable, changed=self.watch
        )
        self.pools = Pools(
            paths=self.paths,
            state=self._state,
            domains=self.domains,
            calls=self.calls,
            unused=self.unused,
            changed=self.watch,
            stages=self._stages,
        )
        self.work = VolumeWork(domain=self.domains.get, users=self.volumes.users, claims=self._state)
        self.merging = MergeWork(domain=self.domains.get, claims=self._state, work=self.work)
        self.monitor = StorageMonitor(
            look=self._look,
            period_seconds=config.monitor_period_seconds,
            timeout_seconds=config.monitor_timeout_seconds,
        )

    def add_work(self, tasks: Tasks, jobs: Jobs) -> None:
        """Before the tasks start."""
        tasks.add_kinds([*self.work.kinds(), *self.merging.task_kinds(), *self.pools.kinds()])
        jobs.add_kinds([self.merging.job_kind()])
        self._books = [tasks, jobs]

    def add_health_listener(self, listener: HealthListener) -> None:
        """Before start()."""
        self.monitor.add_health_listener(listener)

    def start(self) -> None:
        """The pool and what is held are as the last life of the agent left them. Raises BrokenFile."""
        self.paths.make()
        self._state.load()
        self.monitor.start()
        self.pools.active_domains()
        self.watch()

    def stop(self) -> None:
        self.monitor.stop()

    def watch(self) -> None:
        """Look after the pool's active domains, and after those that somebody uses."""
        self.monitor.watch(self.pools.last_active | self.volumes.held_domains())

    def connect_server(self, storage_type: int, connection: Connection) -> None:
        """Raises as Connections.connect(). Work that waited for it goes on, however short it was away."""
        self.domains.connect(storage_type, connection)
        for book in self._books:
            book.resume()

    def disconnect_server(self, storage_type: int, connection: Connection) -> None:
        """Raises DomainInUse, which a link to a local directory would not notice, and as Connections.disconnect()."""
        with ExitStack() as unused:
            for domain_id in self.domains.seen_at(connection.path):
                unused.enter_context(self.unused(domain_id))
            self.domains.disconnect(storage_type, connection)

    @contextmanager
    def unused(self, domain_id: str) -> Iterator[None]:
        """Nobody uses a volume of the domain, and nobody begins to. Raises DomainInUse."""
        try:
            with self._state.alone(domain_id, None, None, purpose="a change of its domain"):
                yield
        except UsedByOthers as error:
            raise DomainInUse(domain_id=domain_id, users=error.fields["users"]) from error

    def format_domain(self, domain_id: str, *, detach: bool) -> None:
        """Raises DomainInConnectedPool, DomainInUse and as Domains.format()."""
        domain_id = checked_uuid("storagedomainID", domain_id)
        self.pools.require_outside(domain_id)
        with self.unused(domain_id):
            self.domains.format(domain_id, detach=detach)

    def space(self, domain_id: str) -> Space:
        domain = self.domains.get(domain_id)
        return self.calls.call(domain.id, domain.space)

    # what the host tells of itself

    def capabilities(self) -> Mapping[str, JsonValue]:
        return {
            "domain_versions": [5],
            "supported_block_size": {"LOCALFS": [0, 512, 4096], "NFS": [512]},
            "imageTransferPort": self._transfer_port,
        }

    def statistics(self) -> Mapping[str, JsonValue]:
        return {"storageDomains": self.repository_statistics()}

    def repository_statistics(self) -> dict[str, JsonValue]:
        """Of every domain that is watched, by its id."""
        now = time.monotonic()
        return {domain_id: self._told(health, now) for domain_id, health in self.monitor.health().items()}

    def pool_domain_statistics(self, pool_id: str) -> dict[str, JsonValue]:
        """Of the pool's domains, in getInfo's words."""
        health = self.monitor.health()
        statuses = self.pools.domains(pool_id)
        return {domain_id: _told_in_pool(status, health.get(domain_id)) for domain_id, status in statuses.items()}

    def _told(self, health: Health, now: float) -> JsonValue:
        return {
            "code": 0 if health.error is None else self._describe(health.error)[0],
            "lastCheck": f"{max(0.0, now - health.checked_at):.1f}",
            "delay": str(round(health.delay_seconds, 6)),
            "valid": health.error is None,
            "version": health.version,
            "acquired": True,  # local domains need no host id
            "actual": health.is_actual,
        }

    # inside

    def _usable(self, pool_id: str, domain_id: str) -> FileDomain:
        """Raises NoSuchPool, DomainNotInPool, DomainNotActive for a volume of a pool; NoSuchStorageDomain."""
        if pool_id != BLANK_ID:
            self.pools.require_active(pool_id, domain_id)
        return self.domains.get(domain_id)

    def _stages(self) -> Collection[str]:
        """Where long work that is not over makes its images."""
        records = (record for book in self._books for record in book.list() if not record.state.is_final)
        return frozenset(str(record.params["stage"]) for record in records if "stage" in record.params)

    def _look(self, domain_id: str) -> Look:
        """In the monitor's thread: it may hang."""
        domain = self.domains.get(domain_id)
        metadata = domain.metadata(direct=True)
        return Look(space=domain.space(), version=metadata.version)


def _told_in_pool(status: DomainStatus, health: Health | None) -> JsonValue:
    space = None if health is None else health.space
    well = health is not None and health.error is None
    told: dict[str, JsonValue] = {
        "status": status,
        "alerts": [],
        "isoprefix": "",
        "version": -1 if health is None else health.version,
    }
    if well and space is not None:
        told |= {"disktotal": str(space.total_bytes), "diskfree": str(space.free_bytes)}
    return told
