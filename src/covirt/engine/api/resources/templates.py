# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Templates and instance types."""

from covirt.engine.api.changes import templates as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.access import permissions_below
from covirt.engine.api.resources.affinity import TAGS_OF_TEMPLATE
from covirt.engine.api.resources.disks import ATTACHMENTS_OF_TEMPLATE
from covirt.engine.api.resources.hardware import hardware_values
from covirt.engine.api.resources.loading import by_id, each, empty, found, nothing
from covirt.engine.api.resources.values import named, reference
from covirt.engine.api.resources.vm_devices import CDROMS_OF_TEMPLATE, NICS_OF_TEMPLATE
from covirt.engine.model.access import ObjectType
from covirt.engine.model.template import InstanceType, Template


def template_node(template: Template) -> Node:
    values: dict[str, Value] = {
        **named(template),
        **hardware_values(template.hardware),
        "status": str(template.status),
        "cluster": reference("Cluster", template.cluster_id),
        "cpu_profile": reference("CpuProfile", template.cpu_profile_id),
        "origin": template.origin,
        "creation_time": template.created_at,
        "version": {
            "base_template": reference("Template", template.base_template_id),
            "version_number": template.version_number,
            "version_name": template.version_name,
        },
    }
    return Node(type="Template", id=template.id, values=values)


def instance_type_node(instance_type: InstanceType) -> Node:
    values: dict[str, Value] = {
        **named(instance_type),
        **hardware_values(instance_type.hardware),
        "creation_time": instance_type.created_at,
    }
    return Node(type="InstanceType", id=instance_type.id, values=values)


TEMPLATES = Collection(
    path="templates",
    type="Template",
    show=each(template_node),
    list=found(lambda session: session.templates),
    get=by_id(lambda session: session.templates),
    add=changes.add_template,
    update=changes.update_template,
    remove=changes.remove_template,
    searchable=True,
    refused_actions={"export": "Export domains are gone from oVirt since 4.4 and are not in covirt."},
    children=(
        CDROMS_OF_TEMPLATE,
        ATTACHMENTS_OF_TEMPLATE,
        Collection(**empty("graphicsconsoles", "GraphicsConsole"), below=nothing),
        NICS_OF_TEMPLATE,
        permissions_below(ObjectType.TEMPLATE),
        TAGS_OF_TEMPLATE,
        Collection(**empty("watchdogs", "Watchdog"), below=nothing),
    ),
)
INSTANCE_TYPES = Collection(
    path="instancetypes",
    type="InstanceType",
    show=each(instance_type_node),
    list=found(lambda session: session.instance_types),
    get=by_id(lambda session: session.instance_types),
    searchable=True,
    open=True,
)
