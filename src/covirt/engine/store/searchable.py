# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What each noun may be searched by, and how nouns hang together: one table, which is also what refusals list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, or_, select

from covirt.engine.model.affinity import TaggedType
from covirt.engine.store.links import Link, back, to, via
from covirt.engine.store.tables import access, catalogue, events, groups, infrastructure, machines, networks, storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Searchable:
    """``fields``: name to column of the noun's own tables. ``related``: name to (noun, how from its ids to ours).

    ``by_name``: fields that are the name of a related noun, as in cluster=Default. ``free``: what free text looks at.
    """

    table: Table
    fields: Mapping[str, ColumnElement[Any]]
    related: Mapping[str, tuple[str, Link]] = field(default_factory=dict)
    by_name: Mapping[str, str] = field(default_factory=dict)
    free: tuple[str, ...] = ("name", "description", "comment")
    joined: tuple[Table, Column[Any]] | None = None  # facts, and their column that holds the noun's id
    order: tuple[str, ...] = ("name",)
    newest_first: bool = False

    @property
    def names(self) -> list[str]:
        """All that may stand before an operator."""
        return sorted([*self.fields, *self.by_name, *(f"{name}.…" for name in self.related)])


def _tagged(kind: TaggedType, own: Column[Any]) -> Link:
    pairs = groups.taggings.c
    return via(pairs.object_id, pairs.tag_id, own, pairs.type == kind)


def _called(table: Table, **more: ColumnElement[Any]) -> Mapping[str, ColumnElement[Any]]:
    """What every noun has, and more."""
    return {name: table.c[name] for name in ("id", "name", "description", "comment")} | more


_vm, _vm_facts, _template = machines.vms.c, machines.vm_facts.c, machines.templates.c
_cluster, _center = infrastructure.clusters.c, infrastructure.data_centers.c
_host, _host_facts = infrastructure.hosts.c, infrastructure.host_facts.c
_domain, _disk = storage.storage_domains.c, storage.disks.c
_attached, _nic, _profile = storage.disk_attachments.c, machines.nics.c, networks.vnic_profiles.c
_network, _cluster_network = networks.networks.c, networks.cluster_networks.c
_user, _event, _job = access.users.c, events.events.c, events.jobs.c


def _of_cluster(column: Column[Any]) -> Link:
    """To a data center, over the cluster that our column names."""
    return lambda ids: column.in_(select(_cluster.id).where(_cluster.data_center_id.in_(ids)))


def _of_cluster_or_none(column: Column[Any]) -> Link:
    """The same; what is in no cluster (Blank) belongs to every data center, where clients look for it."""
    in_cluster = _of_cluster(column)
    return lambda ids: or_(in_cluster(ids), column.is_(None))


