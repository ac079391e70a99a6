# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a machine's disks what they were at a snapshot, for a while: what they are now is kept beside that.

The disks get new volumes, which build on those of the snapshot. What they were before is a snapshot of its own, of
type preview, until the preview is committed or undone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final

from covirt.engine.commands.command import Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.snapshots import messages
from covirt.engine.commands.snapshots.facts import (
    begin_with,
    disk_then,
    require_rooms,
    require_whole,
    tell_of,
    write_disks,
)
from covirt.engine.commands.snapshots.steps import OnSnapshot
from covirt.engine.model.vm import Snapshot, SnapshotStatus, SnapshotType
from covirt.engine.storage.host_jobs import job_of

BEFORE: Final = "Active VM before the preview"  # as oVirt calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSnapshot(OnSnapshot):
    """Undone as a whole when it fails."""

    action: ClassVar = "TryBackToAllSnapshotsOfVm"

    def begin(self, start: Start) -> None:
        snapshot = begin_with(start, self.snapshot_id, "preview", "previewed")
        require_whole(snapshot, "preview")
        disks = start.session.disks.by_ids({each.disk_id for each in snapshot.disks})
        require_rooms(start.session, disks.values(), "preview a snapshot of")
        tell_of(start, messages.PREVIEW_BEGUN, snapshot)

    def run(self, flow: Flow) -> JsonValue:
        ids, host_id = self._begun(flow)
        sizes: dict[str, JsonValue] = {}
        for disk_id in ids:
            sizes[disk_id] = flow.step("Creating a volume", self._above, host_id, disk_id, undo=self._take_back)
        return flow.step("Writing down what the disks are", self._switch, sizes)

    def succeeded(self, finish: Finish) -> None:
        tell_of(finish, messages.PREVIEWED, self._release(finish.session, SnapshotStatus.IN_PREVIEW))

    def failed(self, finish: Finish, reason: str) -> None:
        snapshot = self._release(finish.session, SnapshotStatus.OK)
        tell_of(finish, messages.PREVIEW_FAILED, snapshot, reason=reason)

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
