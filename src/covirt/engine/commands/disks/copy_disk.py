# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Copies a disk, in its storage domain or to another one of the data center."""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks import messages
from covirt.engine.commands.disks.add_disk import OPERATOR_ID, check_disk
from covirt.engine.commands.disks.copying import VolumeCopy, begin_copy, end_copy
from covirt.engine.commands.disks.errors import DiskRefused
from covirt.engine.commands.disks.facts import about, choose_manager, of_disk
from covirt.engine.commands.forget import forget
from covirt.engine.model.disk import Disk, DiskStatus
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyDisk(Command):
    """``disk``: the new one, whose ids the caller chooses. It is of the same kind of machine, and a container image
    stays one."""

    action: ClassVar = "CopyImageGroup"

    source_id: str
    disk: Disk

    def begin(self, start: Start) -> None:
        session = start.session
        source, disk = session.disks.get(self.source_id), self.disk
        check_disk(disk, action="copy")
        begin_copy(start, source, disk, "copy")
        if disk.provisioned_size_bytes != source.provisioned_size_bytes:  # extended since this was asked for
            raise DiskRefused(action="copy", reason=f"The size of {source.name} has changed in this moment.")
        self._check_image(session, source)
        session.disks.add(replace(disk, status=DiskStatus.LOCKED))
        give_creator(start, OPERATOR_ID, of_disk(disk.id))
        start.lock(disk.id, f"disk {disk.name} is being copied")
        start.describe(f"Copying Disk {source.name}", {source.id, disk.id, disk.storage_domain_id})
        self._tell(start, messages.COPY_BEGUN)

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", self._choose)
        task_id = flow.step("Asking the host for the volume", self._ask, host_id, undo=self._take_back)
        flow.step("Creating the volume", self._create, host_id, task_id)
        return flow.step("Copying what is in it", self._fill, host_id)

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        actual = int(str(finish.result or 0))
        disk = session.disks.get(self.disk.id)
        session.disks.update(replace(disk, status=DiskStatus.OK, actual_size_bytes=actual, total_size_bytes=actual))
        image = session.container_images.find(self.source_id)
        if image is not None:
            session.container_images.add(replace(image, id=disk.id))
        end_copy(session, self.source_id)
        self._tell(finish, messages.COPIED)

    def failed(self, finish: Finish, reason: str) -> None:
        session = finish.session
        self._tell(finish, messages.COPY_FAILED, reason=reason)
        end_copy(session, self.source_id)
        session.disks.remove(self.disk.id)
        forget(session, self.disk.id)

    def _check_image(self, session: Session, source: Disk) -> None:
        """A storage domain has an image of a digest once."""
        image = session.container_images.find(source.id)
        if image is None:
            return
        there = session.container_images.with_digest(self.disk.storage_domain_id, image.digest)
        if there is not None:
            raise DiskRefused(action="copy", reason=f"The container image {source.name} is there already.")

    def _tell(self, told: Start | Finish, message: AuditMessage, **words: object) -> None:
        session = told.session
        source = session.disks.get(self.source_id)
        domain = session.storage_domains.get(self.disk.storage_domain_id)
        told.tell(message, about(session, self.disk), disk=source.name, domain=domain.name, **words)

    def _choose(self, doing: Doing) -> JsonValue:
        return choose_manager(doing, self.disk.storage_domain_id, "copy")

    def _copy(self, doing: Doing) -> VolumeCopy:
        with doing.services.store.read() as session:
            return VolumeCopy(source=session.disks.get(self.source_id), target=self.disk)

    def _ask(self, doing: Doing, host_id: str) -> JsonValue:
        return self._copy(doing).ask(doing, host_id)

    def _create(self, doing: Doing, host_id: str, task_id: str) -> JsonValue:
        self._copy(doing).create(doing, host_id, task_id)
        return None

    def _fill(self, doing: Doing, host_id: str) -> JsonValue:
        return self._copy(doing).fill(doing, host_id)

    def _take_back(self, doing: Doing, host_id: str) -> JsonValue:
        self._copy(doing).take_back(doing, host_id)
        return None
