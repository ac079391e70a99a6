# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of templates."""

from dataclasses import replace
from datetime import UTC, datetime

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import called, seen, told
from covirt.engine.api.changes.copies import copies_of
from covirt.engine.api.changes.hardware import changed_hardware
from covirt.engine.api.changes.running import ran
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.commands.templates.add import AddVmTemplate
from covirt.engine.commands.templates.remove import RemoveVmTemplate
from covirt.engine.commands.templates.update import update_template as update
from covirt.engine.model.template import Template
from covirt.engine.model.vm import Vm
from covirt.engine.store.query import ListQuery


def add_template(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST templates: of a machine that is down, whose disks are copied."""
    del ids
    require_fields("Template", body, "add", "name", "vm.id|name")
    given = body["vm"]
    vm: Vm = seen(call, call.session.vms, given, "vm")
    made = call.new_id("template")
    base_id = _base_id(call, body)
    template = Template(
        id=made,
        name="",
        cluster_id=vm.cluster_id,
        kind=vm.kind,
        hardware=replace(vm.hardware, delete_protected=False),
        origin=vm.origin,
        cpu_profile_id=vm.cpu_profile_id,
        created_at=datetime.now(UTC),
        base_template_id=base_id or made,
        version_name=told(body, "version.version_name", "" if base_id else "base version"),
    )
    attached = call.session.disk_attachments.list(ListQuery(where={"vm_id": vm.id}))
    told_of: Body = given if isinstance(given, dict) else {}
    copies = copies_of(call, attached, told_of, body, source=f"VM {vm.name}", template_id=made)
    return ran(call, AddVmTemplate(template=called(template, body), vm_id=vm.id, copies=copies), id=made)


def _base_id(call: Call, body: Body) -> str | None:
    """Of the template that the body makes it a version of."""
    named = at(body, "version.base_template")
    if not named:
        return None
    base: Template = seen(call, call.session.templates, named, "base_template")
    return base.base_template_id


def update_template(call: Call, ids: tuple[str, ...], body: Body) -> None:
    """PUT templates/ID."""
    with call.changing() as change:
        template = change.session.templates.get(ids[-1])
        hardware = changed_hardware(change.session, call.services.vault, template.hardware, body)
        wanted = replace(
            template,
            hardware=hardware,
            version_name=told(body, "version.version_name", template.version_name),
            base_template_id=_base_id(call, body) or template.base_template_id,
        )
        update(change, called(wanted, body))


def remove_template(call: Call, ids: tuple[str, ...]) -> None:
    """DELETE templates/ID, with its disks."""
    call.run(RemoveVmTemplate(template_id=ids[-1]))
