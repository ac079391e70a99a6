# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of a template, which count for machines that are made of it from now on."""

from dataclasses import replace

from covirt.engine.auth.permits import Right
from covirt.engine.commands.change import Change
from covirt.engine.commands.names import check_name
from covirt.engine.commands.secrets.secrets import names_in
from covirt.engine.commands.secrets.using import require_secrets
from covirt.engine.commands.templates import facts
from covirt.engine.commands.templates.add import check_version_name
from covirt.engine.commands.vms.checks import check_hardware, kind_of
from covirt.engine.model.template import Template, TemplateStatus
from covirt.engine.vms.errors import KindIsFixed
from covirt.engine.vms.kinds import KIND_NAMES


def update_template(change: Change, template: Template) -> None:
    """``template``: as it shall be. A base is renamed with its versions. Raises KindIsFixed, BaseStays, and
    what adding raises."""
    session = change.session
    change.require(Right.EDIT_TEMPLATE_PROPERTIES, facts.of_template(template.id))
    change.require_unlocked(template.id)
    before = session.templates.get(template.id)
    facts.require_not_blank(before, "edit")
    if before.status is not TemplateStatus.OK:
        raise facts.TemplateBusy(action="edit", name=before.name, status=before.status)
    _check_names(change, template, before)
    if template.hardware != before.hardware:
        if kind_of(template.hardware) is not before.kind:
            raise KindIsFixed(name=before.name, kind=KIND_NAMES[before.kind])
        cluster = session.clusters.get(before.cluster_id)
        check_hardware(session, template.hardware, cluster, before.kind, action="edit")
        # Machines that are made of it have them, too.
        if template.hardware.placement_host_ids != before.hardware.placement_host_ids:
            change.require(Right.EDIT_ADMIN_TEMPLATE_PROPERTIES, facts.of_template(template.id))
        require_secrets(change, names_in(template.hardware), action="edit Template")
    session.templates.update(template)
    for other in facts.versions_of(session, template.id):
        if other.name != template.name:
            session.templates.update(replace(other, name=template.name))
    change.tell(facts.UPDATED, facts.about(template), template=template.name)


def _check_names(change: Change, template: Template, before: Template) -> None:
    check_name("Template", template.name)
    check_version_name(template)
    if template.base_template_id != before.base_template_id:
        raise facts.BaseStays
    if template.name != before.name and template.base_template_id != template.id:
        raise facts.NameOfVersions(action="edit", name=before.name)
    facts.require_free_name(change.session, template, "edit")
