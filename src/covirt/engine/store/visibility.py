# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Who may do and see what, as SQL: permissions hold for an object and for what lies in it.

One table says what lies in what. Lists and single questions are answered from it, so that they never differ.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, exists, false, or_, select, true

from covirt.engine.model.access import SYSTEM_ID, ObjectType, Subject
from covirt.engine.store.links import Link, to, via
from covirt.engine.store.query import Viewer
from covirt.engine.store.tables import (
    access,
    catalogue,
    events,
    groups,
    infrastructure,
    machines,
    networks,
    secrets,
    storage,
)

_permission, _role = access.permissions.c, access.roles.c
_attached = storage.disk_attachments.c

TABLES: Final[Mapping[ObjectType, Table]] = {
    ObjectType.DATA_CENTER: infrastructure.data_centers,
    ObjectType.CLUSTER: infrastructure.clusters,
    ObjectType.HOST: infrastructure.hosts,
    ObjectType.STORAGE_DOMAIN: storage.storage_domains,
    ObjectType.NETWORK: networks.networks,
    ObjectType.VNIC_PROFILE: networks.vnic_profiles,
    ObjectType.MAC_POOL: networks.mac_pools,
    ObjectType.VM: machines.vms,
    ObjectType.TEMPLATE: machines.templates,
    ObjectType.DISK: storage.disks,
    ObjectType.CPU_PROFILE: infrastructure.cpu_profiles,
    ObjectType.DISK_PROFILE: storage.disk_profiles,
    ObjectType.SECRET: secrets.secrets,
}
_TYPES: Final = {table: kind for kind, table in TABLES.items()}

# What an object lies in, beside the system.
PARENTS: Final[Mapping[ObjectType, tuple[tuple[ObjectType, Link], ...]]] = {
    ObjectType.CLUSTER: ((ObjectType.DATA_CENTER, to(infrastructure.clusters.c.data_center_id)),),
    ObjectType.HOST: ((ObjectType.CLUSTER, to(infrastructure.hosts.c.cluster_id)),),
    ObjectType.VM: ((ObjectType.CLUSTER, to(machines.vms.c.cluster_id)),),
    ObjectType.TEMPLATE: ((ObjectType.CLUSTER, to(machines.templates.c.cluster_id)),),
    ObjectType.STORAGE_DOMAIN: ((ObjectType.DATA_CENTER, to(storage.storage_domains.c.data_center_id)),),
    ObjectType.DISK: (
        (ObjectType.STORAGE_DOMAIN, to(storage.disks.c.storage_domain_id)),
        (ObjectType.VM, via(_attached.disk_id, _attached.vm_id, storage.disks.c.id)),
        (ObjectType.TEMPLATE, via(_attached.disk_id, _attached.template_id, storage.disks.c.id)),
    ),
    ObjectType.NETWORK: ((ObjectType.DATA_CENTER, to(networks.networks.c.data_center_id)),),
    ObjectType.VNIC_PROFILE: ((ObjectType.NETWORK, to(networks.vnic_profiles.c.network_id)),),
    ObjectType.CPU_PROFILE: ((ObjectType.CLUSTER, to(infrastructure.cpu_profiles.c.cluster_id)),),
    ObjectType.DISK_PROFILE: ((ObjectType.STORAGE_DOMAIN, to(storage.disk_profiles.c.storage_domain_id)),),
}

