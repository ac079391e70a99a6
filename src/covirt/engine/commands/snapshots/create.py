# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps what a machine's disks are now: from then on it writes to new volumes, which build on those."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from covirt.engine.commands.command import Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.snapshots import messages
from covirt.engine.commands.snapshots.errors import BadSnapshot, SnapshotRefused
from covirt.engine.commands.snapshots.facts import (
    OnHost,
    begin_on,
    disks_of_vm,
    lock_disks,
    require_rooms,
    tell_of,
    unlock,
    write_disks,
)
from covirt.engine.commands.snapshots.live import switch_on_host
from covirt.engine.commands.snapshots.steps import SnapshotSteps
from covirt.engine.commands.vms.common import is_running
from covirt.engine.model.disk import Disk
from covirt.engine.model.vm import Snapshot, SnapshotDisk, SnapshotStatus
from covirt.engine.storage.host_jobs import job_of

_LONGEST_DESCRIPTION: Final = 4000
_NO_MEMORY: Final = (
    "A snapshot keeps what the disks of a running machine are, and not its memory; set persist_memorystate to false."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSnapshot(SnapshotSteps):
    """The caller chooses its id. ``with_memory``: of a machine that runs, which is refused. ``disk_ids``: of those
    alone."""

    action: ClassVar = "CreateSnapshotForVm"

    snapshot: Snapshot
    with_memory: bool = False
    disk_ids: tuple[str, ...] | None = None

    def begin(self, start: Start) -> None:
        session, snapshot = start.session, self.snapshot
        if len(snapshot.description) > _LONGEST_DESCRIPTION:
            raise BadSnapshot(reason=f"Its description may have {_LONGEST_DESCRIPTION} characters.")
        vm = begin_on(start, snapshot.vm_id, "create", "created", live=True)
        if self.with_memory and is_running(vm):
            raise SnapshotRefused(action="create", reason=_NO_MEMORY)
        disks = self._chosen(disks_of_vm(session, vm.id))
        lock_disks(start, (disk for disk, _ in disks), "created", vm)
        require_rooms(session, (disk for disk, _ in disks), "create a snapshot of")
        session.snapshots.add(replace(snapshot, status=SnapshotStatus.LOCKED, disks=tuple(then for _, then in disks)))
        start.describe(
            f"Creating Snapshot {snapshot.description} of VM {vm.name}", {vm.id, *(disk.id for disk, _ in disks)}
        )
        tell_of(start, messages.CREATE_BEGUN, snapshot)

    def _chosen(self, disks: Sequence[tuple[Disk, SnapshotDisk]]) -> Sequence[tuple[Disk, SnapshotDisk]]:
        """Raises BadSnapshot."""
        if self.disk_ids is None:
            return disks
        strange = sorted(set(self.disk_ids) - {disk.id for disk, _ in disks})
        if strange:
            reason = f"Disk {strange[0]} is none of the VM's disks that hold data and are not shareable."
            raise BadSnapshot(reason=reason)
        return [(disk, then) for disk, then in disks if disk.id in self.disk_ids]

    def run(self, flow: Flow) -> JsonValue:
        ids, host_id = self._begun(flow)
        made: dict[str, JsonValue] = {}
        for disk_id in ids:
            made[disk_id] = flow.step("Creating a volume", self._create, host_id, disk_id, undo=self._take_back)
        flow.step("Having a machine that runs write to the new volumes", self._switch, dict(made))
        return made

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        made = finish.result if isinstance(finish.result, dict) else {}
        write_disks(session, {disk_id: str(above) for disk_id, above in made.items()}, {})
        unlock(session, self.snapshot.vm_id, made)
        kept = session.snapshots.get(self.snapshot.id)
        session.snapshots.update(replace(kept, status=SnapshotStatus.OK))
        tell_of(finish, messages.CREATED, self.snapshot)

    def failed(self, finish: Finish, reason: str) -> None:
        session = finish.session
        kept = session.snapshots.get(self.snapshot.id)
        unlock(session, self.snapshot.vm_id, [each.disk_id for each in kept.disks])
        tell_of(finish, messages.CREATE_FAILED, self.snapshot, reason=reason)
        session.snapshots.remove(kept.id)

    def _on(self, doing: Doing) -> OnHost:
        return OnHost(doing=doing, snapshot_id=self.snapshot.id)

    def _create(self, doing: Doing, host_id: str, disk_id: str) -> JsonValue:
        volume_id = job_of(doing.job_id, disk_id)
        chain = self._on(doing).chain(disk_id, host_id)
        chain.create(volume_id, parent_id=chain.disk.image_id)
        return volume_id

    def _switch(self, doing: Doing, made: dict[str, JsonValue]) -> JsonValue:
        switch_on_host(doing, self.snapshot.vm_id, {disk_id: str(above) for disk_id, above in made.items()})
        return None
