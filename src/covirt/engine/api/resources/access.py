# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Users, groups, roles, permits, and who has which role on what."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from covirt.engine.api.call import Call
from covirt.engine.api.changes import access as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Add, Below, Collection
from covirt.engine.api.resources.loading import by_id, each, empty, found, grouped, nothing
from covirt.engine.api.resources.values import named, reference
from covirt.engine.model.access import Group, ObjectType, Permission, Permit, Role, User
from covirt.engine.store.query import ListQuery

# What of a permission's objects oVirt's API has a field for; others are not told.
_FIELDS: Final = {
    ObjectType.DATA_CENTER: ("data_center", "DataCenter"),
    ObjectType.CLUSTER: ("cluster", "Cluster"),
    ObjectType.HOST: ("host", "Host"),
    ObjectType.STORAGE_DOMAIN: ("storage_domain", "StorageDomain"),
    ObjectType.VM: ("vm", "Vm"),
    ObjectType.TEMPLATE: ("template", "Template"),
    ObjectType.DISK: ("disk", "Disk"),
}


def permission_node(permission: Permission) -> Node:
    values: dict[str, Value] = {
        "role": reference("Role", permission.role_id),
        "user": reference("User", permission.user_id),
        "group": reference("Group", permission.group_id),
    }
    if permission.subject.type in _FIELDS:
        field, kind = _FIELDS[permission.subject.type]
        values[field] = reference(kind, permission.subject.id)
    return Node(type="Permission", id=permission.id, values=values)


def permissions_below(kind: ObjectType) -> Collection:
    """Those on the object itself; what it inherits is told by the objects that it lies in."""

    def below(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        rows: Sequence[Permission] = call.session.permissions.list(
            ListQuery(where={"object_type": kind, "object_id": tuple(ids)})
        )
        return grouped((row.subject.id, row) for row in rows)

    return _permissions(below, partial(changes.add_permission_on, kind))


def _permissions_of(column: str) -> Collection:
    def below(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        rows = call.session.permissions.list(ListQuery(where={column: tuple(ids)}))
        return grouped((getattr(row, column), row) for row in rows)

    return _permissions(below, partial(changes.add_permission_of, column))


def _permissions(below: Below, add: Add) -> Collection:
    return Collection(
        path="permissions",
        type="Permission",
        show=each(permission_node),
        below=below,
        add=add,
        remove=changes.remove_permission,
    )


def _system_permissions(call: Call) -> Sequence[Permission]:
    rows: Sequence[Permission] = call.session.permissions.list(
        ListQuery(where={"object_type": ObjectType.SYSTEM}, visible_to=call.viewer)
    )
    return rows


def permit_node(permit: Permit) -> Node:
    return Node(type="Permit", id=permit.id, values={"name": permit.name, "administrative": permit.administrative})


def role_node(role: Role) -> Node:
    values: dict[str, Value] = {**named(role), "administrative": role.administrative, "mutable": role.mutable}
    return Node(type="Role", id=role.id, values=values)


def _permits_of_roles(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Permit]]:
    roles = call.session.roles.by_ids(ids)
    permits = call.session.permits.by_ids({permit for role in roles.values() for permit in role.permit_ids})
    return {
        role.id: sorted((permits[each] for each in role.permit_ids if each in permits), key=lambda it: int(it.id))
        for role in roles.values()
    }


PERMITS = Collection(
    path="permits",
    type="Permit",
    show=each(permit_node),
    below=_permits_of_roles,
    uuids=False,
    add=changes.add_permit,
    remove=changes.remove_permit,
)
ROLES = Collection(
    path="roles",
    type="Role",
    show=each(role_node),
    list=found(lambda session: session.roles),
    get=by_id(lambda session: session.roles),
    searchable=True,
    open=True,
    add=changes.add_role,
    update=changes.update_role,
    remove=changes.remove_role,
    children=(PERMITS,),
)
PERMISSIONS = Collection(
    path="permissions",
    type="Permission",
    show=each(permission_node),
    list=_system_permissions,
    get=by_id(lambda session: session.permissions),
    add=partial(changes.add_permission_on, ObjectType.SYSTEM),
    remove=changes.remove_permission,
)
PERMISSIONS_BELOW_VM = permissions_below(ObjectType.VM)


def user_node(user: User) -> Node:
    values: dict[str, Value] = {
        **named(user),
        "user_name": user.user_name,
        "principal": user.principal,
        "namespace": user.namespace,
        "last_name": user.last_name or None,
        "email": user.email or None,
        "department": user.department or None,
        "domain_entry_id": user.domain_entry_id or user.id,
        "domain": {"name": user.domain},
    }
    return Node(type="User", id=user.id, values=values)


def group_node(group: Group) -> Node:
    values: dict[str, Value] = {
        **named(group),
        "namespace": group.namespace,
        "domain_entry_id": group.domain_entry_id or group.id,
        "domain": {"name": group.domain} if group.domain else None,
    }
    return Node(type="Group", id=group.id, values=values)


def _group_of_user(group: Group) -> Node:
    return replace(group_node(group), path=f"groups/{group.id}")


def _groups_of_users(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Group]]:
    users = call.session.users.by_ids(ids)
    groups = call.session.groups.by_ids({group for user in users.values() for group in user.group_ids})
    return {user.id: [groups[each] for each in sorted(user.group_ids) if each in groups] for user in users.values()}


def _roles_of(column: str) -> Collection:
    def below(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        rows = call.session.permissions.list(ListQuery(where={column: tuple(ids), "object_type": ObjectType.SYSTEM}))
        roles = call.session.roles.by_ids({row.role_id for row in rows})
        return grouped((getattr(row, column), roles[row.role_id]) for row in rows if row.role_id in roles)

    return Collection(path="roles", type="Role", show=each(role_node), below=below)


def users(tags: Collection) -> Collection:
    """With the tags below each."""
    return Collection(
        path="users",
        type="User",
        show=each(user_node),
        list=found(lambda session: session.users),
        get=by_id(lambda session: session.users),
        searchable=True,
        add=changes.add_user,
        update=changes.update_user,
        remove=changes.remove_user,
        children=(
            Collection(path="groups", type="Group", show=each(_group_of_user), below=_groups_of_users, members=False),
            _permissions_of("user_id"),
            _roles_of("user_id"),
            Collection(**empty("sshpublickeys", "SshPublicKey"), below=nothing),
            Collection(**empty("options", "UserOption"), below=nothing),
            tags,
        ),
    )


def groups(tags: Collection) -> Collection:
    """With the tags below each."""
    return Collection(
        path="groups",
        type="Group",
        show=each(group_node),
        list=found(lambda session: session.groups),
        get=by_id(lambda session: session.groups),
        searchable=True,
        add=changes.add_group,
        remove=changes.remove_group,
        children=(_permissions_of("group_id"), _roles_of("group_id"), tags),
    )
