# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a template of a machine that is down, with copies of its disks."""

import uuid
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.command import Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.many import CopiesDisks
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_name, check_title
from covirt.engine.commands.templates import facts
from covirt.engine.commands.vms.common import require_down, subject_of
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.template import Template, TemplateStatus
from covirt.engine.model.vm import Cdrom, Vm
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

_OWNER_ID: Final = "def0000a-0000-0000-0000-def00000000f"  # oVirt's id of the role TemplateOwner


@dataclass(frozen=True, slots=True, kw_only=True)
class AddVmTemplate(CopiesDisks):
    """The caller chooses the ids. It is of the machine's kind, for good."""

    action: ClassVar = "AddVmTemplate"

    template: Template
    vm_id: str

    def begin(self, start: Start) -> None:
        session, template = start.session, self.template
        vm: Vm = session.vms.get(self.vm_id)
        center_id = session.clusters.get(vm.cluster_id).data_center_id
        start.require(Right.CREATE_TEMPLATE, Subject(type=ObjectType.DATA_CENTER, id=center_id))
        start.require(Right.EDIT_VM_PROPERTIES, subject_of(vm.id))  # who sees it may not have what is on its disks
        require_down(vm, "create a template of")
        check_name("Template", template.name)
        check_version_name(template)
        if template.base_template_id == template.id:
            facts.require_free_name(session, template, "add")
        else:
            template = self._version(start, vm, center_id)
        session.templates.add(replace(template, status=TemplateStatus.LOCKED, kind=vm.kind))
        self._add_parts(session, vm)
        give_creator(start, _OWNER_ID, facts.of_template(template.id))
        start.lock(template.id, f"Template {template.name} is being made")
        self.begin_copies(start, "create a template with", {"vm_id": vm.id})
        start.lock(vm.id, f"Template {template.name} is being made of VM {vm.name}")  # copies look whether it is free
        start.describe(f"Creating Template {template.name} from VM {vm.name}", {template.id, vm.id})
        start.tell(facts.ADD_BEGUN, facts.about(template), template=template.name, vm=vm.name)

    def run(self, flow: Flow) -> JsonValue:
        return self.run_copies(flow)

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        self.end_copies(finish, of_template=False)
        template = session.templates.get(self.template.id)
        session.templates.update(replace(template, status=TemplateStatus.OK))
        self._tell(finish, facts.ADDED)

    def failed(self, finish: Finish, reason: str) -> None:
        session = finish.session
        self._tell(finish, facts.ADD_FAILED, reason=reason)
        self.drop_copies(session, of_template=False)
        facts.remove_from(session, session.templates.get(self.template.id))
        forget(session, self.template.id)

    def _tell(self, finish: Finish, message: AuditMessage, **words: object) -> None:
        vm = finish.session.vms.get(self.vm_id)
        finish.tell(message, facts.about(self.template), template=self.template.name, vm=vm.name, **words)

    def _version(self, start: Start, vm: Vm, center_id: str) -> Template:
        """With the next number. Raises NameOfVersions, VersionsAreAlike, BlankStays."""
        session = start.session
        base = session.templates.get(self.template.base_template_id)
        facts.require_not_blank(base, "add a version to the")
        start.require(Right.EDIT_TEMPLATE_PROPERTIES, facts.of_template(base.id))
        start.require_unlocked(base.id)
        if self.template.name != base.name:
            raise facts.NameOfVersions(action="add", name=base.name)
        if vm.kind is not base.kind:
            raise facts.VersionsAreAlike(base=base.name, what="kind of machine")
        if session.clusters.get(base.cluster_id).data_center_id != center_id:
            raise facts.VersionsAreAlike(base=base.name, what="Data Center")
        last = facts.versions_of(session, base.id)[-1]
        return replace(self.template, base_template_id=base.id, version_number=last.version_number + 1)

    def _add_parts(self, session: Session, vm: Vm) -> None:
        drive = session.cdroms.find(vm_id=vm.id)
        file_id = drive.file_id if drive is not None else None
        session.cdroms.add(Cdrom(id=str(uuid.uuid4()), template_id=self.template.id, file_id=file_id))
        for nic in session.nics.list(ListQuery(where={"vm_id": vm.id})):
            session.nics.add(replace(nic, id=str(uuid.uuid4()), vm_id=None, template_id=self.template.id, mac=""))


def check_version_name(template: Template) -> None:
    """Raises BadTitle."""
    if template.version_name:
        check_title("Template version", template.version_name)
