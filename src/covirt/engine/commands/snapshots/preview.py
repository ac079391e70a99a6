# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a machine's disks what they were at a snapshot, for a while: what they are now is kept beside that.

The disks get new volumes, which build on those of the snapshot. What they were before is a snapshot of its own, of
type preview, until the preview is committed or undone.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar, Final

from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.snapshots import messages
from covirt.engine.commands.snapshots.facts import (
    OnHost,
    begin_with,
    disk_then,
    require_rooms,
    require_whole,
    tell_of,
    unlock,
    write_disks,
)
from covirt.engine.model.vm import Snapshot, SnapshotStatus, SnapshotType
from covirt.engine.storage.host_jobs import job_of

BEFORE: Final = "Active VM before the preview"  # as oVirt calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSnapshot(Command):
    """Undone as a whole when it fails."""

    action: ClassVar = "TryBackToAllSnapshotsOfVm"

    snapshot_id: str

    def begin(self, start: Start) -> None:
        snapshot = begin_with(start, self.snapshot_id, "preview", "previewed")
        require_whole(snapshot, "preview")
        disks = start.session.disks.by_ids({each.disk_id for each in snapshot.disks})
        require_rooms(start.session, disks.values(), "preview a snapshot of")
        tell_of(start, messages.PREVIEW_BEGUN, snapshot)

    def run(self, flow: Flow) -> JsonValue:
        disk_ids = flow.step("Looking which disks it has", self._look)
        ids = [str(each) for each in disk_ids] if isinstance(disk_ids, list) else []
        host_id = flow.step("Choosing a host", self._choose, list(ids))
        sizes: dict[str, JsonValue] = {}
        for disk_id in ids:
            sizes[disk_id] = flow.step("Creating a volume", self._create, host_id, disk_id, undo=self._take_back)
        return flow.step("Writing down what the disks are", self._switch, sizes)

    def succeeded(self, finish: Finish) -> None:
        self._end(finish, SnapshotStatus.IN_PREVIEW)
        tell_of(finish, messages.PREVIEWED, finish.session.snapshots.get(self.snapshot_id))

    def failed(self, finish: Finish, reason: str) -> None:
        self._end(finish, SnapshotStatus.OK)
        snapshot = finish.session.snapshots.get(self.snapshot_id)
        tell_of(finish, messages.PREVIEW_FAILED, snapshot, reason=reason)

    def _end(self, finish: Finish, status: SnapshotStatus) -> None:
        session = finish.session
        snapshot = session.snapshots.get(self.snapshot_id)
        unlock(session, snapshot.vm_id, [each.disk_id for each in snapshot.disks])
        session.snapshots.update(replace(snapshot, status=status))

    def _on(self, doing: Doing) -> OnHost:
        return OnHost(doing=doing, snapshot_id=self.snapshot_id)

    def _look(self, doing: Doing) -> JsonValue:
        return [each.disk_id for each in self._on(doing).snapshot().disks]

    def _choose(self, doing: Doing, disk_ids: list[str]) -> JsonValue:
        return self._on(doing).choose(disk_ids)

    def _create(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        return self._on(doing).create_above(disk_id, host_id)

    def _take_back(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        self._on(doing).take_back(disk_id, host_id, job_of(doing.job_id, disk_id))
        return None

    def _switch(self, doing: Doing, sizes: dict[str, JsonValue]) -> JsonValue:
        with doing.services.store.change() as session:
            before_id = job_of(doing.job_id, "before")
            if session.snapshots.find(id=before_id) is not None:
                return None
            snapshot = session.snapshots.get(self.snapshot_id)
            disks = session.disks.by_ids(sizes)
            was = tuple(
                disk_then(disks[each.disk_id], interface=each.interface, bootable=each.bootable)
                for each in snapshot.disks
            )
            session.snapshots.add(
                Snapshot(
                    id=before_id,
                    description=BEFORE,
                    vm_id=snapshot.vm_id,
                    type=SnapshotType.PREVIEW,
                    date=datetime.now(UTC),
                    disks=was,
                )
            )
            volumes = {disk_id: job_of(doing.job_id, disk_id) for disk_id in sizes}
            write_disks(session, volumes, {disk_id: int(str(size)) for disk_id, size in sizes.items()})
        return None
