# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of tags, affinity labels and affinity groups."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import called, seen, told
from covirt.engine.api.errors import NotServed
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, items, referred, referred_object, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.commands.affinity import groups, labels, tags
from covirt.engine.model.affinity import AffinityGroup, AffinityLabel, AffinityRule, Tag, TaggedType
from covirt.engine.store.session import Session

# The repository of what a tag may hang on, and the words that events call it by.
_TAGGED: Final[Mapping[TaggedType, str]] = {
    TaggedType.VM: "vms",
    TaggedType.HOST: "hosts",
    TaggedType.TEMPLATE: "templates",
    TaggedType.USER: "users",
    TaggedType.GROUP: "groups",
}


def add_tag(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("Tag", body, "add", "name")
    with call.changing() as change:
        return Done(id=tags.add_tag(change, _tag(change.session, Tag(id=""), body)))


def update_tag(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        tags.update_tag(change, _tag(change.session, change.session.tags.get(ids[-1]), body))


def remove_tag(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        tags.remove_tag(change, ids[-1])


def _tag(session: Session, tag: Tag, body: Body) -> Tag:
    parent = referred(session.tags, body, "parent")
    return replace(called(tag, body), parent_id=parent.id if parent else tag.parent_id)


class TagsOf:
    """The tags of objects of one kind."""

    def __init__(self, kind: TaggedType) -> None:
        self._kind = kind

    def add(self, call: Call, ids: tuple[str, ...], body: Body) -> Done:
        require_fields("Tag", body, "add", "id|name")
        with call.changing() as change:
            tag = referred_object(change.session.tags, body, "tag")
            tags.attach_tag(change, tag, self._kind, ids[0], self._name(change.session, ids[0]))
        return Done(id=tag.id)

    def remove(self, call: Call, ids: tuple[str, ...]) -> None:
        with call.changing() as change:
            tags.detach_tag(change, ids[-1], self._kind, ids[0], self._name(change.session, ids[0]))

    def _name(self, session: Session, object_id: str) -> str:
        return str(getattr(session, _TAGGED[self._kind]).get(object_id).name)


def add_label(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("AffinityLabel", body, "add", "name")
    with call.changing() as change:
        return Done(id=labels.add_label(change, _label(call, change.session, AffinityLabel(id=""), body)))


def update_label(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        label = change.session.affinity_labels.get(ids[-1])
        labels.update_label(change, _label(call, change.session, label, body))


def remove_label(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        labels.remove_label(change, ids[-1])


def _label(call: Call, session: Session, label: AffinityLabel, body: Body) -> AffinityLabel:
    return replace(
        called(label, body),
        has_implicit_affinity_group=told(body, "has_implicit_affinity_group", label.has_implicit_affinity_group),
        vm_ids=_members(call, session.vms, body, "vms", label.vm_ids),
        host_ids=_members(call, session.hosts, body, "hosts", label.host_ids),
    )


def add_to_label(field: str) -> Any:
    """Of the machines (vm_ids) or hosts (host_ids) below a label."""

    def add(call: Call, ids: tuple[str, ...], body: Body) -> Done:
        with call.changing() as change:
            member = _member(call, change.session, field, body)
            labels.carry_label(change, ids[0], **{field: frozenset({member.id})})
        return Done(id=member.id)

    return add


def remove_from_label(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        labels.drop_label(change, ids[0], ids[-1])


def add_label_to(field: str) -> Any:
    """Of the labels below a machine (vm_ids) or a host (host_ids)."""

    def add(call: Call, ids: tuple[str, ...], body: Body) -> Done:
        require_fields("AffinityLabel", body, "add", "id|name")
        with call.changing() as change:
            label = referred_object(change.session.affinity_labels, body, "affinity_label")
            labels.carry_label(change, label.id, **{field: frozenset({ids[0]})})
        return Done(id=label.id)

    return add


def remove_label_from(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        labels.drop_label(change, ids[-1], ids[0])


def add_group(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """Below a cluster, which is the last of the ids: it may lie below its data center, too."""
    require_fields("AffinityGroup", body, "add", "name")
    with call.changing() as change:
        group = _group(call, change.session, AffinityGroup(id="", cluster_id=ids[-1]), body)
        return Done(id=groups.add_group(change, group))


def update_group(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        group = change.session.affinity_groups.get(ids[-1])
        groups.update_group(change, _group(call, change.session, group, body))


def remove_group(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        groups.remove_group(change, ids[-1])


def add_to_group(field: str) -> Any:
    """Of the machines (vm_ids) or hosts (host_ids) below a group."""

    def add(call: Call, ids: tuple[str, ...], body: Body) -> Done:
        with call.changing() as change:
            member = _member(call, change.session, field, body)
            groups.join_group(change, ids[-1], **{field: frozenset({member.id})})
        return Done(id=member.id)

    return add


def remove_from_group(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        groups.leave_group(change, ids[-2], ids[-1])


def _group(call: Call, session: Session, group: AffinityGroup, body: Body) -> AffinityGroup:
    if items(body, "vm_labels") or items(body, "host_labels"):
        raise NotServed(what="labels in affinity groups")
    # what version 4.0 had for the rule between machines, and what clients still send beside it
    rule = _rule(group.vms_rule, body, "")
    return replace(
        called(group, body),
        priority=told(body, "priority", group.priority),
        vms_rule=_rule(rule, body, "vms_rule."),
        hosts_rule=_rule(group.hosts_rule, body, "hosts_rule."),
        vm_ids=_members(call, session.vms, body, "vms", group.vm_ids),
        host_ids=_members(call, session.hosts, body, "hosts", group.host_ids),
    )


def _rule(rule: AffinityRule, body: Body, above: str) -> AffinityRule:
    """Whoever says which way it is to be wants the rule, unless he says that he does not."""
    positive = at(body, f"{above}positive")
    return AffinityRule(
        enabled=told(body, f"{above}enabled", rule.enabled or positive is not None),
        positive=told(body, f"{above}positive", rule.positive),
        enforcing=told(body, f"{above}enforcing", rule.enforcing),
    )


def _members(call: Call, repository: Any, body: Body, name: str, default: frozenset[str]) -> frozenset[str]:
    """The list replaces what was there; without it nothing changes."""
    named = items(body, name)
    if named is None:
        return default
    return frozenset(seen(call, repository, each, name).id for each in named)


def _member(call: Call, session: Session, field: str, body: Body) -> Any:
    name = "Vm" if field == "vm_ids" else "Host"
    require_fields(name, body, "add", "id|name")
    return seen(call, session.vms if field == "vm_ids" else session.hosts, body, name.lower())
