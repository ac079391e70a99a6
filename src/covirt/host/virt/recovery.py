# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What was there before: each Vm on record is compared with what libvirt says now.

Runs whenever a connection opens, so after a restart of the agent as after one of libvirt. It stops nothing but starts
that were never finished.
"""

import contextlib
import logging
from typing import Any, Final

import libvirt

from covirt.common.root import boot_id
from covirt.host.virt.errors import NotGivenBack
from covirt.host.virt.libvirt_errors import is_gone, is_missing
from covirt.host.virt.parts import VmParts
from covirt.host.virt.records import Exit, Phase
from covirt.host.virt.starting import end_vm, give_back
from covirt.host.virt.stop_causes import container_exit, container_stop, exit_asked_for, exit_for, exit_of_state
from covirt.host.virt.vm import Vm
from covirt.hostapi.statuses import ExitReason, PauseCode, VmStatus

log = logging.getLogger(__name__)

_RUNNING_STATES: Final = (
    libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED, libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_SHUTDOWN,
    libvirt.VIR_DOMAIN_PMSUSPENDED,
)  # fmt: skip


def recover_vm(vm: Vm, connection: Any, parts: VmParts, *, left_over: bool) -> None:
    """``left_over``: nobody starts it any more. Raises libvirtError, HypervisorUnavailable when libvirt is away."""
    vm.set_responsive(True)
    if vm.record.phase is Phase.DOWN or (vm.record.phase is Phase.STARTING and not left_over):
        return
    domain = _domain(vm, connection)
    if vm.record.phase is Phase.STARTING:
        _undo_start(vm, domain, parts)
    elif domain is None:
        end_vm(vm, parts, _remembered(vm) or exit_for(ExitReason.DOMAIN_MISSING))
    else:
        _follow(vm, domain, parts)


def _domain(vm: Vm, connection: Any) -> Any | None:
    try:
        return connection.lookupByUUIDString(vm.vm_id)
    except libvirt.libvirtError as error:
        if not is_missing(error):
            raise
        return None


def _follow(vm: Vm, domain: Any, parts: VmParts) -> None:
    state, reason = domain.state(0)
    if state in _RUNNING_STATES:
        _goes_on(vm, domain, state, reason)
        return
    stop = container_stop(domain) if vm.is_container else None
    if stop is not None and stop.restarts:
        vm.set_running(paused=False, first=False)
        vm.set_status(VmStatus.REBOOT_IN_PROGRESS)
    elif stop is not None:
        end_vm(vm, parts, container_exit(stop, asked_for=vm.record.stopping is not None))
    else:
        end_vm(vm, parts, _remembered(vm) or exit_of_state(reason))


def _goes_on(vm: Vm, domain: Any, state: int, reason: int) -> None:
    log.info("Vm goes on vm=%s name=%s", vm.vm_id, vm.name)
    vm.look_at(domain)
    saved = state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_SAVE
    paused = state == libvirt.VIR_DOMAIN_PAUSED and not saved
    vm.set_running(paused=paused, first=False)
    if saved:  # libvirt goes on with it
        vm.set_status(VmStatus.SAVING_STATE)
    if paused and reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR:
        vm.set_paused(PauseCode.IO_ERROR)


def _undo_start(vm: Vm, domain: Any | None, parts: VmParts) -> None:
    """Nobody knows how far it was, and the engine was not told that it runs."""
    log.warning("A start was never finished and is undone vm=%s", vm.vm_id)
    if domain is not None and vm.record.owns_domain:
        vm.will_stop(ExitReason.START_FAILED)  # the event of its end may be quicker than we are
        try:
            domain.destroy()
        except libvirt.libvirtError as error:
            if not is_gone(error):
                raise
    with contextlib.suppress(NotGivenBack):  # which is on record: who destroys it tries again
        give_back(vm, parts)
    vm.set_down(exit_asked_for(ExitReason.START_FAILED))


def _remembered(vm: Vm) -> Exit | None:
    """What only the agent knows: that a stop was asked for, or that it ran before the host was booted anew."""
    if vm.record.stopping is not None:
        return exit_asked_for(vm.record.stopping)
    return exit_for(ExitReason.HOST_SHUTDOWN) if vm.record.boot != boot_id() else None


def unreachable(vm: Vm) -> None:
    """Its libvirt is away; it may go on all the same."""
    if vm.record.phase is not Phase.DOWN:
        vm.set_responsive(False)
