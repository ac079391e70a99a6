# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a machine's disks what they were at a snapshot: they get new volumes, which build on those of then.

What was written since is gone with the snapshots that were made since: one line of volumes is what there is.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.snapshots import messages
from covirt.engine.commands.snapshots.facts import (
    OnHost,
    begin_with,
    forget_later,
    require_whole,
    tell_of,
    unlock,
    write_disks,
)
from covirt.engine.model.vm import SnapshotStatus
from covirt.engine.storage.host_jobs import job_of
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSnapshot(Command):
    action: ClassVar = "RestoreAllSnapshots"

    snapshot_id: str

    def begin(self, start: Start) -> None:
        require_whole(begin_with(start, self.snapshot_id, "restore", "restored"), "restore")

    def run(self, flow: Flow) -> JsonValue:
        disk_ids = flow.step("Looking which disks it has", self._look)
        ids = [str(each) for each in disk_ids] if isinstance(disk_ids, list) else []
        host_id = flow.step("Choosing a host", self._choose, list(ids))
        old: dict[str, JsonValue] = {}
        sizes: dict[str, JsonValue] = {}
        for disk_id in ids:
            old[disk_id] = flow.step("Looking at the volumes of a disk", self._find, host_id, disk_id)
            sizes[disk_id] = flow.step("Creating a volume", self._create, host_id, disk_id, undo=self._take_back)
        flow.step("Writing down what the disks are", self._switch, sizes, old)
        for disk_id, volume_ids in old.items():
            for volume_id in volume_ids if isinstance(volume_ids, list) else []:
                flow.step("Deleting a volume", self._delete, host_id, disk_id, volume_id)
        return None

    def succeeded(self, finish: Finish) -> None:
        self._end(finish.session)
        tell_of(finish, messages.RESTORED, finish.session.snapshots.get(self.snapshot_id))

    def failed(self, finish: Finish, reason: str) -> None:
        self._end(finish.session)
        snapshot = finish.session.snapshots.get(self.snapshot_id)
        tell_of(finish, messages.RESTORE_FAILED, snapshot, reason=reason)

    def _end(self, session: Session) -> None:
        snapshot = session.snapshots.get(self.snapshot_id)
        unlock(session, snapshot.vm_id, [each.disk_id for each in snapshot.disks])
        session.snapshots.update(replace(snapshot, status=SnapshotStatus.OK))

    def _on(self, doing: Doing) -> OnHost:
        return OnHost(doing=doing, snapshot_id=self.snapshot_id)

    def _look(self, doing: Doing) -> JsonValue:
        return [each.disk_id for each in self._on(doing).snapshot().disks]

    def _choose(self, doing: Doing, disk_ids: list[str]) -> JsonValue:
        return self._on(doing).choose(disk_ids)

    def _find(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        on = self._on(doing)
        return list(on.chain(disk_id, host_id).above(on.then(disk_id).image_id))

    def _create(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        return self._on(doing).create_above(disk_id, host_id)

    def _take_back(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        self._on(doing).take_back(disk_id, host_id, job_of(doing.job_id, disk_id))
        return None

    def _switch(self, doing: Doing, sizes: dict[str, JsonValue], old: dict[str, JsonValue]) -> JsonValue:
        """With the snapshots that were made since, whose volumes go."""
        gone = {str(each) for volumes in old.values() if isinstance(volumes, list) for each in volumes}
        volumes = {disk_id: job_of(doing.job_id, disk_id) for disk_id in sizes}
        with doing.services.store.change() as session:
            write_disks(session, volumes, {disk_id: int(str(size)) for disk_id, size in sizes.items()})
            forget_later(session, session.snapshots.get(self.snapshot_id).vm_id, gone)
        return None

    def _delete(self, doing: Doing, host_id: str, disk_id: str, volume_id: str) -> JsonValue:
        self._on(doing).delete(disk_id, host_id, volume_id)
        return None
