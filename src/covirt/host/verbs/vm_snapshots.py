# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of running machines, made at once or as a job, and merges, which go on after the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final
from uuid import uuid4

from covirt.host.storage.jobs import Jobs
from covirt.host.storage.operation import Control, Kind, Params, checked_id
from covirt.host.storage.storage_paths import checked_uuid
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.virt.device_errors import GuestCannot, NoSuchDisk
from covirt.host.virt.kinds import require_allowed
from covirt.host.virt.live_merges import LiveMerges
from covirt.host.virt.live_snapshots import LiveSnapshots, Step
from covirt.host.virt.merge_record import Merge
from covirt.host.virt.vm_guest import VmGuest
from covirt.host.virt.vms import Vms
from covirt.hostapi.json import JsonValue
from covirt.hostapi.vm_devices import MergeVolumesParams, SnapshotDrive, SnapshotParams

SNAPSHOT: Final = "snapshot_vm"
_SNAPSHOT: Final = "VM.snapshot"
_MERGE: Final = "VM.merge"


class SnapshotVerbs:
    def __init__(self, vms: Vms, snapshots: LiveSnapshots, merges: LiveMerges, jobs: Jobs) -> None:
        """Before the jobs start."""
        self._merges = merges
        self._vms = vms
        self._snapshots = snapshots
        self._jobs = jobs
        jobs.add_kinds([Kind(name=SNAPSHOT, run=self._run, again=True)])

    def handlers(self) -> Mapping[str, Handler]:
        return {_SNAPSHOT: self.snapshot, _MERGE: self.merge}

    def snapshot(self, params: SnapshotParams, _context: CallContext) -> JsonValue:
        guest = self._guest(params.vm_id, _SNAPSHOT)
        if params.memory:
            raise GuestCannot(reason="a snapshot keeps its disks and not its memory; leave snapMemory out")
        steps = [_step(drive) for drive in params.drives]
        if params.job_id:
            job_id = checked_id(params.job_id, "jobUUID")
            work: Params = {
                "vm_id": guest.vm_id, "frozen": params.frozen, "steps": [asdict(step) for step in steps],
            }  # fmt: skip
            self._jobs.submit(SNAPSHOT, work, job_id=job_id)
        else:
            self._make(guest, steps, frozen=params.frozen)
        return True

    def _run(self, params: Params, _control: Control) -> None:
        steps = [Step(**each) for each in params["steps"]]
        self._make(self._guest(params["vm_id"], _SNAPSHOT), steps, frozen=params["frozen"])

    def _make(self, guest: VmGuest, steps: Sequence[Step], *, frozen: bool) -> None:
        self._snapshots.create(guest, steps, frozen=frozen)
        guest.look_again()

    def merge(self, params: MergeVolumesParams, _context: CallContext) -> JsonValue:
        guest = self._guest(params.vm_id, _MERGE)
        domain_id = checked_uuid("domainID", params.drive.domain_id)
        image_id = checked_uuid("imageID", params.drive.image_id)
        held = [ref for ref in guest.volumes if (ref.domain_id, ref.image_id) == (domain_id, image_id)]
        if not held:
            raise NoSuchDisk(volume=f"{domain_id}/{image_id}")
        merge = Merge(
            job_id=checked_id(params.job_id or str(uuid4()), "jobUUID"),
            top=replace(held[0], volume_id=checked_uuid("topVolUUID", params.top_id)),
            base_id=checked_uuid("baseVolUUID", params.base_id),
        )
        self._merges.begin(guest, merge, bandwidth_mib=params.bandwidth)
        return True

    def _guest(self, vm_id: str, verb: str) -> VmGuest:
        vm = self._vms.get(vm_id)
        require_allowed(verb, vm.kind, name=vm.name)
        guest = VmGuest(vm, self._vms.actions)
        guest.domain()
        return guest


def _step(drive: SnapshotDrive) -> Step:
    return Step(
        domain_id=checked_uuid("domainID", drive.domain_id),
        image_id=checked_uuid("imageID", drive.image_id),
        base_id=checked_uuid("baseVolumeID", drive.base_id),
        volume_id=checked_uuid("volumeID", drive.volume_id),
    )
