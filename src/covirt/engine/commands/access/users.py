# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Users of the engine's own domain, and groups of them."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.first_user import DOMAIN, NAME
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.giving import check_administrators, check_power_over
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_title
from covirt.engine.model.access import EVERYONE_ID, Group, User

_SHORTEST_PASSWORD: Final = 6  # characters, as oVirt's own directory has it
_LONGEST_PASSWORD: Final = 1024  # bytes; see auth.passwords
_ADDED: Final = AuditMessage(code=149, text="User '{name}' was added successfully to the system.")
_UPDATED: Final = AuditMessage(code=872, text="Updated profile for {name}")
_PASSWORD: Final = AuditMessage(code=346, text="Password changed successfully for {name}")
_REMOVED: Final = AuditMessage(code=325, text="User {name} was removed by {user}.")
_GROUP_REMOVED: Final = AuditMessage(code=408, text="Group {name} was removed by {user}.")


class UnknownDomain(InvalidRequest):
    """Fields: domain."""

    template = "There is no domain {domain}: users and groups are of internal-authz."


class BadPassword(InvalidRequest):
    template = "A password has at least 6 characters and at most 1024 bytes."


class UserExists(Conflict):
    """Fields: name."""

    template = "Cannot add User. The user {name} exists already."


class AdminUserStays(Conflict):
    template = "Cannot remove internal admin user or its permissions."


class OwnUser(Conflict):
    template = "Cannot remove User. User is currently logged in."


class EveryoneStays(Conflict):
    template = 'Cannot {action} the built-in group "Everyone".'


class NameStays(InvalidRequest):
    template = "The name with which a user logs in, and the domain, stay as they are."


def check_password(password: str) -> None:
    """Raises BadPassword."""
    if len(password) < _SHORTEST_PASSWORD or len(password.encode(errors="replace")) > _LONGEST_PASSWORD:
        raise BadPassword


def add_user(change: Change, user: User, password_hash: str | None) -> str:
    """The new id. Without a password he cannot log in."""
    change.require(Right.MANIPULATE_USERS)
    check_title("User", user.principal)
    if user.domain != DOMAIN:
        raise UnknownDomain(domain=user.domain)
    if change.session.users.find(principal=user.principal, domain=user.domain) is not None:
        raise UserExists(name=user.user_name)
    added = replace(user, id=str(uuid.uuid4()), domain_entry_id=user.principal)
    _check_groups(change, frozenset(), added.group_ids)
    change.session.users.add(added)
    if password_hash is not None:
        change.session.accounts.set_password_hash(added.id, password_hash, now=datetime.now(UTC))
    change.tell(_ADDED, name=added.user_name)
    return added.id


def update_user(change: Change, user: User, password_hash: str | None) -> None:
    """A new password ends what was logged in with the old one."""
    change.require(Right.MANIPULATE_USERS)
    before = change.session.users.get(user.id)
    if (user.principal, user.domain) != (before.principal, before.domain):
        raise NameStays
    _check_groups(change, before.group_ids, user.group_ids)
    if user != before:
        change.session.users.update(user)
        change.tell(_UPDATED, name=user.user_name)
    if password_hash is not None:
        if user.id != change.asked.user_id:
            check_power_over(change, user.group_ids | before.group_ids | {user.id}, "set an administrator's password")
        _set_password(change, user, password_hash)


def change_own_password(change: Change, password_hash: str) -> None:
    """Of who asks, who has shown that he knows the present one: no right is needed for that."""
    assert change.asked.user_id is not None  # noqa: S101 - nobody asks for the engine itself
    _set_password(change, change.session.users.get(change.asked.user_id), password_hash)


def _set_password(change: Change, user: User, password_hash: str) -> None:
    change.session.accounts.set_password_hash(user.id, password_hash, now=datetime.now(UTC))
    change.session.accounts.remove_sessions_of(user.id)
    change.tell(_PASSWORD, name=user.user_name)


def remove_user(change: Change, user_id: str) -> None:
    """With the permissions and the sessions."""
    change.require(Right.MANIPULATE_USERS)
    user = change.session.users.get(user_id)
    if (user.principal, user.domain) == (NAME, DOMAIN):
        raise AdminUserStays
    if user_id == change.asked.user_id:
        raise OwnUser
    check_administrators(change, user.group_ids | {user_id}, "remove an administrator")
    change.session.users.remove(user_id)
    forget(change.session, user_id)
    change.tell(_REMOVED, name=user.user_name)


def add_group(change: Change, group: Group) -> str:
    """The new id."""
    change.require(Right.MANIPULATE_USERS)
    check_title("Group", group.name)
    if group.domain != DOMAIN:
        raise UnknownDomain(domain=group.domain)
    added = replace(group, id=str(uuid.uuid4()), domain_entry_id=group.name)
    change.session.groups.add(added)
    change.tell(_ADDED, name=added.name)
    return added.id


def remove_group(change: Change, group_id: str) -> None:
    """With its permissions; its members stay."""
    change.require(Right.MANIPULATE_USERS)
    if group_id == EVERYONE_ID:
        raise EveryoneStays(action="remove")
    group = change.session.groups.get(group_id)
    check_administrators(change, frozenset({group_id}), "remove a group of administrators")
    change.session.groups.remove(group_id)
    forget(change.session, group_id)
    change.tell(_GROUP_REMOVED, name=group.name)


def _check_groups(change: Change, before: frozenset[str], after: frozenset[str]) -> None:
    """Whoever comes into a group gains what it may do; to be in Everyone nobody need be told."""
    if EVERYONE_ID in after - before:
        raise EveryoneStays(action="join")
    if before != after:
        check_power_over(change, before ^ after, "change who is in a group of administrators")
