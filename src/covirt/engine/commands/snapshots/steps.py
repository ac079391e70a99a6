# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The steps that all operations on snapshots have in common, and their end."""

from abc import abstractmethod
from dataclasses import dataclass, replace

from covirt.engine.commands.command import Command, Doing, Flow, JsonValue
from covirt.engine.commands.snapshots.facts import OnHost, unlock
from covirt.engine.model.vm import Snapshot, SnapshotStatus
from covirt.engine.storage.host_jobs import job_of
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSteps(Command):
    """Of one snapshot."""

    @abstractmethod
    def _on(self, doing: Doing) -> OnHost: ...

    def _begun(self, flow: Flow) -> tuple[list[str], JsonValue]:
        """The ids of its disks, and of the host that manages the storage of all."""
        found = flow.step("Looking which disks it has", self._look)
        ids = [str(each) for each in found] if isinstance(found, list) else []
        return ids, flow.step("Choosing a host", self._choose, list(ids))

    def _look(self, doing: Doing) -> JsonValue:
        return [each.disk_id for each in self._on(doing).snapshot().disks]

    def _choose(self, doing: Doing, disk_ids: list[str]) -> JsonValue:
        return self._on(doing).choose(disk_ids)

    def _above(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        return self._on(doing).create_above(disk_id, host_id)

    def _take_back(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        self._on(doing).take_back(disk_id, host_id, job_of(doing.job_id, disk_id))
        return None

    def _delete(self, doing: Doing, host_id: str, disk_id: str, volume_id: str) -> JsonValue:
        self._on(doing).delete(disk_id, host_id, volume_id)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnSnapshot(SnapshotSteps):
    """Of one that is there."""

    snapshot_id: str

    def _on(self, doing: Doing) -> OnHost:
        return OnHost(doing=doing, snapshot_id=self.snapshot_id)

    def _release(self, session: Session, status: SnapshotStatus) -> Snapshot:
        """The machine, its disks and the snapshot are nobody's any more."""
        snapshot: Snapshot = session.snapshots.get(self.snapshot_id)
        unlock(session, snapshot.vm_id, [each.disk_id for each in snapshot.disks])
        session.snapshots.update(replace(snapshot, status=status))
        return snapshot
