# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Forgets a snapshot: what was written since then is written into its volumes, which take the place of the next ones.

The disks are whole at any time, and hold the same; the snapshot is not, once that has begun. One whose removal has
failed can be removed again.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.engine.commands.command import Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.snapshots import messages
from covirt.engine.commands.snapshots.errors import MergeFailed
from covirt.engine.commands.snapshots.facts import begin_with, tell_of, unlock
from covirt.engine.commands.snapshots.live import merge_on_host
from covirt.engine.commands.snapshots.steps import OnSnapshot
from covirt.engine.commands.storage.facts import jobs_of
from covirt.engine.model.disk import DiskFormat
from covirt.engine.model.vm import DiskThen, SnapshotDisk, SnapshotStatus
from covirt.engine.storage.host_chains import VolumeFacts
from covirt.engine.storage.host_jobs import job_of
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSnapshot(OnSnapshot):
    action: ClassVar = "RemoveSnapshot"

    def begin(self, start: Start) -> None:
        tell_of(start, messages.REMOVE_BEGUN, begin_with(start, self.snapshot_id, "remove", "removed", live=True))

    def run(self, flow: Flow) -> JsonValue:
        ids, host_id = self._begun(flow)
        for disk_id in ids:
            top_id = flow.step("Looking at the volumes of a disk", self._find, host_id, disk_id)
            flow.step("Merging", self._merge, host_id, disk_id, top_id)
            flow.step("Writing down what is merged", self._write, host_id, disk_id, top_id)
            flow.step("Deleting the upper volume", self._delete, host_id, disk_id, top_id)
        return None

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        snapshot = session.snapshots.get(self.snapshot_id)
        tell_of(finish, messages.REMOVED, snapshot)
        unlock(session, snapshot.vm_id, [each.disk_id for each in snapshot.disks])
        session.snapshots.remove(snapshot.id)

    def failed(self, finish: Finish, reason: str) -> None:
        snapshot = self._release(finish.session, SnapshotStatus.OK)
        tell_of(finish, messages.REMOVE_FAILED, snapshot, reason=reason)

    def _look(self, doing: Doing) -> JsonValue:
        return [each.disk_id for each in self._on(doing).snapshot().disks if each.then is not DiskThen.MERGED]

    def _find(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        """An earlier removal that has failed may have taken it out of the chain."""
        on = self._on(doing)
        then = on.then(disk_id)
        return then.merging_id or on.chain(disk_id, host_id).above(then.image_id)[-1]

    def _merge(self, doing: Doing, host_id: str, disk_id: str, top_id: str) -> JsonValue:
        """The upper volume is illegal, and nobody's, after that; one that is so already was merged before."""
        on = self._on(doing)
        chain, then = on.chain(disk_id, host_id), on.then(disk_id)
        top = chain.facts(top_id)
        if top.legal:
            on.require_space(chain.disk, merge_bytes(top, chain.facts(then.image_id)))
        with doing.services.store.change() as session:
            _note(session, self.snapshot_id, replace(then, then=DiskThen.MERGING, merging_id=top_id))
        vm_id = on.snapshot().vm_id
        if merge_on_host(doing, vm_id, chain.disk, top_id=top_id, base_id=then.image_id):
            if chain.facts(top_id).legal:
                raise MergeFailed(disk=chain.disk.name)
            return None
        if chain.facts(top_id).legal:
            chain.enlarge(top_id, then.image_id)
            chain.merge(jobs_of(doing, host_id), job_of(doing.job_id, disk_id), top_id, then.image_id)
        chain.skip(top_id, then.image_id)
        return None

    def _write(self, doing: Doing, host_id: str, disk_id: str, top_id: str) -> JsonValue:
        """Who had the upper volume has the lower one; this snapshot has nothing of the disk any more."""
        on = self._on(doing)
        then = on.then(disk_id)
        base_id = then.image_id
        below = on.chain(disk_id, host_id).facts(base_id)
        with doing.services.store.change() as session:
            disk = session.disks.get(disk_id)
            if disk.image_id == top_id:
                version = "" if below.format is DiskFormat.RAW else disk.qcow_version
                session.disks.update(
                    replace(disk, image_id=base_id, format=below.format, sparse=below.sparse, qcow_version=version)
                )
            vm_id = session.snapshots.get(self.snapshot_id).vm_id
            for other in session.snapshots.list(ListQuery(where={"vm_id": vm_id})):
                for each in other.disks:
                    if each.image_id == top_id:
                        _note(session, other.id, replace(each, image_id=base_id, format=below.format))
            _note(session, self.snapshot_id, replace(then, then=DiskThen.MERGED, merging_id=""))
        return None


def merge_bytes(top: VolumeFacts, base: VolumeFacts) -> int:
    """That the lower volume takes more on storage, at most, until the upper one is deleted."""
    return max(0, min(top.actual_bytes, top.capacity_bytes - base.actual_bytes))


def _note(session: Session, snapshot_id: str, then: SnapshotDisk) -> None:
    """Instead of what the snapshot told of the disk before."""
    snapshot = session.snapshots.get(snapshot_id)
    disks = tuple(then if each.disk_id == then.disk_id else each for each in snapshot.disks)
    session.snapshots.update(replace(snapshot, disks=disks))
