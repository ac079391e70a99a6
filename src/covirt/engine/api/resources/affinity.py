# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tags, affinity labels and affinity groups."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from covirt.engine.api.call import Call
from covirt.engine.api.changes import affinity as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Add, Collection, Remove
from covirt.engine.api.resources.loading import by_id, by_parent, each, found
from covirt.engine.api.resources.values import named, reference
from covirt.engine.model.affinity import AffinityGroup, AffinityLabel, AffinityRule, Tag, TaggedType


def tag_node(tag: Tag) -> Node:
    return Node(type="Tag", id=tag.id, values={**named(tag), "parent": reference("Tag", tag.parent_id)})


def tags_of(kind: TaggedType) -> Collection:
    """Below each object of the kind."""

    def below(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Tag]]:
        tags: Mapping[str, Sequence[Tag]] = call.session.taggings.of(kind, ids)
        return tags

    of = changes.TagsOf(kind)
    return Collection(path="tags", type="Tag", show=each(tag_node), below=below, add=of.add, remove=of.remove)


TAGS_OF_VM = tags_of(TaggedType.VM)
TAGS_OF_HOST = tags_of(TaggedType.HOST)
TAGS_OF_TEMPLATE = tags_of(TaggedType.TEMPLATE)
TAGS = Collection(
    path="tags",
    type="Tag",
    show=each(tag_node),
    list=found(lambda session: session.tags),
    get=by_id(lambda session: session.tags),
    searchable=True,
    open=True,
    add=changes.add_tag,
    update=changes.update_tag,
    remove=changes.remove_tag,
)


def label_node(label: AffinityLabel) -> Node:
    values: dict[str, Value] = {
        **named(label),
        "read_only": label.read_only,
        "has_implicit_affinity_group": label.has_implicit_affinity_group,
    }
    return Node(type="AffinityLabel", id=label.id, values=values)


def _references(
    kind: str,
    path: str,
    load: Callable[[Call, Sequence[str]], Mapping[str, Any]],
    field: str,
    add: Add,
    remove: Remove,
) -> Collection:
    """The machines or hosts of a group or a label, as references."""

    def below(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        return {key: sorted(getattr(item, field)) for key, item in load(call, ids).items()}

    def show(call: Call, items: Sequence[tuple[str, str]]) -> Sequence[Node]:
        del call
        return [Node(type=kind, id=member) for _, member in items]

    return Collection(path=path, type=kind, show=show, below=below, key=str, add=add, remove=remove)


def _labels(call: Call, ids: Sequence[str]) -> Mapping[str, Any]:
    labels: Mapping[str, Any] = call.session.affinity_labels.by_ids(ids)
    return labels


def _groups(call: Call, ids: Sequence[str]) -> Mapping[str, Any]:
    groups: Mapping[str, Any] = call.session.affinity_groups.by_ids(ids)
    return groups


def labels_of(field: str) -> Collection:
    """Below a machine (vm_ids) or a host (host_ids). There are few labels, so all are read."""

    def below(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[AffinityLabel]]:
        labels: Sequence[AffinityLabel] = call.session.affinity_labels.list()
        return {key: [label for label in labels if key in getattr(label, field)] for key in ids}

    return Collection(
        path="affinitylabels",
        type="AffinityLabel",
        show=each(label_node),
        below=below,
        add=changes.add_label_to(field),
        remove=changes.remove_label_from,
    )


LABELS_OF_VM = labels_of("vm_ids")
LABELS_OF_HOST = labels_of("host_ids")
AFFINITY_LABELS = Collection(
    path="affinitylabels",
    type="AffinityLabel",
    show=each(label_node),
    list=found(lambda session: session.affinity_labels),
    get=by_id(lambda session: session.affinity_labels),
    searchable=True,
    add=changes.add_label,
    update=changes.update_label,
    remove=changes.remove_label,
    children=tuple(
        _references(kind, path, _labels, field, changes.add_to_label(field), changes.remove_from_label)
        for kind, path, field in (("Host", "hosts", "host_ids"), ("Vm", "vms", "vm_ids"))
    ),
)


def group_node(group: AffinityGroup) -> Node:
    values: dict[str, Value] = {
        **named(group),
        "cluster": reference("Cluster", group.cluster_id),
        "priority": group.priority,
        "broken": group.broken,
        "positive": group.vms_rule.positive,
        "enforcing": group.vms_rule.enforcing,
        "vms_rule": _rule(group.vms_rule),
        "hosts_rule": _rule(group.hosts_rule),
        # beside the links, as oVirt has it: clients compare them
        "hosts": [reference("Host", each) for each in sorted(group.host_ids)],
        "vms": [reference("Vm", each) for each in sorted(group.vm_ids)],
    }
    return Node(type="AffinityGroup", id=group.id, values=values)


def _rule(rule: AffinityRule) -> dict[str, Value]:
    return {"enabled": rule.enabled, "enforcing": rule.enforcing, "positive": rule.positive}


GROUPS_OF_CLUSTER = Collection(
    path="affinitygroups",
    type="AffinityGroup",
    show=each(group_node),
    below=by_parent(lambda session: session.affinity_groups, "cluster_id"),
    add=changes.add_group,
    update=changes.update_group,
    remove=changes.remove_group,
    children=tuple(
        _references(kind, path, _groups, field, changes.add_to_group(field), changes.remove_from_group)
        for kind, path, field in (("Host", "hosts", "host_ids"), ("Vm", "vms", "vm_ids"))
    ),
)
