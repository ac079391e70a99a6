# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's events become changes of Vms: in their order, in a thread that may ask libvirt for more."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

import libvirt

from covirt.common.dialect import STOP_CAUSE_NAMESPACE
from covirt.host.virt.errors import HypervisorUnavailable
from covirt.host.virt.kinds import Kind
from covirt.host.virt.records import Exit, Phase
from covirt.host.virt.stop_causes import (
    ContainerStop,
    container_exit,
    container_stop,
    exit_asked_for,
    exit_for,
    exit_of_event,
    shutdown_reason,
)
from covirt.host.virt.vm import Vm
from covirt.hostapi.statuses import ExitCode, ExitReason, PauseCode, VmStatus

log = logging.getLogger(__name__)

EVENTS: Final = (
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
    libvirt.VIR_DOMAIN_EVENT_ID_REBOOT,
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
    libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
)
_OWN_REASONS: Final = (
    ExitReason.DESTROYED_ON_REBOOT, ExitReason.DESTROYED_ON_PAUSE_TIMEOUT, ExitReason.START_FAILED,
)  # fmt: skip
_PAUSE_CODES: Final = {"enospc": PauseCode.NO_SPACE, "eio": PauseCode.IO_ERROR, "": PauseCode.OTHER}
# An error's pause comes with an event of its own, which knows more; that of a save is a part of it.
_OTHERWISE_TOLD: Final = (libvirt.VIR_DOMAIN_PAUSED_IOERROR, libvirt.VIR_DOMAIN_PAUSED_SAVE)

Find = Callable[[str], Vm | None]


class DomainEvents:
    """One for each connection; ``find`` knows the Vms by their ids, ``on_reboot`` what a reboot is to lead to,
    ``on_end`` what an end is, and ``on_device_removed`` what becomes of what a device held."""

    def __init__(
        self,
        kind: Kind,
        find: Find,
        *,
        on_reboot: Callable[[Vm], object],
        on_end: Callable[[Vm, Exit], object],
        on_device_removed: Callable[[Vm], object] = lambda _vm: None,
    ) -> None:
        self._kind = kind
        self._find = find
        self._on_reboot = on_reboot
        self._on_end = on_end
        self._on_device_removed = on_device_removed
        self._queue: queue.SimpleQueue[tuple[Any, int, tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"vm-events-{kind.name.lower()}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join(5)

    def take(self, domain: Any, number: int, arguments: tuple[Any, ...]) -> None:
        """From libvirt's thread."""
        self._queue.put((domain, number, arguments))

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            domain, number, arguments = item
            vm = self._find(domain.UUIDString())
            if vm is None:
                continue
            try:
                self._apply(vm, domain, number, arguments)
            except (libvirt.libvirtError, HypervisorUnavailable) as error:
                log.warning("An event could not be followed vm=%s event=%d error=%s", vm.vm_id, number, error)
            except Exception:  # a thread top: the next event is another Vm's
                log.exception("An event was not understood vm=%s event=%d", vm.vm_id, number)

    def _apply(self, vm: Vm, domain: Any, number: int, arguments: tuple[Any, ...]) -> None:
        if number == libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE:
            self._lifecycle(vm, domain, arguments[0], arguments[1])
        elif number == libvirt.VIR_DOMAIN_EVENT_ID_REBOOT:
            vm.look_at(domain)  # a container's interfaces are new
            self._on_reboot(vm)
        elif number == libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED:
            self._on_device_removed(vm)
        elif number == libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE:
            if arguments[1] == STOP_CAUSE_NAMESPACE:
                self._restart_changed(vm, domain)
        elif number == libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON:
            _source, _alias, action, reason = arguments[:4]
            if action == libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE:
                vm.set_paused(_PAUSE_CODES.get(reason, PauseCode.OTHER))
        elif arguments[0] == libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED:
            vm.set_agent_seen()

    def _lifecycle(self, vm: Vm, domain: Any, event: int, detail: int) -> None:
        log.debug("Domain event vm=%s event=%d detail=%d", vm.vm_id, event, detail)
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
            self._stopped(vm, domain, detail)
        elif event == libvirt.VIR_DOMAIN_EVENT_CRASHED:
            vm.set_down(exit_for(ExitReason.GENERIC_ERROR))
        elif event == libvirt.VIR_DOMAIN_EVENT_SHUTDOWN:
            reason = shutdown_reason(detail)
            if reason is not None and vm.record.stopping is None:
                vm.will_stop(reason)
        elif event == libvirt.VIR_DOMAIN_EVENT_STARTED:
            if vm.list_status is VmStatus.REBOOT_IN_PROGRESS:  # a container that virtocid has started again
                vm.look_at(domain)
                vm.set_status(VmStatus.UP)
        elif event in (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_RESUMED):
            _follow_pause(vm, domain)

    def _stopped(self, vm: Vm, domain: Any, detail: int) -> None:
        if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED and vm.record.phase is Phase.STARTING:
            return  # whoever starts it is told why, and tells the engine
        stop = self._container_stop(vm, domain)
        if stop is None:
            self._on_end(vm, _exit(vm, detail))
        elif stop.restarts and vm.record.stopping is None and vm.record.phase is Phase.RUNNING:
            vm.set_status(VmStatus.REBOOT_IN_PROGRESS)
        else:
            self._on_end(vm, _container_exit(vm, stop))

    def _restart_changed(self, vm: Vm, domain: Any) -> None:
        """A container that waited for its next run may be one that stays off now: no other event tells of that."""
        if vm.record.phase is not Phase.RUNNING or domain.isActive():
            return
        stop = self._container_stop(vm, domain)
        if stop is None or stop.restarts:
            return
        if vm.list_status is VmStatus.POWERING_DOWN and stop.exit.code is ExitCode.ERROR:
            self._on_end(vm, exit_for(ExitReason.ADMIN_SHUTDOWN))  # the stop cause is its last run's
        else:
            self._on_end(vm, _container_exit(vm, stop))

    def _container_stop(self, vm: Vm, domain: Any) -> ContainerStop | None:
        if self._kind is not Kind.CONTAINER:
            return None
        try:
            return container_stop(domain)
        except libvirt.libvirtError as error:  # a destroyed Vm's domain may be gone by now
            log.debug("No cause of a stop vm=%s error=%s", vm.vm_id, error)
            return None


def _follow_pause(vm: Vm, domain: Any) -> None:
    """What is true now counts: between an event and its reading a user may have changed his mind."""
    if not vm.started.is_set() or any(merge.stands_still for merge in vm.record.merges):
        return  # a merge lets it go on in a moment
    state, reason = domain.state(0)
    if state == libvirt.VIR_DOMAIN_RUNNING:
        vm.set_resumed()
    elif state == libvirt.VIR_DOMAIN_PAUSED and reason not in _OTHERWISE_TOLD:
        vm.set_paused()


def _container_exit(vm: Vm, stop: ContainerStop) -> Exit:
    """virtocid knows who ended it, and only the agent that it did so for a reason of its own."""
    if vm.record.stopping in _OWN_REASONS:
        return exit_asked_for(vm.record.stopping)
    asked_for = vm.record.stopping is not None or vm.list_status is VmStatus.POWERING_DOWN
    return container_exit(stop, asked_for=asked_for)


def _exit(vm: Vm, detail: int) -> Exit:
    if vm.record.stopping is not None:
        return exit_asked_for(vm.record.stopping)
    if vm.list_status is VmStatus.POWERING_DOWN:
        return exit_for(ExitReason.USER_SHUTDOWN)
    return exit_of_event(detail)
