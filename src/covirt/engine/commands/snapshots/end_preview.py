# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Ends a preview: what the disks are now stays, or else what they were before it."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.snapshots import messages
from covirt.engine.commands.snapshots.errors import NothingPreviewed
from covirt.engine.commands.snapshots.facts import (
    begin_on,
    forget_later,
    lock_disks,
    previewed,
    tell_of,
    write_disks,
)
from covirt.engine.commands.snapshots.steps import OnSnapshot
from covirt.engine.model.vm import Snapshot, SnapshotStatus, SnapshotType
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class _EndPreview(OnSnapshot):
    """``snapshot_id``: the one that is previewed; who asks names the machine."""

    word: ClassVar[str]  # as in "Cannot commit Snapshot."
    doing: ClassVar[str]
    done: ClassVar[AuditMessage]
    not_done: ClassVar[AuditMessage]

    vm_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        vm = begin_on(start, self.vm_id, self.word, self.doing, ends_preview=True)
        snapshot = previewed(session, vm.id)
        if snapshot is None or snapshot.id != self.snapshot_id:
            raise NothingPreviewed(action=self.word, vm=vm.name)
        disks = session.disks.by_ids({each.disk_id for each in snapshot.disks})
        lock_disks(start, disks.values(), self.doing, vm)
        session.snapshots.update(replace(snapshot, status=SnapshotStatus.LOCKED))
        title = f"{self.word.capitalize()} the preview of Snapshot {snapshot.description} of VM {vm.name}"
        start.describe(title, {vm.id, *disks})

    def run(self, flow: Flow) -> JsonValue:
        ids, host_id = self._begun(flow)
        found: dict[str, JsonValue] = {}
        for disk_id in ids:
            found[disk_id] = flow.step("Looking at the volumes of a disk", self._find, host_id, disk_id)
        flow.step("Writing down what the disks are", self._switch, found)
        for disk_id in ids:
            for volume_id in _volumes(found[disk_id]):
                flow.step("Deleting a volume", self._delete, host_id, disk_id, volume_id)
        return None

    def succeeded(self, finish: Finish) -> None:
        tell_of(finish, self.done, self._end(finish.session))

    def failed(self, finish: Finish, reason: str) -> None:
        tell_of(finish, self.not_done, self._end(finish.session), reason=reason)

    def _end(self, session: Session) -> Snapshot:
        goes_on = _before(session, self.vm_id) is not None
        return self._release(session, SnapshotStatus.IN_PREVIEW if goes_on else SnapshotStatus.OK)

    def _was(self, doing: Doing, disk_id: str) -> str:
        """The volume on top before the preview."""
        with doing.services.store.read() as session:
            before = _before(session, self.vm_id)
        assert before is not None  # noqa: S101 - a preview goes on until it is written down that it has ended
        return next(each.image_id for each in before.disks if each.disk_id == disk_id)

    @abstractmethod
    def _find(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        """{"gone": the volumes that nobody needs then, the upper ones first, and what _switch needs}."""

    @abstractmethod
    def _switch(self, doing: Doing, found: dict[str, JsonValue]) -> JsonValue: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitSnapshot(_EndPreview):
    """What was written since the snapshot, before the preview, is gone with the snapshots that were made since."""

    action: ClassVar = "CommitSnapshot"
    word: ClassVar = "commit"
    doing: ClassVar = "committed"
    done: ClassVar = messages.COMMITTED
    not_done: ClassVar = messages.COMMIT_FAILED

    def _find(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        on = self._on(doing)
        was = self._was(doing, disk_id)
        return {"gone": list(on.chain(disk_id, host_id).above(on.then(disk_id).image_id, top_id=was))}

    def _switch(self, doing: Doing, found: dict[str, JsonValue]) -> JsonValue:
        gone = {volume for each in found.values() for volume in _volumes(each)}
        with doing.services.store.change() as session:
            _forget_before(session, self.vm_id)
            forget_later(session, self.vm_id, gone)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoSnapshot(_EndPreview):
    """What was written in the preview is gone."""

    action: ClassVar = "UndoSnapshot"
    word: ClassVar = "undo the preview of"
    doing: ClassVar = "undone"
    done: ClassVar = messages.UNDONE
    not_done: ClassVar = messages.UNDO_FAILED

    def _find(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        chain, was = self._on(doing).chain(disk_id, host_id), self._was(doing, disk_id)
        return {"gone": [chain.disk.image_id], "was": was, "size": chain.facts(was).capacity_bytes}

    def _switch(self, doing: Doing, found: dict[str, JsonValue]) -> JsonValue:
        facts = {disk_id: each for disk_id, each in found.items() if isinstance(each, dict)}
        volumes = {disk_id: str(each["was"]) for disk_id, each in facts.items()}
        sizes = {disk_id: int(str(each["size"])) for disk_id, each in facts.items()}
        with doing.services.store.change() as session:
            _forget_before(session, self.vm_id)
            write_disks(session, volumes, sizes)
        return None


def _volumes(found: JsonValue) -> list[str]:
    gone = found.get("gone") if isinstance(found, Mapping) else None
    return [str(each) for each in cast("list[JsonValue]", gone or [])]


def _before(session: Session, vm_id: str) -> Snapshot | None:
    return session.snapshots.find(vm_id=vm_id, type=SnapshotType.PREVIEW)


def _forget_before(session: Session, vm_id: str) -> None:
    before = _before(session, vm_id)
    if before is not None:
        session.snapshots.remove(before.id)
