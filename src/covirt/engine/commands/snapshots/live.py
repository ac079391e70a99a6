# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of machines that run: their hosts let them go on in new volumes, and merge volumes."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from covirt.common.errors import Unavailable
from covirt.engine.commands.command import Doing
from covirt.engine.commands.vms.common import is_running, stats_on
from covirt.engine.commands.vms.errors import VmInStatus
from covirt.engine.hosts.errors import HostRefused, HostRemoved
from covirt.engine.hosts.words import tables, text, whole
from covirt.engine.model.disk import Disk
from covirt.engine.model.vm import Vm, VmStatus
from covirt.engine.storage.host_jobs import job_of
from covirt.engine.store.query import ListQuery
from covirt.hostapi.errors import Code
from covirt.hostapi.statuses import VmStatus as HostWord
from covirt.rpc.jsonrpc import Json

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.5
_FORGET_LOOKS: Final = 20
_LONGEST_SECONDS: Final = 600.0  # a guest's agent may take long to let it stand still
_GOES_ON: Final = (VmStatus.UP, VmStatus.PAUSED, VmStatus.POWERING_UP)
_ENDED: Final = (Code.NO_SUCH_VM, Code.VM_IS_DOWN)
_LATER: Final = (Code.RESOURCE_UNAVAILABLE, Code.RECOVERING)


def require_settled(vm: Vm, action: str) -> None:
    """It neither starts nor ends nor is lost. Raises VmInStatus."""
    if is_running(vm) and vm.facts.status not in _GOES_ON:
        raise VmInStatus(action=action, status=vm.facts.status)


def switch_on_host(doing: Doing, vm_id: str, above: Mapping[str, str]) -> None:
    """Let a machine that runs go on in the new volumes of its disks.

    One that does not run any more needs nothing: new volumes are empty, so that with them its disks are what they
    were at its end. Nobody may take the new volumes away from a machine that writes to them, so who cannot tell
    whether it was done is asked until it can. Raises HostRefused, when nothing has changed.
    """

    def switch(host_id: str, disks: Sequence[Disk]) -> bool:
        drives: list[Json] = [
            {
                "domainID": disk.storage_domain_id,
                "imageID": disk.id,
                "baseVolumeID": disk.image_id,
                "volumeID": above[disk.id],
            }
            for disk in disks
        ]
        params: dict[str, Json] = {"vmID": vm_id, "snapDrives": drives}
        doing.services.hosts.call(
            host_id,
            "VM.snapshot",
            params,
            flow_id=doing.asked.correlation_id,
            timeout_seconds=_LONGEST_SECONDS,
        )
        return True

    _until_known(doing, vm_id, above, switch)


def merge_on_host(doing: Doing, vm_id: str, disk: Disk, *, top_id: str, base_id: str) -> bool:
    """Have a machine that runs with the disk merge two of its volumes, and wait until its host is at no merge of the
    disk; the volumes tell whether it went well. False when it does not run with it (any more). Raises HostRefused."""

    def merge(host_id: str, _disks: Sequence[Disk]) -> bool:
        drive: dict[str, Json] = {
            "domainID": disk.storage_domain_id,
            "imageID": disk.id,
            "volumeID": disk.image_id,
        }
        params: dict[str, Json] = {
            "vmID": vm_id,
            "drive": drive,
            "topVolUUID": top_id,
            "baseVolUUID": base_id,
            "jobUUID": job_of(doing.job_id, f"merge of {top_id}"),
        }
        doing.services.hosts.call(host_id, "VM.merge", params, flow_id=doing.asked.correlation_id)
        while (stats := stats_on(doing, host_id, vm_id)) is not None and stats.get("status") != HostWord.DOWN:
            jobs = [job for job in tables(stats, "vmJobs").values() if text(job, "imgUUID") == disk.id]
            if not jobs:
                return True
            doing.progress(100 * whole(jobs[0], "cur") // max(1, whole(jobs[0], "end")))
            doing.pause(_LOOK_SECONDS)
        for _ in range(_FORGET_LOOKS):  # one that is being destroyed has its volumes until it is gone
            if stats_on(doing, host_id, vm_id) is None:
                break
            doing.pause(_LOOK_SECONDS)
        return False

    return _until_known(doing, vm_id, {disk.id}, merge)


def _until_known(
    doing: Doing, vm_id: str, disk_ids: Collection[str], ask: Callable[[str, Sequence[Disk]], bool]
) -> bool:
    """What the machine's host says to it, of those of the disks that it runs with; False where there is none."""
    while (found := _on_host(doing, vm_id, disk_ids)) is not None:
        host_id, disks = found
        if not disks:
            return False
        try:
            return ask(host_id, disks)
        except HostRemoved:
            return False
        except HostRefused as error:
            if error.code in _ENDED:
                return False
            if error.code not in _LATER:
                raise
            log.warning("A snapshot waits for a host vm=%s reason=%s", vm_id, error)
        except Unavailable as error:
            log.warning("A snapshot waits for a host vm=%s reason=%s", vm_id, error)
        doing.pause(_PAUSE_SECONDS)
    return False


def _on_host(doing: Doing, vm_id: str, disk_ids: Collection[str]) -> tuple[str, Sequence[Disk]] | None:
    """Where it runs, and those of the disks that are plugged."""
    with doing.services.store.read() as session:
        vm = session.vms.get(vm_id)
        if vm.facts.host_id is None:
            return None
        attached = session.disk_attachments.list(ListQuery(where={"vm_id": vm_id}))
        plugged = {each.disk_id for each in attached if each.active and each.disk_id in disk_ids}
        return vm.facts.host_id, list(session.disks.by_ids(plugged).values())
