# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Operations that copy all disks of a machine, or of a template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.add_disk import OPERATOR_ID, check_disk
from covirt.engine.commands.disks.copying import (
    VolumeCopy,
    begin_copy,
    end_copy,
    needed_bytes,
    require_places,
)
from covirt.engine.commands.disks.errors import DiskRefused
from covirt.engine.commands.disks.facts import choose_manager, of_disk, require_ok, require_room
from covirt.engine.commands.forget import forget
from covirt.engine.model.disk import Disk, DiskAttachment, DiskStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskCopy:
    """``attachment``: of the new disk, to the machine or the template that is made."""

    source_id: str
    disk: Disk
    attachment: DiskAttachment


def planned_copies(session: Session, attached: Sequence[DiskAttachment], **owner: str) -> tuple[DiskCopy, ...]:
    """Of these disks, each on the storage domain where it lies; ``owner`` is vm_id or template_id."""
    disks = session.disks.by_ids({each.disk_id for each in attached})
    return tuple(_planned(disks[each.disk_id], each, owner) for each in attached)


def _planned(source: Disk, attachment: DiskAttachment, owner: dict[str, str]) -> DiskCopy:
    copied = replace(
        source,
        id=str(uuid4()),
        image_id=str(uuid4()),
        status=DiskStatus.OK,
        shareable=False,
        created_at=datetime.now(UTC),
    )
    there = replace(attachment, **{"vm_id": None, "template_id": None, **owner, "disk_id": copied.id})  # type: ignore[arg-type]
    return DiskCopy(source_id=source.id, disk=copied, attachment=there)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesDisks(Command):
    """A command that begins with begin_copies(), runs run_copies(), and ends with one of both ends."""

    copies: tuple[DiskCopy, ...] = ()

    def begin_copies(self, start: Start, action: str, owner: Mapping[str, str]) -> None:
        """``owner``: of what is copied, vm_id or template_id. Who the copies are for is there by now. Nobody writes
        to disks of a template, so many may copy them at once."""
        session = start.session
        self._require_same(session, action, owner)
        self._require_room(session, action)
        for copy in self.copies:
            source = session.disks.get(copy.source_id)
            check_disk(copy.disk, action=action)
            if "template_id" in owner:
                require_ok(source, action)
                require_places(start, source, copy.disk, action)
            else:
                begin_copy(start, source, copy.disk, action)
            session.disks.add(replace(copy.disk, status=DiskStatus.LOCKED))
            session.disk_attachments.add(copy.attachment)
            give_creator(start, OPERATOR_ID, of_disk(copy.disk.id))
            start.lock(copy.disk.id, f"disk {copy.disk.name} is being copied")

    def _require_same(self, session: Session, action: str, owner: Mapping[str, str]) -> None:
        """The copies were planned before anything was locked. Raises DiskRefused."""
        attached = session.disk_attachments.list(ListQuery(where=dict(owner)))
        disks = session.disks.by_ids({each.disk_id for each in attached})
        sizes = {disk.id: disk.provisioned_size_bytes for disk in disks.values()}
        if sizes != {copy.source_id: copy.disk.provisioned_size_bytes for copy in self.copies}:
            raise DiskRefused(action=action, reason="The disks have changed in this moment. Please try again.")

    def _require_room(self, session: Session, action: str) -> None:
        """For all of them together. Raises LowSpace."""
        needed: dict[str, int] = {}
        for copy in self.copies:
            size = needed_bytes(session.disks.get(copy.source_id), copy.disk)
            place = copy.disk.storage_domain_id
            needed[place] = needed.get(place, 0) + size
        for domain_id, size in needed.items():
            require_room(session.storage_domains.get(domain_id), size, action)

    def run_copies(self, flow: Flow) -> JsonValue:
        """What each takes on its storage, in bytes."""
        sizes: list[JsonValue] = []
        for index in range(len(self.copies)):
            host_id = flow.step("Choosing a host", self._choose, index)
            task_id = flow.step("Asking the host for a volume", self._ask, index, host_id, undo=self._take_back)
            flow.step("Creating a volume", self._create, index, host_id, task_id)
            sizes.append(flow.step(f"Copying disk {self.copies[index].disk.name}", self._fill, index, host_id))
        return sizes

    def end_copies(self, finish: Finish, *, of_template: bool) -> None:
        session = finish.session
        sizes = finish.result if isinstance(finish.result, list) else []
        for copy, size in zip(self.copies, sizes, strict=True):
            disk, actual = session.disks.get(copy.disk.id), int(str(size or 0))
            session.disks.update(
                replace(disk, status=DiskStatus.OK, actual_size_bytes=actual, total_size_bytes=actual)
            )
            if not of_template:
                end_copy(session, copy.source_id)

    def drop_copies(self, session: Session, *, of_template: bool) -> None:
        """After everything was undone."""
        for copy in self.copies:
            session.disks.remove(copy.disk.id)
            forget(session, copy.disk.id)
            if not of_template:
                end_copy(session, copy.source_id)

    def _copy(self, doing: Doing, index: int) -> VolumeCopy:
        copy = self.copies[index]
        with doing.services.store.read() as session:
            return VolumeCopy(source=session.disks.get(copy.source_id), target=copy.disk)

    def _choose(self, doing: Doing, index: int) -> JsonValue:
        return choose_manager(doing, self.copies[index].disk.storage_domain_id, "copy")

    def _ask(self, doing: Doing, index: int, host_id: str) -> JsonValue:
        return self._copy(doing, index).ask(doing, host_id)

    def _create(self, doing: Doing, index: int, host_id: str, task_id: str) -> JsonValue:
        self._copy(doing, index).create(doing, host_id, task_id)
        return None

    def _fill(self, doing: Doing, index: int, host_id: str) -> JsonValue:
        return self._copy(doing, index).fill(doing, host_id)

    def _take_back(self, doing: Doing, index: int, host_id: str) -> JsonValue:
        self._copy(doing, index).take_back(doing, host_id)
        return None
