# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Removes a container image that nothing uses, with its disk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from covirt.common.errors import Conflict
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.facts import require_ok
from covirt.engine.commands.forget import forget
from covirt.engine.commands.images.facts import manager_of, volume_ids
from covirt.engine.commands.storage.facts import jobs_of
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.container_image import ContainerImage
from covirt.engine.model.disk import Disk, DiskStatus
from covirt.engine.model.event import Severity
from covirt.engine.model.hardware import VmKind
from covirt.engine.storage.host_jobs import job_of
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.query import ALL, ListQuery
from covirt.engine.store.session import Session
from covirt.hostapi.errors import Code

_REMOVED: Final = AuditMessage(code=15003, text="Container image {name} was removed by {user}.")
_FAILED: Final = AuditMessage(
    code=15004, text="Failed to remove container image {name}. (User: {user}) {reason}", severity=Severity.ERROR
)
_PROPERTY: Final = "containerImage"


class ImageInUse(Conflict):
    template = "Cannot remove the container image. {name} is used by: {users}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainerImage(Command):
    action: ClassVar = "RemoveContainerImage"

    disk_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        disk, _ = image_of(session, self.disk_id)
        start.require(Right.DELETE_DISK, Subject(type=ObjectType.DISK, id=disk.id))
        start.lock(disk.id, f"container image {disk.name} is being removed")
        if users := users_of(session, [disk])[disk.id]:
            raise ImageInUse(name=disk.name, users=", ".join(users))
        require_ok(disk, "remove")
        domain = session.storage_domains.get(disk.storage_domain_id)
        manager_of(session, start.services.hosts, domain, "remove")
        session.disks.update(replace(disk, status=DiskStatus.LOCKED))
        start.describe(f"Removing container image {disk.name}", {disk.id, domain.id})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Removing the container image", self._remove)
        return None

    def succeeded(self, finish: Finish) -> None:
        disk, _ = image_of(finish.session, self.disk_id)
        finish.session.disks.remove(disk.id)
        forget(finish.session, disk.id)
        finish.tell(_REMOVED, About(storage_domain_id=disk.storage_domain_id), name=disk.name)

    def failed(self, finish: Finish, reason: str) -> None:
        disk, _ = image_of(finish.session, self.disk_id)
        finish.session.disks.update(replace(disk, status=DiskStatus.OK))
        finish.tell(_FAILED, About(storage_domain_id=disk.storage_domain_id), name=disk.name, reason=reason)

    def _remove(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            disk, _ = image_of(session, self.disk_id)
            domain = session.storage_domains.get(disk.storage_domain_id)
            host_id = manager_of(session, doing.services.hosts, domain, "remove")
            ids = volume_ids(session, disk)
        try:
            jobs_of(doing, host_id).finish("ContainerImage.remove", ids, job_id=job_of(doing.job_id, "remove"))
        except HostRefused as error:
            if error.code not in (Code.NO_SUCH_IMAGE, Code.NO_SUCH_VOLUME, Code.IMAGE_PATH):
                raise
        return None


def image_of(session: Session, disk_id: str) -> tuple[Disk, ContainerImage]:
    """Raises NoSuchObject."""
    image = session.container_images.find(disk_id)
    if image is None:
        raise NoSuchObject(noun="container image", id=disk_id)
    return session.disks.get(disk_id), image


def users_of(session: Session, disks: Iterable[Disk], query: ListQuery = ALL) -> Mapping[str, list[str]]:
    """By the image's id: the names of containers whose start needs it, among those that the query finds."""
    disks = list(disks)
    images = session.container_images.by_ids(disk.id for disk in disks)
    called: dict[str, set[str]] = {}
    for disk in disks:
        for name in (disk.name, disk.id, images[disk.id].digest, images[disk.id].reference):
            called.setdefault(name, set()).add(disk.id)
    drives = session.cdroms.list(ListQuery(where={"file_id": tuple(images)}))
    in_drives = {drive.vm_id: {str(drive.file_id)} for drive in drives}
    found: dict[str, set[str]] = {disk.id: set() for disk in disks}
    for vm in session.vms.list(replace(query, where={"kind": VmKind.CONTAINER})):
        properties = {each.name: each.value for each in vm.hardware.custom_properties}
        for disk_id in called.get(properties.get(_PROPERTY, ""), set()) | in_drives.get(vm.id, set()):
            found[disk_id].add(vm.name)
    return {disk_id: sorted(names) for disk_id, names in found.items()}
