# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Stopping, shutting down, rebooting, resetting, resuming: one call of a machine's host each."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.vms import messages
from covirt.engine.commands.vms.common import (
    about,
    held,
    host_name,
    require_running,
    stats_on,
    subject_of,
    write_down,
)
from covirt.engine.commands.vms.kept_state import remove_state
from covirt.engine.commands.vms.run import destroy_on_host
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.hosts.guests import leaves_log
from covirt.engine.hosts.words import text
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.vm import Vm, VmStatus
from covirt.hostapi.errors import Code
from covirt.hostapi.statuses import VmStatus as HostWord
from covirt.rpc.jsonrpc import Json

_WARNING_SECONDS: Final = 0  # of a guest's users
_EACH_WAY_SECONDS: Final = 120
_CONTAINER_SECONDS: Final = 10
_END_LOOKS: Final = 40
_LOOK_SECONDS: Final = 0.25
_BEGINNING: Final = frozenset({VmStatus.WAIT_FOR_LAUNCH, VmStatus.UNKNOWN})  # it may not run yet


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnHost(Command):
    """``reason``: what the user gives for it."""

    right: ClassVar[Right]
    word: ClassVar[str]  # as in "Cannot stop VM."
    doing: ClassVar[str]  # as in "VM web is being stopped"
    title: ClassVar[str]  # of the step
    done: ClassVar[AuditMessage]
    not_done: ClassVar[AuditMessage]

    vm_id: str
    reason: str = ""

    def begin(self, start: Start) -> None:
        start.require(self.right, subject_of(self.vm_id))
        vm = start.session.vms.get(self.vm_id)
        start.lock(vm.id, f"VM {vm.name} is being {self.doing}")
        require_running(vm, self.word)
        start.describe(f"{self.title} VM {vm.name}", subjects={vm.id})

    def run(self, flow: Flow) -> JsonValue:
        return flow.step(f"{self.title} it on its host", self._on_host)

    def succeeded(self, finish: Finish) -> None:
        self._tell(finish, self.done)

    def failed(self, finish: Finish, reason: str) -> None:
        del reason
        self._tell(finish, self.not_done)

    def _on_host(self, doing: Doing) -> JsonValue:
        """The host's id, or None when it is on none any more."""
        with doing.services.store.read() as session:
            vm = session.vms.get(self.vm_id)
        if vm.facts.host_id is not None:
            self._ask(doing, vm, vm.facts.host_id)
        return vm.facts.host_id

    @abstractmethod
    def _ask(self, doing: Doing, vm: Vm, host_id: str) -> None: ...

    def _tell(self, finish: Finish, message: AuditMessage) -> None:
        vm = finish.session.vms.find(id=self.vm_id)
        if vm is None:
            return
        host_id = str(finish.result) if finish.result else vm.facts.host_id
        reason = f". Reason: {self.reason}" if self.reason else ""
        where = host_name(finish.session, host_id)
        finish.tell(message, about(vm, host_id=host_id), vm=vm.name, host=where, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopVm(_OnHost):
    """At once; when it has ended, it is down."""

    action: ClassVar = "StopVm"
    right: ClassVar = Right.STOP_VM
    word: ClassVar = "stop"
    doing: ClassVar = "stopped"
    title: ClassVar = "Stopping"
    done: ClassVar = messages.STOPPED
    not_done: ClassVar = messages.STOP_FAILED

    def begin(self, start: Start) -> None:
        vm = start.session.vms.get(self.vm_id)
        if vm.facts.status is not VmStatus.SUSPENDED:
            _OnHost.begin(self, start)  # slots make another class, which super() does not know
            return
        start.require(self.right, subject_of(vm.id))
        start.lock(vm.id, f"VM {vm.name} is being {self.doing}")
        start.describe(f"Dropping the kept state of VM {vm.name}", subjects={vm.id})

    def _on_host(self, doing: Doing) -> JsonValue:
        """A suspended one is on none: its state is dropped."""
        with doing.services.store.read() as session:
            vm = session.vms.get(self.vm_id)
        if vm.facts.status is VmStatus.SUSPENDED:
            remove_state(doing, vm.id)
            return None
        return _OnHost._on_host(self, doing)

    def _ask(self, doing: Doing, vm: Vm, host_id: str) -> None:
        with doing.services.store.read() as session:
            stays = leaves_log(vm, session.hosts.find(id=host_id))
        if not stays or vm.facts.status in _BEGINNING or not _ended_there(doing, vm, host_id):
            destroy_on_host(doing, host_id, vm.id)

    def succeeded(self, finish: Finish) -> None:
        self._tell(finish, self.done)
        vm = held(finish.session, self.vm_id)
        if vm.facts.status is VmStatus.SUSPENDED:
            write_down(finish.session, vm, reason=self.reason)
        elif vm.facts.host_id is not None:
            host = finish.session.hosts.find(id=vm.facts.host_id)
            there = host.id if host is not None and leaves_log(vm, host) else None
            message = "Admin shut down from the engine"
            write_down(finish.session, vm, reason=self.reason, message=message, log_host_id=there)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownVm(_OnHost):
    """Its guest is asked; when it has ended, its host tells."""

    action: ClassVar = "ShutdownVm"
    right: ClassVar = Right.SHUT_DOWN_VM
    word: ClassVar = "shut down"
    doing: ClassVar = "shut down"
    title: ClassVar = "Shutting down"
    done: ClassVar = messages.SHUT_DOWN
    not_done: ClassVar = messages.SHUT_DOWN_FAILED

    def _ask(self, doing: Doing, vm: Vm, host_id: str) -> None:
        ask_host(doing, host_id, "VM.shutdown", shutdown_params(vm, message=self.reason))

    def succeeded(self, finish: Finish) -> None:
        self._tell(finish, self.done)
        vm = held(finish.session, self.vm_id)
        if vm.facts.status is VmStatus.UP:
            facts = replace(vm.facts, status=VmStatus.POWERING_DOWN, stop_reason=self.reason)
            finish.session.vms.update_facts(vm.id, facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootVm(_OnHost):
    """Its guest is asked to begin anew. A container is stopped as by a shutdown, and started again."""

    action: ClassVar = "RebootVm"
    right: ClassVar = Right.REBOOT_VM
    word: ClassVar = "reboot"
    doing: ClassVar = "rebooted"
    title: ClassVar = "Rebooting"
    done: ClassVar = messages.REBOOTED
    not_done: ClassVar = messages.REBOOT_FAILED

    def _ask(self, doing: Doing, vm: Vm, host_id: str) -> None:
        ask_host(doing, host_id, "VM.shutdown", {**shutdown_params(vm), "reboot": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetVm(_OnHost):
    """It begins anew, and is not asked."""

    action: ClassVar = "ResetVm"
    right: ClassVar = Right.RESET_VM
    word: ClassVar = "reset"
    doing: ClassVar = "reset"
    title: ClassVar = "Resetting"
    done: ClassVar = messages.RESET
    not_done: ClassVar = messages.RESET_FAILED

    def _ask(self, doing: Doing, vm: Vm, host_id: str) -> None:
        ask_host(doing, host_id, "VM.reset", {"vmID": vm.id})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeVm(_OnHost):
    """A paused one goes on; oVirt's start does this, too."""

    action: ClassVar = "ResumeVm"
    right: ClassVar = Right.RUN_VM
    word: ClassVar = "run"
    doing: ClassVar = "resumed"
    title: ClassVar = "Resuming"
    done: ClassVar = messages.RESUMED
    not_done: ClassVar = messages.START_FAILED

    def _ask(self, doing: Doing, vm: Vm, host_id: str) -> None:
        ask_host(doing, host_id, "VM.cont", {"vmID": vm.id})


def _ended_there(doing: Doing, vm: Vm, host_id: str) -> bool:
    """End it at once, and leave it on its host. False: it has not ended."""
    ask_host(doing, host_id, "VM.shutdown", {**shutdown_params(vm), "timeout": 0})
    for _ in range(_END_LOOKS):
        stats = stats_on(doing, host_id, vm.id)
        if stats is None or text(stats, "status") == HostWord.DOWN:
            return True
        doing.pause(_LOOK_SECONDS)
    return False


def shutdown_params(vm: Vm, *, message: str = "") -> dict[str, Json]:
    """A container that does not listen to its stop signal is ended all the same, as by every runtime's stop."""
    container = vm.kind is VmKind.CONTAINER
    seconds = _CONTAINER_SECONDS if container else _EACH_WAY_SECONDS
    return {"vmID": vm.id, "delay": _WARNING_SECONDS, "message": message, "timeout": seconds, "force": container}


def ask_host(doing: Doing, host_id: str, verb: str, params: Mapping[str, Json]) -> None:
    """What has ended meanwhile needs nothing more."""
    try:
        doing.services.hosts.call(host_id, verb, params, flow_id=doing.asked.correlation_id)
    except HostRefused as error:
        if error.code not in (Code.NO_SUCH_VM, Code.VM_IS_DOWN):
            raise
