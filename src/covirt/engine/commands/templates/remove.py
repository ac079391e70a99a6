# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Removes a template with its disks. Machines that were made with copies of them go on."""

import logging
from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.common.errors import Error
from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.disks.errors import DiskRefused
from covirt.engine.commands.disks.facts import manager_of, volumes_of
from covirt.engine.commands.forget import forget
from covirt.engine.commands.templates import facts
from covirt.engine.model.disk import Disk, DiskStatus
from covirt.engine.model.template import Template, TemplateStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveVmTemplate(Command):
    action: ClassVar = "RemoveVmTemplate"

    template_id: str

    def begin(self, start: Start) -> None:
        session = start.session
        template = session.templates.get(self.template_id)
        start.require(Right.DELETE_TEMPLATE, facts.of_template(template.id))
        facts.require_not_blank(template, "delete")
        start.lock(template.id, f"Template {template.name} is being removed")
        _require_unused(session, template)
        disks = _disks(session, template.id)
        for disk in disks:
            if disk.status is DiskStatus.LOCKED:  # as while somebody downloads it
                reason = f"Disk {disk.name} is locked. Please try again in a few minutes."
                raise DiskRefused(action="remove", reason=reason)
            start.lock(disk.id, f"disk {disk.name} is being removed with Template {template.name}")
            manager_of(session, start.services.hosts, session.storage_domains.get(disk.storage_domain_id), "remove")
            session.disks.update(replace(disk, status=DiskStatus.LOCKED))
        session.templates.update(replace(template, status=TemplateStatus.LOCKED))
        start.describe(f"Removing Template {template.name}", {template.id, *(disk.id for disk in disks)})

    def run(self, flow: Flow) -> JsonValue:
        disk_ids = flow.step("Looking which disks it has", self._look)
        return [
            disk_id
            for disk_id in (disk_ids if isinstance(disk_ids, list) else [])
            if not flow.step("Removing a disk", self._remove, disk_id)
        ]

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        template = session.templates.get(self.template_id)
        left = finish.result if isinstance(finish.result, list) else []
        names = []
        for disk in _disks(session, template.id):
            if disk.id in left:
                names.append(disk.name)
                session.disks.update(replace(disk, status=DiskStatus.ILLEGAL))
            else:
                session.disks.remove(disk.id)
                forget(session, disk.id)
        facts.remove_from(session, template)
        forget(session, template.id)
        if names:
            finish.tell(facts.DISKS_LEFT, facts.about(template), template=template.name, disks=", ".join(names))
        else:
            finish.tell(facts.REMOVED, facts.about(template), template=template.name)

    def failed(self, finish: Finish, reason: str) -> None:
        """By a bug only. Nobody knows which of its disks are whole."""
        del reason
        session = finish.session
        for disk in _disks(session, self.template_id):
            session.disks.update(replace(disk, status=DiskStatus.ILLEGAL))
        template = session.templates.get(self.template_id)
        session.templates.update(replace(template, status=TemplateStatus.ILLEGAL))

    def _look(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            return [disk.id for disk in _disks(session, self.template_id)]

    @staticmethod
    def _remove(doing: Doing, disk_id: str) -> JsonValue:
        """Whether it is gone."""
        with doing.services.store.read() as session:
            disk = session.disks.get(disk_id)
        try:
            volumes_of(doing, disk, "remove").remove(disk)
        except Error as error:
            log.warning("A disk of a template cannot be removed disk=%s reason=%s", disk_id, error)
            return False
        return True


def _disks(session: Session, template_id: str) -> list[Disk]:
    attached = session.disk_attachments.list(ListQuery(where={"template_id": template_id}))
    disks = session.disks.by_ids({each.disk_id for each in attached})
    return sorted(disks.values(), key=lambda disk: disk.name)


def _require_unused(session: Session, template: Template) -> None:
    """Raises TemplateBusy, TemplateInUse."""
    if template.status is TemplateStatus.LOCKED:
        raise facts.TemplateBusy(action="delete", name=template.name, status=template.status)
    users = [vm.name for vm in session.vms.list(ListQuery(where={"template_id": template.id}))]
    if users:
        raise facts.TemplateInUse(vms=", ".join(sorted(users)))
