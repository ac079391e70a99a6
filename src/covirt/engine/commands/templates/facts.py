# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What operations on templates have in common: refusals and events, with oVirt's numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.event import Severity
from covirt.engine.model.template import Template
from covirt.engine.model.vm import BLANK_TEMPLATE_ID
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

ADD_BEGUN: Final = AuditMessage(code=48, text="Creation of Template {template} from VM {vm} was initiated by {user}.")
ADDED: Final = AuditMessage(code=51, text="Creation of Template {template} from VM {vm} has been completed.")
ADD_FAILED: Final = AuditMessage(
    code=52,
    text="Failed to complete creation of Template {template} from VM {vm}. {reason}",
    severity=Severity.ERROR,
)
UPDATED: Final = AuditMessage(code=49, text="Template {template} configuration was updated by {user}.")
REMOVED: Final = AuditMessage(code=251, text="Removal of Template {template} has been completed.")
DISKS_LEFT: Final = AuditMessage(
    code=15062,
    text="Template {template} was removed by {user}, but not its disks {disks}; remove them again.",
    severity=Severity.WARNING,
)


class TemplateNameInUse(Conflict):
    """Fields: action."""

    template = (
        "Cannot {action} Template. The Template name is already in use, please choose a unique name and try again."
    )


class BlankStays(Conflict):
    """Fields: action."""

    template = "Cannot {action} Template. Blank is every installation's, and stays as it is."


class TemplateBusy(Conflict):
    """Fields: action, name, status."""

    template = "Cannot {action} Template. {name} is {status}. Please try again in a few minutes."


class TemplateInUse(Conflict):
    """Fields: vms."""

    template = "Cannot delete Template. Template is being used by the following VMs: {vms}."


class NameOfVersions(InvalidRequest):
    """Fields: action, name."""

    template = (
        "Cannot {action} Template. All versions of a template have its name, {name}; their version_name tells them "
        "apart. Whoever renames the base template renames its versions."
    )


class VersionsAreAlike(Conflict):
    """Fields: base, what."""

    template = "Cannot add Template. Versions of template {base} are of its {what}; make a template of its own."


class BaseStays(InvalidRequest):
    template = "Cannot edit Template. Which template it is a version of is a fact, and cannot be changed."


def of_template(template_id: str) -> Subject:
    return Subject(type=ObjectType.TEMPLATE, id=template_id)


def about(template: Template) -> About:
    return About(template_id=template.id, cluster_id=template.cluster_id)


def require_not_blank(template: Template, action: str) -> None:
    if template.id == BLANK_TEMPLATE_ID:
        raise BlankStays(action=action)


def require_free_name(session: Session, template: Template, action: str) -> None:
    """Versions share theirs. Raises TemplateNameInUse."""
    other = session.templates.find(name=template.name)
    if other is not None and other.base_template_id != template.base_template_id:
        raise TemplateNameInUse(action=action)


def versions_of(session: Session, base_template_id: str) -> Sequence[Template]:
    """The base first, the others by their numbers."""
    found = session.templates.list(ListQuery(where={"base_template_id": base_template_id}))
    return sorted(found, key=lambda template: template.version_number)


def remove_from(session: Session, template: Template) -> None:
    """The next version is the base of the others then."""
    others = [each for each in versions_of(session, template.id) if each.id != template.id]
    for each in others:
        session.templates.update(replace(each, base_template_id=others[0].id))
    session.templates.remove(template.id)
