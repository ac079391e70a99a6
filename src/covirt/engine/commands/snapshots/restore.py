# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a machine's disks what they were at a snapshot: they get new volumes, which build on those of then.

What was written since is gone with the snapshots that were made since: one line of volumes is what there is.
"""

from dataclasses import dataclass
from typing import ClassVar

from covirt.engine.commands.command import Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.snapshots import messages
from covirt.engine.commands.snapshots.facts import (
    begin_with,
    forget_later,
    require_whole,
    tell_of,
    write_disks,
)
from covirt.engine.commands.snapshots.steps import OnSnapshot
from covirt.engine.model.vm import SnapshotStatus
from covirt.engine.storage.host_jobs import job_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSnapshot(OnSnapshot):
    action: ClassVar = "RestoreAllSnapshots"

    def begin(self, start: Start) -> None:
        require_whole(begin_with(start, self.snapshot_id, "restore", "restored"), "restore")

    def run(self, flow: Flow) -> JsonValue:
        ids, host_id = self._begun(flow)
        old: dict[str, JsonValue] = {}
        sizes: dict[str, JsonValue] = {}
        for disk_id in ids:
            old[disk_id] = flow.step("Looking at the volumes of a disk", self._find, host_id, disk_id)
            sizes[disk_id] = flow.step("Creating a volume", self._above, host_id, disk_id, undo=self._take_back)
        flow.step("Writing down what the disks are", self._switch, sizes, old)
        for disk_id, volume_ids in old.items():
            for volume_id in volume_ids if isinstance(volume_ids, list) else []:
                flow.step("Deleting a volume", self._delete, host_id, disk_id, volume_id)
        return None

    def succeeded(self, finish: Finish) -> None:
        tell_of(finish, messages.RESTORED, self._release(finish.session, SnapshotStatus.OK))

    def failed(self, finish: Finish, reason: str) -> None:
        snapshot = self._release(finish.session, SnapshotStatus.OK)
        tell_of(finish, messages.RESTORE_FAILED, snapshot, reason=reason)

    def _find(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        on = self._on(doing)
        return list(on.chain(disk_id, host_id).above(on.then(disk_id).image_id))

    def _switch(self, doing: Doing, sizes: dict[str, JsonValue], old: dict[str, JsonValue]) -> JsonValue:
        """With the snapshots that were made since, whose volumes go."""
        gone = {str(each) for volumes in old.values() if isinstance(volumes, list) for each in volumes}
        volumes = {disk_id: job_of(doing.job_id, disk_id) for disk_id in sizes}
        with doing.services.store.change() as session:
            write_disks(session, volumes, {disk_id: int(str(size)) for disk_id, size in sizes.items()})
            forget_later(session, session.snapshots.get(self.snapshot_id).vm_id, gone)
        return None