# Small tables that tell nothing of anybody: whoever is logged in sees them.
_PUBLIC: Final = frozenset(
    {
        infrastructure.cluster_levels,
        infrastructure.cluster_features,
        machines.instance_types,
        networks.network_filters,
        access.permits,
        access.roles,
        catalogue.operating_systems,
        catalogue.icons,
        catalogue.scheduling_policies,
        catalogue.system_options,
    }
)
# Seen with the object that one of their columns names.
_WITH: Final[Mapping[Table, tuple[tuple[str, ObjectType], ...]]] = {
    machines.nics: (("vm_id", ObjectType.VM), ("template_id", ObjectType.TEMPLATE)),
    machines.cdroms: (("vm_id", ObjectType.VM), ("template_id", ObjectType.TEMPLATE)),
    machines.snapshots: (("vm_id", ObjectType.VM),),
    storage.disk_attachments: (("vm_id", ObjectType.VM), ("template_id", ObjectType.TEMPLATE)),
    storage.image_transfers: (("disk_id", ObjectType.DISK),),
    infrastructure.host_nics: (("host_id", ObjectType.HOST),),
    networks.cluster_networks: (("cluster_id", ObjectType.CLUSTER),),
    groups.affinity_groups: (("cluster_id", ObjectType.CLUSTER),),
    events.events: (
        ("vm_id", ObjectType.VM),
        ("template_id", ObjectType.TEMPLATE),
        ("host_id", ObjectType.HOST),
        ("storage_domain_id", ObjectType.STORAGE_DOMAIN),
    ),
}
# Seen by whom one of their columns names.
_OWN: Final[Mapping[Table, tuple[str, ...]]] = {
    access.users: ("id",),
    access.groups: ("id",),
    access.permissions: ("user_id", "group_id"),
    events.events: ("user_id",),
    events.jobs: ("owner_id",),
}


def visible(table: Table, viewer: Viewer) -> ColumnElement[bool]:
    """Whether the viewer sees a row. What no rule speaks of is seen by nobody but administrators."""
    if table in _PUBLIC:
        return true()
    if (kind := _TYPES.get(table)) is not None:
        return _sees(kind, viewer)
    rules = [table.c[column].in_(_seen(kind, viewer)) for column, kind in _WITH.get(table, ())]
    rules += [table.c[column].in_(sorted(viewer.principal_ids)) for column in _OWN.get(table, ())]
    return or_(false(), *rules)


def has_permit(connection: Connection, principal_ids: Iterable[str], permit_id: str, subject: Subject) -> bool:
    """Whether one of the principals has a role with this permit on the object, or on what it lies in."""
    with_permit = select(access.role_permits.c.role_id).where(access.role_permits.c.permit_id == permit_id)
    grants = _grants(principal_ids, _permission.role_id.in_(with_permit))
    if subject.type is ObjectType.SYSTEM:
        condition = grants.where(_permission.object_id == SYSTEM_ID).exists()
    else:
        own = TABLES[subject.type].c["id"]
        condition = exists(_reached(subject.type, grants).where(own == subject.id))
    return bool(connection.execute(select(condition)).scalar())


def is_there(connection: Connection, subject: Subject) -> bool:
    """Whether the object is in the database."""
    if subject.type is ObjectType.SYSTEM:
        return True
    own = TABLES[subject.type].c["id"]
    return connection.scalar(select(own).where(own == subject.id)) is not None


def _seen(kind: ObjectType, viewer: Viewer) -> Select[Any]:
    return select(TABLES[kind].c["id"]).where(_sees(kind, viewer))


def _sees(kind: ObjectType, viewer: Viewer) -> ColumnElement[bool]:
    shows = _permission.role_id.in_(select(_role.id).where(_role.shows_contents))
    return _within(kind, _grants(viewer.principal_ids), _grants(viewer.principal_ids, shows))


def _grants(principal_ids: Iterable[str], *conditions: ColumnElement[bool]) -> Select[Any]:
    """Ids of the objects that permissions of these principals are on."""
    ids = sorted(principal_ids)
    holder = or_(_permission.user_id.in_(ids), _permission.group_id.in_(ids))
    return select(_permission.object_id).where(and_(holder, *conditions))


def _within(kind: ObjectType, direct: Select[Any], inherited: Select[Any]) -> ColumnElement[bool]:
    """Whether an object is among ``direct``, or lies in one that is among ``inherited``."""
    own = TABLES[kind].c["id"]
    everywhere = inherited.where(_permission.object_id == SYSTEM_ID).exists()
    parents = (link(_reached(parent, inherited)) for parent, link in PARENTS.get(kind, ()))
    return or_(everywhere, own.in_(direct), *parents)


def _reached(kind: ObjectType, grants: Select[Any]) -> Select[Any]:
    return select(TABLES[kind].c["id"]).where(_within(kind, grants, grants))
