# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a user does to a Vm that exists: pause, continue, reset, shut down, destroy."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import libvirt

from covirt.common.errors import Error
from covirt.common.log import carrying_flow
from covirt.host.virt.errors import (
    DestroyFailed,
    HypervisorUnavailable,
    NotGivenBack,
    NothingToAsk,
    ResetFailed,
    VmIsDown,
)
from covirt.host.virt.libvirt_errors import is_gone, translated
from covirt.host.virt.parts import VmParts
from covirt.host.virt.records import Phase
from covirt.host.virt.starting import give_back
from covirt.host.virt.stop_causes import exit_for
from covirt.host.virt.vm import Vm
from covirt.hostapi.statuses import ExitReason, VmStatus

log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 20.0  # how long a caller waits for a destroy; longer than a silent libvirt is waited for
_NUDGE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.2
_STOPPED_SECONDS: Final = 5.0  # for the event that follows a successful destroy
_RETRY_FORCED: Final = (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_SYSTEM_ERROR)


_Way = Callable[[Any], object]  # takes the virDomain


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A guest that is to end, or to begin anew."""

    vm: Vm
    ways: list[_Way]
    timeout_seconds: float
    force: bool
    reboot: bool
    waits: bool  # a container between two runs


@dataclass(slots=True)
class _Destroy:
    """One that is under way; ``error``: why it came to nothing."""

    done: threading.Event = field(default_factory=threading.Event)
    error: Error | None = None


class Actions:
    """On behalf of verbs; each call may wait for libvirt."""

    def __init__(
        self,
        parts: VmParts,
        *,
        forgotten: Callable[[Vm], object] = lambda _vm: None,
        decided: Callable[[Vm], object] = lambda _vm: None,
    ) -> None:
        """``forgotten``: told of a Vm that was destroyed, before who asked for it is. ``decided``: of one that is
        paused or goes on because somebody wants it so."""
        self._parts = parts
        self._forgotten = forgotten
        self._decided = decided
        self._destroys: dict[Vm, _Destroy] = {}
        self._lock = threading.Lock()
        self._shutdowns: dict[str, threading.Thread] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Leave shutdowns that are under way to their guests."""
        self._stopping.set()
        with self._lock:
            threads, destroys = list(self._shutdowns.values()), list(self._destroys.values())
        for thread in threads:
            thread.join()
        for work in destroys:
            work.done.wait(_STOPPED_SECONDS)

    def pause(self, vm: Vm) -> None:
        """One that is paused is fine. Raises VmIsDown, LibvirtFailed, HypervisorUnavailable."""
        domain = vm.running_domain()
        with translated("pause", vm.name):
            if domain.state(0)[0] != libvirt.VIR_DOMAIN_PAUSED:
                domain.suspend()
        vm.set_paused()
        self._decided(vm)

    def resume(self, vm: Vm) -> None:
        """One that is not paused is fine."""
        domain = vm.running_domain()
        with translated("continue", vm.name):
            if domain.state(0)[0] == libvirt.VIR_DOMAIN_PAUSED:
                domain.resume()
        vm.set_resumed()
        self._decided(vm)

    def reset(self, vm: Vm) -> None:
        """Raises ResetFailed for whatever libvirt says."""
        with translated("reset", vm.name, failure=ResetFailed):
            vm.running_domain().reset(0)

    def destroy(self, vm: Vm, *, graceful_attempts: int = 1) -> None:
        """Stop it, whatever it does, give back what it held, and forget it. Fine when it is down.

        What takes long, as a start that hangs, goes on when this has given up; another call waits for the same end.
        Raises DestroyFailed, HypervisorUnavailable, NotGivenBack; then it is as it was, or still on its way.
        """
        if vm.record.owns_domain:
            self._parts.hypervisors[vm.kind].get()  # nothing is begun that cannot be finished
        work = self._begin_destroy(vm, graceful_attempts)
        if not work.done.wait(_ANSWER_SECONDS):
            reason = "its start hangs" if not vm.started.is_set() else "libvirt is not done with it"
            raise DestroyFailed(action="destroy", name=vm.name, reason=f"{reason}; it is gone as soon as that ends")
        if work.error is not None:
            raise work.error

    def finish_destroy(self, vm: Vm) -> None:
        """Try again to give back what one holds that was destroyed, and do not wait for it."""
        if vm.record.destroyed and not self._stopping.is_set():
            self._begin_destroy(vm, 0)

    def _begin_destroy(self, vm: Vm, graceful_attempts: int) -> "_Destroy":
        """Or the one that is under way."""
        vm.cancel()
        with self._lock:
            work = self._destroys.get(vm)
            if work is None:
                work = self._destroys[vm] = _Destroy()
                threading.Thread(
                    target=carrying_flow(self._destroy_whole),
                    args=(vm, graceful_attempts, work),
                    name=f"vm-destroy-{vm.vm_id[:8]}",
                    daemon=True,  # it may hang in a libvirt; what is left then is finished by the next agent
                ).start()
        return work

    def shut_down(self, vm: Vm, *, timeout_seconds: float, force: bool, reboot: bool) -> None:
        """Ask its guest to end, or to begin anew, and return; ``force`` ends it when it has not after all tries.

        Raises VmIsDown, NothingToAsk.
        """
        vm.running_domain()
        ways = self._ways(vm, reboot=reboot)
        if not ways and not force:
            raise NothingToAsk(name=vm.name)
        with self._lock:
            if vm.vm_id in self._shutdowns:
                return
            request = _Request(
                vm=vm,
                ways=ways,
                timeout_seconds=timeout_seconds,
                force=force,
                reboot=reboot,
                waits=vm.list_status is VmStatus.REBOOT_IN_PROGRESS,
            )
            thread = threading.Thread(
                target=carrying_flow(self._ask), args=(request,), name=f"vm-shutdown-{vm.vm_id[:8]}"
            )
            self._shutdowns[vm.vm_id] = thread
        vm.set_status(VmStatus.REBOOT_IN_PROGRESS if reboot else VmStatus.POWERING_DOWN)
        thread.start()

    # Inside.

    def _destroy_whole(self, vm: Vm, graceful_attempts: int, work: _Destroy) -> None:
        try:
            while not vm.started.wait(_LOOK_SECONDS):
                if self._stopping.is_set():
                    raise DestroyFailed(action="destroy", name=vm.name, reason="covirt-host stops")
                if vm.record.owns_domain and not vm.started.wait(_NUDGE_SECONDS):
                    _tried(vm, lambda domain: domain.destroy())  # a start that hangs in its guest ends by that
            self._end(vm, graceful_attempts)
            self._give_back(vm)
            vm.forget()
            self._forgotten(vm)
        except Error as error:
            log.warning("A Vm could not be destroyed vm=%s reason=%s", vm.vm_id, error)
            work.error = error
        except Exception as error:  # a thread top: who waits must not think that it is gone
            log.exception("Destroying a Vm failed vm=%s", vm.vm_id)
            work.error = DestroyFailed(action="destroy", name=vm.name, reason=repr(error))
        finally:
            with self._lock:
                self._destroys.pop(vm, None)
            work.done.set()

    def _give_back(self, vm: Vm) -> None:
        try:
            give_back(vm, self._parts)
        except NotGivenBack:
            vm.was_destroyed()
            raise

    def _end(self, vm: Vm, graceful_attempts: int) -> None:
        if vm.record.phase is Phase.DOWN:
            return
        vm.will_stop(ExitReason.ADMIN_SHUTDOWN)
        try:
            self._destroy(vm, graceful_attempts)
        except (DestroyFailed, HypervisorUnavailable):
            vm.will_stop(None)
            raise
        # libvirt tells of it too, and with a container comes its true cause; but who asked shall not wait long.
        if vm.list_status is not VmStatus.REBOOT_IN_PROGRESS:  # a container between two runs: nothing stops
            vm.stopped.wait(_STOPPED_SECONDS)
        vm.set_down(exit_for(ExitReason.ADMIN_SHUTDOWN))

    @staticmethod
    def _destroy(vm: Vm, graceful_attempts: int) -> None:
        if vm.is_container:
            graceful_attempts = 0  # a graceful end spares QEMU's caches; a container's are the kernel's
        for attempt in range(graceful_attempts + 1):
            graceful = attempt < graceful_attempts
            try:
                with translated("destroy", vm.name, failure=DestroyFailed):
                    vm.domain().destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL if graceful else 0)
            except VmIsDown:
                return
            except DestroyFailed as failed:
                cause = failed.__cause__
                if isinstance(cause, libvirt.libvirtError) and is_gone(cause):
                    return
                if not graceful or not _may_be_forced(cause):
                    raise
            else:
                return

    @staticmethod
    def _ways(vm: Vm, *, reboot: bool) -> list[_Way]:
        if vm.is_container:
            return [lambda domain: domain.reboot(0) if reboot else domain.shutdownFlags(0)]
        agent, button = libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT, libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
        flags = [agent, button] if vm.has_acpi else [agent]
        # The numbers of virDomainRebootFlagValues are the same.
        return [
            lambda domain, flag=flag: domain.reboot(flag) if reboot else domain.shutdownFlags(flag)  # type: ignore[misc]
            for flag in flags
        ]

    def _ask(self, request: "_Request") -> None:
        """In a thread: one way after the other, until one has worked."""
        vm = request.vm
        try:
            for way in request.ways:
                if self._stopping.is_set() or vm.stopped.is_set():
                    return
                if _tried(vm, way) and self._has_ended(request):
                    return
            if request.force and not self._stopping.is_set():
                log.info("A guest did not end and is ended vm=%s", vm.vm_id)
                self._destroy(vm, 0)
                vm.stopped.wait(_STOPPED_SECONDS)  # libvirt tells of it: it must not look up again until then
        except (DestroyFailed, HypervisorUnavailable) as error:
            log.warning("A guest could not be ended vm=%s reason=%s", vm.vm_id, error)
        finally:
            with self._lock:
                self._shutdowns.pop(vm.vm_id, None)
            if not self._stopping.is_set():
                still_waits = request.waits and not _is_active(vm)
                vm.set_status(VmStatus.REBOOT_IN_PROGRESS if still_waits else VmStatus.UP, unless=(VmStatus.PAUSED,))

    def _has_ended(self, request: "_Request") -> bool:
        if request.reboot:
            return True  # that it was asked is all there is to know
        until = time.monotonic() + request.timeout_seconds
        while time.monotonic() < until:
            if request.vm.stopped.wait(_LOOK_SECONDS) or self._stopping.is_set():
                return True
        return False


def _tried(vm: Vm, way: _Way) -> bool:
    try:
        way(vm.domain())
    except (libvirt.libvirtError, HypervisorUnavailable) as error:
        log.debug("A way to ask a guest does not work vm=%s error=%s", vm.vm_id, error)
        return False
    return True


def _is_active(vm: Vm) -> bool:
    try:
        return bool(vm.domain().isActive())
    except (libvirt.libvirtError, HypervisorUnavailable):
        return False


def _may_be_forced(cause: BaseException | None) -> bool:
    return isinstance(cause, libvirt.libvirtError) and cause.get_error_code() in _RETRY_FORCED
