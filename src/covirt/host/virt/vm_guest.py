# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A Vm as its devices, its agent and its storage see it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import libvirt

from covirt.common.errors import Error
from covirt.host.virt.actions import Actions
from covirt.host.virt.kinds import Kind
from covirt.host.virt.libvirt_errors import translated
from covirt.host.virt.merge_record import Merge
from covirt.host.virt.records import Phase
from covirt.host.virt.storage_loss import ResumeBehavior
from covirt.host.virt.vm import Vm
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.statuses import ExitReason, PauseCode

_RESUME_BEHAVIOR: Final = "resumeBehavior"


@dataclass(frozen=True, slots=True)
class VmGuest:
    """guest.Guest and storage_loss.StoredGuest."""

    vm: Vm
    actions: Actions

    @property
    def vm_id(self) -> str:
        return self.vm.vm_id

    @property
    def is_container(self) -> bool:
        return self.vm.kind is Kind.CONTAINER

    @property
    def volumes(self) -> tuple[VolumeRef, ...]:
        return self.vm.record.volumes

    @property
    def resume_behavior(self) -> str:
        return self.vm.facts.values.get(_RESUME_BEHAVIOR, "") or ResumeBehavior.AUTO_RESUME

    def holds(self, volumes: tuple[VolumeRef, ...]) -> None:
        self.vm.holds(volumes)

    @property
    def merges(self) -> tuple[Merge, ...]:
        return self.vm.record.merges

    def merging(self, merges: tuple[Merge, ...]) -> None:
        self.vm.merging(merges)

    def domain(self) -> Any:
        """Raises VmIsDown, HypervisorUnavailable."""
        return self.vm.running_domain()

    def look_again(self) -> None:
        """After a change of its devices: statistics name them."""
        with translated("look at", self.vm.name):
            self.vm.look_at(self.domain())

    def is_paused(self) -> bool:
        return bool(self._state()[0] == libvirt.VIR_DOMAIN_PAUSED)

    def is_paused_by_error(self) -> bool:
        state, reason = self._state()
        return (state, reason) == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR)

    @property
    def lacks_space(self) -> bool:
        return self.vm.pause_code is PauseCode.NO_SPACE

    def paused_seconds(self) -> float:
        return self.vm.paused_seconds

    def pause_for_storage(self) -> None:
        with translated("pause", self.vm.name):
            self.domain().suspend()
        self.vm.set_paused(PauseCode.IO_ERROR)  # libvirt's event knows no reason, and takes none away

    def resume(self) -> None:
        self.actions.resume(self.vm)

    def kill_after_pause(self) -> None:
        self.vm.will_stop(ExitReason.DESTROYED_ON_PAUSE_TIMEOUT)
        try:
            with translated("destroy", self.vm.name):
                self.domain().destroy()
        except Error:
            self.vm.will_stop(None)
            raise

    def _state(self) -> tuple[int, int]:
        with translated("look at", self.vm.name):
            state, reason = self.domain().state(0)
        return int(state), int(reason)


def running_guests(vms: Iterable[Vm], actions: Actions) -> list[VmGuest]:
    return [VmGuest(vm, actions) for vm in vms if vm.record.phase is Phase.RUNNING]
