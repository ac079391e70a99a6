# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Storage domains, how hosts reach them, and disk profiles."""

from collections.abc import Mapping, Sequence

from covirt.engine.api.call import Call
from covirt.engine.api.changes import places, storage
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.access import permissions_below
from covirt.engine.api.resources.disks import DISKS_OF_STORAGE_DOMAIN
from covirt.engine.api.resources.loading import by_id, by_parent, each, empty, found, grouped, nothing
from covirt.engine.api.resources.values import named, reference
from covirt.engine.model.access import ObjectType
from covirt.engine.model.disk import Disk, DiskContentType
from covirt.engine.model.storage_domain import DiskProfile, StorageConnection, StorageDomain
from covirt.engine.store.query import ListQuery


def _domains(call: Call, items: Sequence[tuple[str, StorageDomain]]) -> Sequence[Node]:
    connections = call.session.storage_connections.by_ids(
        {domain.connection_id for _, domain in items if domain.connection_id}
    )
    return [_domain_node(path, domain, connections.get(domain.connection_id)) for path, domain in items]


def _domain_node(path: str, domain: StorageDomain, connection: StorageConnection | None) -> Node:
    facts, attached = domain.facts, domain.data_center_id is not None
    place = {"type": str(connection.type), **_where(connection)} if connection else None
    centers: list[Value] = [reference("DataCenter", domain.data_center_id)]
    values: dict[str, Value] = {
        **named(domain),
        "type": str(domain.type),
        "status": str(domain.status) if not attached or path.startswith("datacenters/") else None,
        "external_status": "ok",
        "master": domain.master,
        "storage": place,
        "storage_format": str(domain.storage_format),
        "available": facts.available_bytes if attached else None,
        "used": facts.used_bytes if attached else None,
        "committed": facts.committed_bytes,
        "wipe_after_delete": domain.wipe_after_delete,
        "discard_after_delete": domain.discard_after_delete,
        "supports_discard": False,
        "supports_discard_zeroes_data": False,
        "backup": domain.backup,
        "block_size": 512,
        "warning_low_space_indicator": domain.warning_low_space_percent,
        "critical_space_action_blocker": domain.critical_space_gib,
    }
    if attached:
        values["data_center" if path.startswith("datacenters/") else "data_centers"] = (
            centers[0] if path.startswith("datacenters/") else centers
        )
    return Node(type="StorageDomain", id=domain.id, values=values)


def _where(connection: StorageConnection) -> dict[str, Value]:
    return {
        "address": connection.address or None,
        "path": connection.path or None,
        "nfs_version": connection.nfs_version or None,
        "nfs_timeo": connection.nfs_timeo,
        "nfs_retrans": connection.nfs_retrans,
        "mount_options": connection.mount_options or None,
        "vfs_type": connection.vfs_type or None,
    }


def connection_node(connection: StorageConnection) -> Node:
    values: dict[str, Value] = {
        **_where(connection),
        "type": str(connection.type),
        "host": reference("Host", connection.host_id),
    }
    return Node(type="StorageConnection", id=connection.id, values=values)


def _connections_of(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[StorageConnection]]:
    domains = call.session.storage_domains.by_ids(ids)
    connections = call.session.storage_connections.by_ids(
        {domain.connection_id for domain in domains.values() if domain.connection_id}
    )
    return {
        domain.id: [connections[domain.connection_id]]
        for domain in domains.values()
        if domain.connection_id in connections
    }


def _files(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Disk]]:
    disks: Sequence[Disk] = call.session.disks.list(
        ListQuery(
            where={"storage_domain_id": tuple(ids), "content_type": DiskContentType.ISO}, visible_to=call.viewer
        )
    )
    return grouped((disk.storage_domain_id, disk) for disk in disks)


def _file_node(disk: Disk) -> Node:
    values: dict[str, Value] = {
        "name": disk.name,
        "type": "iso",
        "storage_domain": reference("StorageDomain", disk.storage_domain_id),
    }
    return Node(type="File", id=disk.id, values=values)


def profile_node(profile: DiskProfile) -> Node:
    values: dict[str, Value] = {
        **named(profile),
        "storage_domain": reference("StorageDomain", profile.storage_domain_id),
    }
    return Node(type="DiskProfile", id=profile.id, values=values)


STORAGE_DOMAINS = Collection(
    path="storagedomains",
    type="StorageDomain",
    show=_domains,
    list=found(lambda session: session.storage_domains),
    get=by_id(lambda session: session.storage_domains),
    add=storage.add_domain,
    update=storage.update_domain,
    remove=storage.remove_domain,
    searchable=True,
    children=(
        Collection(
            path="diskprofiles",
            type="DiskProfile",
            show=each(profile_node),
            below=by_parent(lambda session: session.disk_profiles, "storage_domain_id"),
        ),
        DISKS_OF_STORAGE_DOMAIN,
        Collection(**empty("disksnapshots", "DiskSnapshot"), below=nothing),
        Collection(path="files", type="File", show=each(_file_node), below=_files),
        permissions_below(ObjectType.STORAGE_DOMAIN),
        Collection(
            path="storageconnections", type="StorageConnection", show=each(connection_node), below=_connections_of
        ),
        Collection(**empty("templates", "Template"), below=nothing),
        Collection(**empty("vms", "Vm"), below=nothing),
    ),
)
STORAGE_DOMAINS_OF_DATA_CENTER = Collection(
    path="storagedomains",
    type="StorageDomain",
    show=_domains,
    below=by_parent(lambda session: session.storage_domains, "data_center_id"),
    add=storage.attach_domain,
    remove=storage.detach_domain,
    actions={"activate": storage.activate_domain, "deactivate": storage.deactivate_domain},
    children=(DISKS_OF_STORAGE_DOMAIN,),
)
STORAGE_CONNECTIONS = Collection(
    path="storageconnections",
    type="StorageConnection",
    show=each(connection_node),
    list=found(lambda session: session.storage_connections),
    get=by_id(lambda session: session.storage_connections),
)
DISK_PROFILES = Collection(
    path="diskprofiles",
    type="DiskProfile",
    show=each(profile_node),
    list=found(lambda session: session.disk_profiles),
    get=by_id(lambda session: session.disk_profiles),
    add=places.add_disk_profile,
    update=places.update_disk_profile,
    remove=places.remove_disk_profile,
    children=(permissions_below(ObjectType.DISK_PROFILE),),
)
