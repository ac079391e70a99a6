# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One volume's content on its way into another one, on the host that manages both."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Doing, Start
from covirt.engine.commands.disks.errors import DiskRefused
from covirt.engine.commands.disks.facts import (
    lock_users,
    manager_of,
    of_disk,
    require_ok,
    require_room,
    require_unplugged,
    volumes_on,
)
from covirt.engine.commands.storage.facts import jobs_of, of_domain
from covirt.engine.model.disk import Disk, DiskStatus
from covirt.engine.storage.host_jobs import job_of
from covirt.engine.store.session import Session
from covirt.rpc.jsonrpc import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeCopy:
    """``source`` is locked, so that nobody writes to it; nobody else knows ``target`` yet. Each call may be made
    again."""

    source: Disk
    target: Disk

    def ask(self, doing: Doing, host_id: str) -> str:
        """The id of the host's task that makes the target's volume. Raises LowSpace, too: only the host knows how
        much a guest has written into a thin disk since."""
        written = volumes_on(doing, self.source, host_id).sizes(self.source).actual
        source = replace(self.source, actual_size_bytes=max(written, self.source.actual_size_bytes))
        with doing.services.store.read() as session:
            domain = session.storage_domains.get(self.target.storage_domain_id)
        require_room(domain, needed_bytes(source, self.target), "copy")
        return volumes_on(doing, self.target, host_id).begin_create(self.target)

    def create(self, doing: Doing, host_id: str, task_id: str) -> None:
        volumes_on(doing, self.target, host_id).finish_create(self.target, task_id)

    def fill(self, doing: Doing, host_id: str) -> int:
        """The bytes that the target takes on its storage."""
        params: dict[str, Json] = {"source": _endpoint(self.source), "destination": _endpoint(self.target)}
        jobs = jobs_of(doing, host_id)
        jobs.finish("SDM.copy_data", params, job_id=self._job_id(doing), id_field="job_id")
        return volumes_on(doing, self.target, host_id).sizes(self.target).actual

    def take_back(self, doing: Doing, host_id: str) -> None:
        jobs_of(doing, host_id).abort(self._job_id(doing))
        volumes_on(doing, self.target, host_id).remove(self.target)

    def _job_id(self, doing: Doing) -> str:
        return job_of(doing.job_id, f"copy to {self.target.id}")


def begin_copy(start: Start, source: Disk, target: Disk, action: str) -> None:
    """Lock the source. Raises what says why it cannot be copied now."""
    session = start.session
    start.require(Right.CONFIGURE_DISK_STORAGE, of_disk(source.id))
    start.lock(source.id, f"disk {source.name} is being copied")
    lock_users(start, source.id)
    require_ok(source, action)
    require_unplugged(session, source, action)
    require_places(start, source, target, action)
    session.disks.update(replace(source, status=DiskStatus.LOCKED))


def require_places(start: Start, source: Disk, target: Disk, action: str) -> None:
    """Both storage domains are there, and there is room. Raises MissingPermit, DiskRefused, LowSpace,
    NoManagerOfDomain."""
    session = start.session
    domain = session.storage_domains.get(target.storage_domain_id)
    start.require(Right.CREATE_DISK, of_domain(domain.id))
    origin = session.storage_domains.get(source.storage_domain_id)
    if origin.data_center_id != domain.data_center_id:
        raise DiskRefused(action=action, reason=f"Storage Domain {domain.name} is of another Data Center.")
    require_room(domain, needed_bytes(source, target), action)
    for each in (origin, domain):
        manager_of(session, start.services.hosts, each, action)


def needed_bytes(source: Disk, target: Disk) -> int:
    """As far as it is known what is in a thin one."""
    return source.actual_size_bytes if target.sparse else target.provisioned_size_bytes


def end_copy(session: Session, source_id: str) -> None:
    """The source is as it was."""
    source = session.disks.find(id=source_id)
    if source is not None and source.status is DiskStatus.LOCKED:
        session.disks.update(replace(source, status=DiskStatus.OK))


def _endpoint(disk: Disk) -> Mapping[str, Json]:
    return {
        "endpoint_type": "div",
        "sd_id": disk.storage_domain_id,
        "img_id": disk.id,
        "vol_id": disk.image_id,
    }
