# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of running machines: answered when they are made, or made as a job where the engine gives its id."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from covirt.host.storage.jobs import Jobs
from covirt.host.storage.operation import Control, Kind, Params, checked_id
from covirt.host.storage.storage_paths import checked_uuid
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.virt.device_errors import GuestCannot
from covirt.host.virt.kinds import require_allowed
from covirt.host.virt.live_snapshots import LiveSnapshots, Step
from covirt.host.virt.vm_guest import VmGuest
from covirt.host.virt.vms import Vms
from covirt.hostapi.json import JsonValue
from covirt.hostapi.vm_devices import SnapshotDrive, SnapshotParams

SNAPSHOT: Final = "snapshot_vm"
_VERB: Final = "VM.snapshot"


class SnapshotVerbs:
    def __init__(self, vms: Vms, snapshots: LiveSnapshots, jobs: Jobs) -> None:
        """Before the jobs start."""
        self._vms = vms
        self._snapshots = snapshots
        self._jobs = jobs
        jobs.add_kinds([Kind(name=SNAPSHOT, run=self._run, again=True)])

    def handlers(self) -> Mapping[str, Handler]:
        return {_VERB: self.snapshot}

    def snapshot(self, params: SnapshotParams, _context: CallContext) -> JsonValue:
        guest = self._guest(params.vm_id)
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
        self._make(self._guest(params["vm_id"]), steps, frozen=params["frozen"])

    def _make(self, guest: VmGuest, steps: Sequence[Step], *, frozen: bool) -> None:
        self._snapshots.create(guest, steps, frozen=frozen)
        guest.look_again()

    def _guest(self, vm_id: str) -> VmGuest:
        vm = self._vms.get(vm_id)
        require_allowed(_VERB, vm.kind, name=vm.name)
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