SEARCHABLE: Final[Mapping[str, Searchable]] = {
    "vms": Searchable(
        table=machines.vms,
        joined=(machines.vm_facts, _vm_facts.vm_id),
        fields=_called(
            machines.vms, status=_vm_facts.status, creationdate=_vm.created_at, kind=_vm.kind, origin=_vm.origin
        ),
        related={
            "clusters": ("clusters", to(_vm.cluster_id)),
            "datacenters": ("datacenters", _of_cluster(_vm.cluster_id)),
            "hosts": ("hosts", to(_vm_facts.host_id)),
            "templates": ("templates", to(_vm.template_id)),
            "tags": ("tags", _tagged(TaggedType.VM, _vm.id)),
            "disks": ("disks", via(_attached.vm_id, _attached.disk_id, _vm.id)),
            "vnics": ("vnics", back(_nic.vm_id, _vm.id)),
        },
        by_name={
            "cluster": "clusters",
            "datacenter": "datacenters",
            "host": "hosts",
            "template": "templates",
            "tag": "tags",
        },
    ),
    "vnics": Searchable(
        table=machines.nics,
        fields=_called(machines.nics, mac=_nic.mac),
        related={
            "networks": (
                "networks",
                lambda ids: _nic.vnic_profile_id.in_(select(_profile.id).where(_profile.network_id.in_(ids))),
            )
        },
        by_name={"network_name": "networks"},
    ),
    "templates": Searchable(
        table=machines.templates,
        fields=_called(
            machines.templates, status=_template.status, creationdate=_template.created_at, kind=_template.kind
        ),
        related={
            "clusters": ("clusters", to(_template.cluster_id)),
            "datacenters": ("datacenters", _of_cluster_or_none(_template.cluster_id)),
            "vms": ("vms", back(_vm.template_id, _template.id)),
        },
        by_name={"cluster": "clusters", "datacenter": "datacenters"},
    ),
    "hosts": Searchable(
        table=infrastructure.hosts,
        joined=(infrastructure.host_facts, _host_facts.host_id),
        fields=_called(
            infrastructure.hosts, address=_host.address, status=_host_facts.status, memory=_host_facts.memory_bytes
        ),
        related={
            "clusters": ("clusters", to(_host.cluster_id)),
            "datacenters": ("datacenters", _of_cluster(_host.cluster_id)),
            "vms": ("vms", lambda ids: _host.id.in_(select(_vm_facts.host_id).where(_vm_facts.vm_id.in_(ids)))),
            "tags": ("tags", _tagged(TaggedType.HOST, _host.id)),
        },
        by_name={"cluster": "clusters", "datacenter": "datacenters", "tag": "tags"},
    ),
    "clusters": Searchable(
        table=infrastructure.clusters,
        fields=_called(infrastructure.clusters, architecture=_cluster.cpu_architecture),
        related={
            "datacenters": ("datacenters", to(_cluster.data_center_id)),
            "hosts": ("hosts", back(_host.cluster_id, _cluster.id)),
            "vms": ("vms", back(_vm.cluster_id, _cluster.id)),
            "networks": ("networks", via(_cluster_network.cluster_id, _cluster_network.network_id, _cluster.id)),
        },
        by_name={"datacenter": "datacenters"},
    ),
    "datacenters": Searchable(
        table=infrastructure.data_centers,
        fields=_called(infrastructure.data_centers, status=_center.status, local=_center.local),
        related={
            "clusters": ("clusters", back(_cluster.data_center_id, _center.id)),
            "storage": ("storagedomains", back(_domain.data_center_id, _center.id)),
            "networks": ("networks", back(_network.data_center_id, _center.id)),
        },
    ),
    "storagedomains": Searchable(
        table=storage.storage_domains,
        fields=_called(storage.storage_domains, status=_domain.status, type=_domain.type, master=_domain.master),
        related={
            "datacenters": ("datacenters", to(_domain.data_center_id)),
            "disks": ("disks", back(_disk.storage_domain_id, _domain.id)),
        },
        by_name={"datacenter": "datacenters"},
    ),
    "disks": Searchable(
        table=storage.disks,
        fields=_called(
            storage.disks,
            alias=_disk.name,
            status=_disk.status,
            format=_disk.format,
            disk_content_type=_disk.content_type,
            provisioned_size=_disk.provisioned_size_bytes,
            creation_date=_disk.created_at,
            image_id=_disk.image_id,
            shareable=_disk.shareable,
        ),
        related={
            "storage": ("storagedomains", to(_disk.storage_domain_id)),
            "vms": ("vms", via(_attached.disk_id, _attached.vm_id, _disk.id)),
            "templates": ("templates", via(_attached.disk_id, _attached.template_id, _disk.id)),
        },
        by_name={"storage_domain": "storage", "vm_names": "vms"},
    ),
    "networks": Searchable(
        table=networks.networks,
        fields=_called(networks.networks, vlanid=_network.vlan_id, mtu=_network.mtu, vdsm_name=_network.vdsm_name),
        related={
            "datacenters": ("datacenters", to(_network.data_center_id)),
            "clusters": ("clusters", via(_cluster_network.network_id, _cluster_network.cluster_id, _network.id)),
        },
        by_name={"datacenter": "datacenters", "cluster_network": "clusters"},
    ),
    "vnicprofiles": Searchable(
        table=networks.vnic_profiles,
        fields=_called(networks.vnic_profiles),
        related={"networks": ("networks", to(_profile.network_id))},
        by_name={"network": "networks"},
    ),
    "macpools": Searchable(table=networks.mac_pools, fields=_called(networks.mac_pools)),
    "tags": Searchable(table=groups.tags, fields=_called(groups.tags)),
    "affinitylabels": Searchable(table=groups.affinity_labels, fields=_called(groups.affinity_labels)),
    "users": Searchable(
        table=access.users,
        fields=_called(
            access.users,
            usrname=_user.principal + "@" + _user.domain,  # as the API tells it, and as Ansible looks for it
            lastname=_user.last_name,
            directory=_user.domain,
            email=_user.email,
            department=_user.department,
        ),
        free=("name", "usrname", "lastname", "email"),
        related={"tags": ("tags", _tagged(TaggedType.USER, _user.id))},
        by_name={"tag": "tags"},
        order=("principal",),
    ),
    "groups": Searchable(table=access.groups, fields=_called(access.groups, directory=access.groups.c.domain)),
    "roles": Searchable(table=access.roles, fields=_called(access.roles)),
    "instancetypes": Searchable(table=machines.instance_types, fields=_called(machines.instance_types)),
    "operatingsystems": Searchable(table=catalogue.operating_systems, fields=_called(catalogue.operating_systems)),
    "events": Searchable(
        table=events.events,
        fields={
            "id": _event.id,
            "type": _event.code,
            "severity": _event.severity,
            "message": _event.description,
            "time": _event.time,
            "usrname": _event.user_name,
            "correlation_id": _event.correlation_id,
            "origin": _event.origin,
            "custom_id": _event.custom_id,
        },
        free=("message",),
        related={
            "vms": ("vms", to(_event.vm_id)),
            "hosts": ("hosts", to(_event.host_id)),
            "clusters": ("clusters", to(_event.cluster_id)),
            "templates": ("templates", to(_event.template_id)),
            "datacenters": ("datacenters", to(_event.data_center_id)),
            "storage": ("storagedomains", to(_event.storage_domain_id)),
        },
        by_name={
            "event_vm": "vms",
            "event_host": "hosts",
            "vm": "vms",
            "host": "hosts",
            "cluster": "clusters",
            "template": "templates",
            "event_datacenter": "datacenters",
            "event_storage": "storage",
        },
        order=("id",),
        newest_first=True,
    ),
    "jobs": Searchable(
        table=events.jobs,
        fields={
            "id": _job.id,
            "description": _job.description,
            "status": _job.status,
            "start_time": _job.start_time,
            "correlation_id": _job.correlation_id,
        },
        free=("description",),
        order=("start_time", "id"),
        newest_first=True,
    ),
}
BY_TABLE: Final[Mapping[Table, str]] = {noun.table: name for name, noun in SEARCHABLE.items()}
# Words for other nouns that oVirt's searches know beside ours: "Vms.name" is there, "Vm.name" too.
SYNONYMS: Final[Mapping[str, str]] = {
    "vm": "vms",
    "host": "hosts",
    "cluster": "clusters",
    "datacenter": "datacenters",
    "template": "templates",
    "tag": "tags",
    "disk": "disks",
    "vnic": "vnics",
    "network": "networks",
    "storagedomains": "storage",
}
