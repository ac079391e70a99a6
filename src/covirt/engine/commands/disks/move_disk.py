# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Moves a disk to another storage domain of the data center: copied, written down, then removed where it was."""

import logging
from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Error
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks import messages
from covirt.engine.commands.disks.copying import VolumeCopy, begin_copy, end_copy
from covirt.engine.commands.disks.errors import DiskRefused
from covirt.engine.commands.disks.facts import (
    about,
    choose_manager,
    require_in_no_drive,
    require_no_snapshots,
    require_no_template,
    volumes_on,
)
from covirt.engine.model.disk import Disk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveDisk(Command):
    """Its ids stay. ``from_id``: the storage domain that it was on when this was asked for."""

    action: ClassVar = "MoveDisk"

    disk_id: str
    from_id: str
    storage_domain_id: str
    disk_profile_id: str | None = None

    def begin(self, start: Start) -> None:
        session = start.session
        disk = session.disks.get(self.disk_id)
        domain = session.storage_domains.get(self.storage_domain_id)
        if domain.id == disk.storage_domain_id:
            raise DiskRefused(action="move", reason=f"It lies on Storage Domain {domain.name} already.")
        require_no_template(session, disk, "move")
        if session.container_images.find(disk.id) is not None:
            raise DiskRefused(action="move", reason="Containers name it where it is; copy it, or import it there.")
        require_in_no_drive(start, disk, "move")
        require_no_snapshots(session, disk, "move")
        begin_copy(start, disk, replace(disk, storage_domain_id=domain.id), "move")
        start.describe(f"Moving Disk {disk.name} to {domain.name}", {disk.id, disk.storage_domain_id, domain.id})
        self._tell(start, messages.MOVE_BEGUN)

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", self._choose)
        task_id = flow.step("Asking the host for the volume", self._ask, host_id, undo=self._take_back)
        flow.step("Creating the volume", self._create, host_id, task_id)
        actual = flow.step("Copying what is in it", self._fill, host_id)
        flow.step("Writing down where it is", self._switch, actual)
        flow.step("Removing it where it was", self._remove, host_id)
        return actual

    def succeeded(self, finish: Finish) -> None:
        end_copy(finish.session, self.disk_id)
        self._tell(finish, messages.MOVED)

    def failed(self, finish: Finish, reason: str) -> None:
        end_copy(finish.session, self.disk_id)
        self._tell(finish, messages.MOVE_FAILED, reason=reason)

    def _tell(self, told: Start | Finish, message: AuditMessage, **words: object) -> None:
        session = told.session
        disk = session.disks.get(self.disk_id)
        domain = session.storage_domains.get(self.storage_domain_id)
        told.tell(message, about(session, disk), disk=disk.name, domain=domain.name, **words)

    def _choose(self, doing: Doing) -> JsonValue:
        return choose_manager(doing, self.storage_domain_id, "move")

    def _disk(self, doing: Doing) -> Disk:
        with doing.services.store.read() as session:
            disk: Disk = session.disks.get(self.disk_id)
            return disk

    def _copy(self, doing: Doing) -> VolumeCopy:
        disk = self._disk(doing)
        return VolumeCopy(
            source=replace(disk, storage_domain_id=self.from_id),
            target=replace(disk, storage_domain_id=self.storage_domain_id),
        )

    def _ask(self, doing: Doing, host_id: str) -> JsonValue:
        return self._copy(doing).ask(doing, host_id)

    def _create(self, doing: Doing, host_id: str, task_id: str) -> JsonValue:
        self._copy(doing).create(doing, host_id, task_id)
        return None

    def _fill(self, doing: Doing, host_id: str) -> JsonValue:
        return self._copy(doing).fill(doing, host_id)

    def _take_back(self, doing: Doing, host_id: str) -> JsonValue:
        """Unless it is the disk by now."""
        if self._disk(doing).storage_domain_id == self.from_id:
            self._copy(doing).take_back(doing, host_id)
        return None

    def _switch(self, doing: Doing, actual: JsonValue) -> JsonValue:
        size = int(str(actual or 0))
        with doing.services.store.change() as session:
            disk = session.disks.get(self.disk_id)
            session.disks.update(
                replace(
                    disk,
                    storage_domain_id=self.storage_domain_id,
                    disk_profile_id=self.disk_profile_id,
                    actual_size_bytes=size,
                    total_size_bytes=size,
                )
            )
        return None

    def _remove(self, doing: Doing, host_id: str) -> JsonValue:
        """What cannot be removed there is nobody's any more, and is told."""
        source = self._copy(doing).source
        try:
            volumes_on(doing, source, host_id).remove(source)
        except Error as error:
            log.warning("A moved disk is left where it was disk=%s reason=%s", source.id, error)
            with doing.services.store.read() as session:
                told, domain = about(session, source), session.storage_domains.get(self.from_id)
            doing.tell(messages.MOVED_WITH_LEFTOVERS, told, disk=source.name, domain=domain.name, reason=error)
        return None
