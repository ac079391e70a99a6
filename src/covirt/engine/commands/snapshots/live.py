# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of machines that run: their hosts let them go on in the new volumes."""

import logging
from collections.abc import Mapping
from typing import Final

from covirt.common.errors import Unavailable
from covirt.engine.commands.command import Doing
from covirt.engine.commands.vms.common import is_running
from covirt.engine.commands.vms.errors import VmInStatus
from covirt.engine.hosts.errors import HostRefused, HostRemoved
from covirt.engine.model.vm import Vm, VmStatus
from covirt.engine.store.query import ListQuery
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 2.0
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
    were at its end. Who cannot tell whether it was done is asked until it can: nobody may take the new volumes away
    from a machine that writes to them. Raises HostRefused, when nothing has changed.
    """
    while (found := _on_host(doing, vm_id, above)) is not None:
        host_id, drives = found
        if not drives:
            return
        params: dict[str, Json] = {"vmID": vm_id, "snapDrives": drives}
        hosts = doing.services.hosts
        try:
            hosts.call(
                host_id,
                "VM.snapshot",
                params,
                flow_id=doing.asked.correlation_id,
                timeout_seconds=_LONGEST_SECONDS,
            )
        except HostRemoved:
            return
        except HostRefused as error:
            if error.code in _ENDED:
                return
            if error.code not in _LATER:
                raise
            log.warning("A snapshot waits for a host vm=%s reason=%s", vm_id, error)
        except Unavailable as error:
            log.warning("A snapshot waits for a host vm=%s reason=%s", vm_id, error)
        else:
            return
        doing.pause(_PAUSE_SECONDS)


def _on_host(doing: Doing, vm_id: str, above: Mapping[str, str]) -> tuple[str, list[Json]] | None:
    """Where it runs, and its plugged disks there, in VM.snapshot's words."""
    with doing.services.store.read() as session:
        vm = session.vms.get(vm_id)
        if vm.facts.host_id is None:
            return None
        plugged = [
            each.disk_id for each in session.disk_attachments.list(ListQuery(where={"vm_id": vm_id})) if each.active
        ]
        disks = session.disks.by_ids({disk_id for disk_id in plugged if disk_id in above})
    drives: list[Json] = [
        {
            "domainID": disk.storage_domain_id,
            "imageID": disk.id,
            "baseVolumeID": disk.image_id,
            "volumeID": above[disk.id],
        }
        for disk in disks.values()
    ]
    return vm.facts.host_id, drives
