# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Tags: a tree of words, and what they hang on."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest, NotFound
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.names import check_name
from covirt.engine.model.affinity import Tag, TaggedType

_LONGEST: Final = 50
_ADDED: Final = AuditMessage(code=432, text="New Tag {tag} was created by {user}.")
_UPDATED: Final = AuditMessage(code=430, text="Tag {tag} configuration was updated by {user}.")
_MOVED: Final = AuditMessage(code=555, text="Tag {tag} was moved from {old} to {new} by {user}.")
_REMOVED: Final = AuditMessage(code=434, text="Tag {tag} was removed by {user}.")
_ATTACHED: Final[Mapping[TaggedType, AuditMessage]] = {
    TaggedType.VM: AuditMessage(code=440, text="Tag {tag} was attached to VM(s) {object} by {user}."),
    TaggedType.HOST: AuditMessage(code=442, text="Tag {tag} was attached to Host(s) {object} by {user}."),
    TaggedType.TEMPLATE: AuditMessage(code=183, text="Tag {tag} was attached to Templates(s) {object} by {user}."),
    TaggedType.USER: AuditMessage(code=436, text="Tag {tag} was attached to User(s) {object} by {user}."),
    TaggedType.GROUP: AuditMessage(code=438, text="Tag {tag} was attached to Group(s) {object} by {user}."),
}
_DETACHED: Final[Mapping[TaggedType, AuditMessage]] = {
    TaggedType.VM: AuditMessage(code=446, text="Tag {tag} was detached from VM(s) {object} by {user}."),
    TaggedType.HOST: AuditMessage(code=444, text="Tag {tag} was detached from Host(s) {object} by {user}."),
    TaggedType.TEMPLATE: AuditMessage(code=185, text="Tag {tag} was detached from Templates(s) {object} by {user}."),
    TaggedType.USER: AuditMessage(code=448, text="Tag {tag} detached from User(s) {object} by {user}."),
    TaggedType.GROUP: AuditMessage(code=450, text="Tag {tag} was detached from Group(s) {object} by {user}."),
}


class ReadOnlyTag(Conflict):
    template = "Cannot edit readonly tag. The root of all tags stays as it is."


class TagInItself(InvalidRequest):
    template = "Operation canceled, recursive Tag hierarchy cannot be defined."


class TagNotThere(NotFound):
    """Fields: tag."""

    template = "Tag {tag} is not attached to the object."


def add_tag(change: Change, tag: Tag) -> str:
    """Below its parent, or else below the root; the new id."""
    change.require(Right.TAG_MANAGEMENT)
    check_name("Tag", tag.name, longest=_LONGEST)
    added = replace(tag, id=str(uuid.uuid4()), parent_id=tag.parent_id or _root_id(change))
    change.session.tags.add(added)
    change.tell(_ADDED, tag=added.name)
    return added.id


def update_tag(change: Change, tag: Tag) -> None:
    change.require(Right.TAG_MANAGEMENT)
    tags = change.session.tags
    before = tags.get(tag.id)
    if before.parent_id is None:
        raise ReadOnlyTag
    check_name("Tag", tag.name, longest=_LONGEST)
    parent_id = tag.parent_id or _root_id(change)
    _check_parent(change, tag.id, parent_id)
    tags.update(replace(tag, parent_id=parent_id))
    if parent_id != before.parent_id:
        names = {each.id: each.name for each in tags.by_ids({before.parent_id, parent_id}).values()}
        change.tell(_MOVED, tag=tag.name, old=names.get(before.parent_id, ""), new=names.get(parent_id, ""))
    else:
        change.tell(_UPDATED, tag=tag.name)


def remove_tag(change: Change, tag_id: str) -> None:
    """With those below it."""
    change.require(Right.TAG_MANAGEMENT)
    tag = change.session.tags.get(tag_id)
    if tag.parent_id is None:
        raise ReadOnlyTag
    change.session.tags.remove(tag_id)
    change.tell(_REMOVED, tag=tag.name)


def attach_tag(change: Change, tag: Tag, kind: TaggedType, object_id: str, called: str) -> None:
    """Of a tag that hangs there already, nothing happens."""
    change.require(Right.TAG_MANAGEMENT)
    if change.session.taggings.add_missing(tag.id, kind, object_id):
        change.tell(_ATTACHED[kind], tag=tag.name, object=called)


def detach_tag(change: Change, tag_id: str, kind: TaggedType, object_id: str, called: str) -> None:
    """Raises TagNotThere."""
    change.require(Right.TAG_MANAGEMENT)
    tag = change.session.tags.get(tag_id)
    if not change.session.taggings.remove(tag_id, kind, object_id):
        raise TagNotThere(tag=tag.name)
    change.tell(_DETACHED[kind], tag=tag.name, object=called)


def _root_id(change: Change) -> str:
    root = change.session.tags.find(parent_id=None)
    if root is None:
        raise ReadOnlyTag
    return root.id


def _check_parent(change: Change, tag_id: str, parent_id: str) -> None:
    """A tag lies neither in itself nor in what lies in it."""
    above: str | None = parent_id
    while above is not None:
        if above == tag_id:
            raise TagInItself
        above = change.session.tags.get(above).parent_id
