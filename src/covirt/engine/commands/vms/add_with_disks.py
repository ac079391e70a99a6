# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Adds a machine with copies of disks: those of a template, or those of another machine."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.many import CopiesDisks
from covirt.engine.commands.forget import forget
from covirt.engine.commands.templates.facts import TemplateBusy
from covirt.engine.commands.vms.add import add_vm
from covirt.engine.commands.vms.common import about, require_down, subject_of
from covirt.engine.model.event import Severity
from covirt.engine.model.template import TemplateStatus
from covirt.engine.model.vm import BLANK_TEMPLATE_ID, Vm

_BEGUN: Final = AuditMessage(code=37, text="VM {vm} creation was initiated by {user}.")
_DONE: Final = AuditMessage(code=53, text="VM {vm} creation has been completed.")
_FAILED: Final = AuditMessage(code=60, text="Failed to complete VM {vm} creation. {reason}", severity=Severity.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddVmWithDisks(CopiesDisks):
    """``vm``: with an id that the caller has chosen, and the template that it is made of. ``source_id``: the machine
    that it is a clone of, which is down and has its interfaces."""

    action: ClassVar = "AddVmFromTemplate"

    vm: Vm
    source_id: str | None = None

    def begin(self, start: Start) -> None:
        session = start.session
        if self.source_id is not None:
            start.require(Right.EDIT_VM_PROPERTIES, subject_of(self.source_id))
            require_down(session.vms.get(self.source_id), "clone")
        else:
            template = session.templates.get(self.vm.template_id)
            start.require_unlocked(template.id)
            if template.status is not TemplateStatus.OK:
                raise TemplateBusy(action="make a VM of", name=template.name, status=template.status)
        add_vm(start, self.vm, with_disks=True, nics_of=self.source_id, told=_BEGUN)
        vm = session.vms.get(self.vm.id)
        session.vms.update(replace(vm, image_locked=True))
        start.lock(vm.id, f"VM {vm.name} is being added")
        owner = {"template_id": self.vm.template_id} if self.source_id is None else {"vm_id": self.source_id}
        self.begin_copies(start, "add VM with", owner)
        if self.source_id is not None:  # after the copies, which look whether it is free
            start.lock(self.source_id, f"VM {vm.name} is being cloned of it")
        start.describe(f"Creating VM {vm.name}", {vm.id})

    def run(self, flow: Flow) -> JsonValue:
        return self.run_copies(flow)

    def succeeded(self, finish: Finish) -> None:
        self.end_copies(finish, of_template=self.source_id is None)
        vm = finish.session.vms.get(self.vm.id)
        # It needs its template no more: its disks are its own.
        finish.session.vms.update(replace(vm, template_id=BLANK_TEMPLATE_ID, image_locked=False))
        finish.tell(_DONE, about(vm), vm=vm.name)

    def failed(self, finish: Finish, reason: str) -> None:
        session = finish.session
        vm = session.vms.get(self.vm.id)
        finish.tell(_FAILED, about(vm), vm=vm.name, reason=reason)
        self.drop_copies(session, of_template=self.source_id is None)
        session.vms.remove(vm.id)
        forget(session, vm.id)
