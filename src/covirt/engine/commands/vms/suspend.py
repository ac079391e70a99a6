# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Suspending a machine: volumes for its state, its host told to keep it there, and the end of it awaited.

What the host says of the end decides. While it does not answer nobody knows whether the state is whole, and nothing
is undone; a host that was fenced has no guests, and so the state is none.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar, Final

from covirt.common.errors import Conflict, Unavailable
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.facts import being_made, choose_manager, manager_of, require_room, volumes_on
from covirt.engine.commands.forget import forget
from covirt.engine.commands.vms.common import about, held, host_name, require_running, stats_on, subject_of
from covirt.engine.commands.vms.errors import VmInStatus
from covirt.engine.commands.vms.kept_state import handle
from covirt.engine.commands.vms.run import destroy_on_host
from covirt.engine.hosts.errors import HostUncertain, HostUnreachable
from covirt.engine.hosts.words import text, whole
from covirt.engine.model.disk import Disk, DiskStatus
from covirt.engine.model.event import Severity
from covirt.engine.model.vm import VmFacts, VmStatus
from covirt.hostapi.statuses import ExitReason
from covirt.hostapi.statuses import VmStatus as HostWord

_BEGUN: Final = AuditMessage(code=501, text="Suspending VM {vm} was initiated by User {user} (Host: {host}).")
_DONE: Final = AuditMessage(code=512, text="Suspending VM {vm} has been completed.")
_FAILED: Final = AuditMessage(
    code=521, text="Failed to complete suspending of VM {vm}. {reason}", severity=Severity.ERROR
)
_SUSPENDABLE: Final = (VmStatus.UP, VmStatus.POWERING_UP)
_LOOK_SECONDS: Final = 0.5
_FIRST_LOOKS: Final = 10  # until a host whose answer was lost must have begun


class NotSuspended(Conflict):
    """Fields: name, reason."""

    template = "Cannot suspend VM. The state of {name} was not kept: {reason}."


@dataclass(frozen=True, slots=True, kw_only=True)
class HibernateVm(Command):
    """The caller chooses the ``disks``, see kept_state."""

    action: ClassVar = "HibernateVm"

    vm_id: str
    disks: tuple[Disk, ...]

    def begin(self, start: Start) -> None:
        session = start.session
        start.require(Right.HIBERNATE_VM, subject_of(self.vm_id))
        vm = session.vms.get(self.vm_id)
        start.lock(vm.id, f"VM {vm.name} is being suspended")
        host_id = require_running(vm, "suspend")
        if vm.facts.status not in _SUSPENDABLE:
            raise VmInStatus(action="suspend", status=vm.facts.status)
        for disk in self.disks:
            domain = session.storage_domains.get(disk.storage_domain_id)
            require_room(domain, disk.provisioned_size_bytes, "add")
            manager_of(session, start.services.hosts, domain, "add")
            session.disks.add(replace(disk, status=DiskStatus.LOCKED))
            start.lock(disk.id, f"VM {vm.name} is being suspended")
        start.describe(f"Suspending VM {vm.name}", subjects={vm.id})
        start.tell(_BEGUN, about(vm), vm=vm.name, host=host_name(session, host_id))

    def run(self, flow: Flow) -> JsonValue:
        manager_id = flow.step("Choosing a host", self._choose)
        for number in range(len(self.disks)):
            title = f"Creating volume {number + 1} of its state"
            task_id = flow.step(f"{title}: asking", self._ask, manager_id, number, undo=self._remove)
            flow.step(title, self._create, manager_id, number, task_id)
        host_id = flow.step("Telling its host", self._save)
        flow.step("Keeping its state", self._wait, host_id)
        return flow.step("Forgetting it on its host", self._forget, host_id)

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        vm = held(session, self.vm_id)
        for disk in session.disks.by_ids(each.id for each in self.disks).values():
            session.disks.update(replace(disk, status=DiskStatus.OK))
        facts = VmFacts(
            status=VmStatus.SUSPENDED,
            stop_time=datetime.now(UTC),
            state_disk_ids=tuple(disk.id for disk in self.disks),
        )
        session.vms.update_facts(vm.id, facts)
        finish.tell(_DONE, about(vm), vm=vm.name)

    def failed(self, finish: Finish, reason: str) -> None:
        session = finish.session
        for disk in self.disks:
            session.disks.remove(disk.id)
            forget(session, disk.id)
        vm = session.vms.get(self.vm_id)
        finish.tell(_FAILED, about(vm), vm=vm.name, reason=reason)

    def _choose(self, doing: Doing) -> JsonValue:
        return choose_manager(doing, self.disks[0].storage_domain_id, "add")

    def _ask(self, doing: Doing, manager_id: str, number: int) -> JsonValue:
        return volumes_on(doing, self.disks[number], manager_id).begin_create(self.disks[number])

    def _create(self, doing: Doing, manager_id: str, number: int, task_id: str) -> JsonValue:
        volumes_on(doing, self.disks[number], manager_id).finish_create(self.disks[number], task_id)
        return None

    def _remove(self, doing: Doing, manager_id: str, number: int) -> JsonValue:
        with being_made(self.disks[number]):
            volumes_on(doing, self.disks[number], manager_id).remove(self.disks[number])
        return None

    def _save(self, doing: Doing) -> JsonValue:
        """It may have been told by an engine that was killed."""
        with doing.services.store.read() as session:
            vm = session.vms.get(self.vm_id)
            where = handle(session, [disk.id for disk in self.disks])
        host_id = require_running(vm, "suspend")
        stats = stats_on(doing, host_id, vm.id) or {}
        if text(stats, "status") in (HostWord.SAVING_STATE, HostWord.DOWN):
            return host_id
        params = {"vmID": vm.id, "hibernateVolHandle": where}
        with suppress(HostUncertain):  # it may be at it: its next words tell
            doing.services.hosts.call(host_id, "VM.hibernate", params, flow_id=doing.asked.correlation_id)
        return host_id

    def _wait(self, doing: Doing, host_id: str) -> JsonValue:
        looks = 0
        while True:
            with doing.services.store.read() as session:
                vm = session.vms.get(self.vm_id)
            if vm.facts.host_id != host_id:
                raise NotSuspended(name=vm.name, reason="its host was given up")
            try:
                stats = stats_on(doing, host_id, vm.id)
            except (HostUncertain, HostUnreachable):
                doing.pause(_LOOK_SECONDS)
                continue
            word = text(stats or {}, "status", HostWord.DOWN)
            if word == HostWord.DOWN:
                if whole(stats or {}, "exitReason", -1) == ExitReason.SAVE_STATE_SUCCEEDED:
                    return None
                reason = text(stats or {}, "exitMessage", "its host does not know it any more")
                raise NotSuspended(name=vm.name, reason=reason.rstrip("."))
            if word == HostWord.SAVING_STATE:
                looks = _FIRST_LOOKS
                self._write_saving(doing)
            elif looks >= _FIRST_LOOKS:
                raise NotSuspended(name=vm.name, reason="its host let it go on, and its log says why")
            looks += 1
            doing.pause(_LOOK_SECONDS)

    def _write_saving(self, doing: Doing) -> None:
        with doing.services.store.write() as session:
            facts = held(session, self.vm_id).facts
            if facts.status is not VmStatus.SAVING_STATE:
                session.vms.update_facts(self.vm_id, replace(facts, status=VmStatus.SAVING_STATE))

    def _forget(self, doing: Doing, host_id: str) -> JsonValue:
        """A host that does not answer now is told when it does: it reports what has ended on it."""
        with suppress(Unavailable):
            destroy_on_host(doing, host_id, self.vm_id)
        return None
