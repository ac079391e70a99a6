# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The repository of each noun: where its rows lie, and what of it lies elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Text, bindparam, cast, delete, insert, update

from covirt.engine.model import access as am
from covirt.engine.model import affinity as gm
from covirt.engine.model import catalogue as cm
from covirt.engine.model.cluster import Cluster, ClusterFeature, ClusterLevel, CpuProfile
from covirt.engine.model.data_center import DataCenter
from covirt.engine.model.disk import Disk, DiskAttachment, ImageTransfer
from covirt.engine.model.event import Event, Job, Step
from covirt.engine.model.hardware import Hardware
from covirt.engine.model.host import Host, HostNic
from covirt.engine.model.network import ClusterNetwork, MacPool, Network, NetworkFilter, VnicProfile
from covirt.engine.model.secret import Secret
from covirt.engine.model.storage_domain import DiskProfile, StorageConnection, StorageDomain
from covirt.engine.model.template import InstanceType, Template
from covirt.engine.model.vm import Cdrom, Nic, Snapshot, Vm
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.repository import E, Facts, Members, Repository
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
from covirt.engine.store.visibility import has_permit, is_there


class DataCenters(Repository[DataCenter]):
    entity, table, noun = DataCenter, infrastructure.data_centers, "Data Center"


class Clusters(Repository[Cluster]):
    entity, table, noun = Cluster, infrastructure.clusters, "Cluster"
    members: ClassVar[Mapping[str, Members]] = {
        "features": Members(table=infrastructure.enabled_features, owner="cluster_id", member="feature_id")
    }


class ClusterFeatures(Repository[ClusterFeature]):
    entity, table, noun = ClusterFeature, infrastructure.cluster_features, "Cluster Feature"


class ClusterLevels(Repository[ClusterLevel]):
    entity, table, noun = ClusterLevel, infrastructure.cluster_levels, "Cluster Level"


class CpuProfiles(Repository[CpuProfile]):
    entity, table, noun = CpuProfile, infrastructure.cpu_profiles, "CPU Profile"


class Hosts(Repository[Host]):
    entity, table, noun = Host, infrastructure.hosts, "Host"
    facts = Facts(table=infrastructure.host_facts, owner="host_id", beside=("status", "memory_bytes"))


class HostNics(Repository[HostNic]):
    entity, table, noun = HostNic, infrastructure.host_nics, "Host NIC"


class Networks(Repository[Network]):
    entity, table, noun = Network, networks.networks, "Network"


class ClusterNetworks(Repository[ClusterNetwork]):
    """Of a cluster: ``where={"cluster_id": …}``; there is no id of its own."""

    entity, table, noun, key = ClusterNetwork, networks.cluster_networks, "Cluster Network", "network_id"

    def update(self, item: ClusterNetwork) -> None:
        """Raises NoSuchObject."""
        there = self._of(item.cluster_id, item.network_id)
        if not self._connection.execute(update(self.table).where(*there).values(self._row(item))).rowcount:
            raise NoSuchObject(noun=self.noun, id=item.network_id)

    def detach(self, cluster_id: str, network_id: str) -> None:
        """Raises NoSuchObject."""
        there = self._of(cluster_id, network_id)
        if not self._connection.execute(delete(self.table).where(*there)).rowcount:
            raise NoSuchObject(noun=self.noun, id=network_id)

    def _of(self, cluster_id: str, network_id: str) -> tuple[ColumnElement[bool], ...]:
        return (self.table.c.cluster_id == cluster_id, self.table.c.network_id == network_id)


class VnicProfiles(Repository[VnicProfile]):
    entity, table, noun = VnicProfile, networks.vnic_profiles, "VM Network Interface Profile"


class NetworkFilters(Repository[NetworkFilter]):
    entity, table, noun = NetworkFilter, networks.network_filters, "Network Filter"


class MacPools(Repository[MacPool]):
    entity, table, noun = MacPool, networks.mac_pools, "MAC Pool"


class StorageConnections(Repository[StorageConnection]):
    entity, table, noun = StorageConnection, storage.storage_connections, "Storage Connection"


class StorageDomains(Repository[StorageDomain]):
    entity, table, noun = StorageDomain, storage.storage_domains, "Storage Domain"
    facts = Facts(table=storage.storage_domain_facts, owner="storage_domain_id")


class DiskProfiles(Repository[DiskProfile]):
    entity, table, noun = DiskProfile, storage.disk_profiles, "Disk Profile"


class Disks(Repository[Disk]):
    entity, table, noun = Disk, storage.disks, "Disk"

    def remove(self, key: object) -> None:
        """Drives that it is in are empty then. Raises NoSuchObject, StillInUse."""
        for name in ("file_id", "current_file_id"):
            drives = update(machines.cdroms).where(machines.cdroms.c[name] == key)
            self._connection.execute(drives.values({name: None}))
        super().remove(key)

    def update_sizes(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        """What the volume that is written to takes, and all of the disk's, by its id; nothing else changes."""
        if not sizes:
            return
        columns = self.table.c
        statement = (
            update(self.table)
            .where(columns["id"] == bindparam("covirt_key"))
            .values(actual_size_bytes=bindparam("actual"), total_size_bytes=bindparam("total"))
        )
        rows = [
            {"covirt_key": key, "actual": actual, "total": total} for key, (actual, total) in sorted(sizes.items())
        ]
        self._connection.execute(statement, rows)


class DiskAttachments(Repository[DiskAttachment]):
    """Of a machine or a template; on the wire its id is the disk's."""

    entity, table, noun, key = DiskAttachment, storage.disk_attachments, "Disk Attachment", "disk_id"

    def update(self, item: DiskAttachment) -> None:
        """Of this owner; a disk may have several. Raises NoSuchObject."""
        changed = self._connection.execute(update(self.table).where(*self._of(item)).values(self._row(item)))
        if not changed.rowcount:
            raise NoSuchObject(noun=self.noun, id=item.disk_id)

    def take_off(self, item: DiskAttachment) -> None:
        """From this owner. One that is not there is fine."""
        self._connection.execute(delete(self.table).where(*self._of(item)))

    def _of(self, item: DiskAttachment) -> list[ColumnElement[bool]]:
        wanted = {"disk_id": item.disk_id, "vm_id": item.vm_id, "template_id": item.template_id}
        return [self.table.c[name] == value for name, value in wanted.items() if value is not None]

    def _built(self, values: dict[str, Any]) -> DiskAttachment:
        del values["number"]
        return DiskAttachment(**values)


class ImageTransfers(Repository[ImageTransfer]):
    entity, table, noun = ImageTransfer, storage.image_transfers, "Image Transfer"


class _Machines(Repository[E]):
    """What has hardware."""

    def unpin(self, host_id: str) -> None:
        """Take the host out of every placement that names it."""
        text = cast(self.table.c["hardware"], Text)
        for item in self._fetch(self._select().where(text.contains(host_id, autoescape=True))):
            hardware: Hardware = getattr(item, "hardware")  # noqa: B009 - E is no protocol
            left = tuple(each for each in hardware.placement_host_ids if each != host_id)
            self.update(replace(item, hardware=replace(hardware, placement_host_ids=left)))  # type: ignore[type-var]


class Templates(_Machines[Template]):
    entity, table, noun = Template, machines.templates, "Template"

    def find(self, **where: object) -> Template | None:
        """Of several, the version with the lowest number."""
        statement = self._select().where(*self._conditions(where)).order_by(self.table.c.version_number).limit(1)
        found = self._fetch(statement)
        return found[0] if found else None


class InstanceTypes(Repository[InstanceType]):
    entity, table, noun = InstanceType, machines.instance_types, "Instance Type"


class Vms(_Machines[Vm]):
    entity, table, noun = Vm, machines.vms, "VM"
    facts = Facts(table=machines.vm_facts, owner="vm_id", beside=("status", "host_id"))


class Nics(Repository[Nic]):
    entity, table, noun = Nic, machines.nics, "VM Network Interface"


class Cdroms(Repository[Cdrom]):
    entity, table, noun = Cdrom, machines.cdroms, "CD-ROM"


class Snapshots(Repository[Snapshot]):
    entity, table, noun = Snapshot, machines.snapshots, "Snapshot"


class AffinityGroups(Repository[gm.AffinityGroup]):
    entity, table, noun = gm.AffinityGroup, groups.affinity_groups, "Affinity Group"
    members: ClassVar[Mapping[str, Members]] = {
        "vm_ids": Members(table=groups.affinity_group_vms, owner="affinity_group_id", member="vm_id"),
        "host_ids": Members(table=groups.affinity_group_hosts, owner="affinity_group_id", member="host_id"),
    }


class AffinityLabels(Repository[gm.AffinityLabel]):
    entity, table, noun = gm.AffinityLabel, groups.affinity_labels, "Affinity Label"
    members: ClassVar[Mapping[str, Members]] = {
        "vm_ids": Members(table=groups.affinity_label_vms, owner="affinity_label_id", member="vm_id"),
        "host_ids": Members(table=groups.affinity_label_hosts, owner="affinity_label_id", member="host_id"),
    }


class Tags(Repository[gm.Tag]):
    entity, table, noun = gm.Tag, groups.tags, "Tag"


class Users(Repository[am.User]):
    entity, table, noun = am.User, access.users, "User"
    members: ClassVar[Mapping[str, Members]] = {
        "group_ids": Members(table=access.user_groups, owner="user_id", member="group_id")
    }


class Groups(Repository[am.Group]):
    entity, table, noun = am.Group, access.groups, "Group"


class Permits(Repository[am.Permit]):
    entity, table, noun = am.Permit, access.permits, "Permit"


class Roles(Repository[am.Role]):
    entity, table, noun = am.Role, access.roles, "Role"
    members: ClassVar[Mapping[str, Members]] = {
        "permit_ids": Members(table=access.role_permits, owner="role_id", member="permit_id")
    }


class Permissions(Repository[am.Permission]):
    entity, table, noun = am.Permission, access.permissions, "Permission"

    def has_permit(self, principal_ids: Iterable[str], permit_id: str, subject: am.Subject) -> bool:
        """Whether one of the principals may do this to the object."""
        return has_permit(self._connection, principal_ids, permit_id, subject)

    def is_there(self, subject: am.Subject) -> bool:
        """Whether there is such an object."""
        return is_there(self._connection, subject)

    def forget(self, object_id: str) -> None:
        """All on an object that is gone."""
        self._connection.execute(delete(self.table).where(self.table.c.object_id == object_id))

    def _built(self, values: dict[str, Any]) -> am.Permission:
        subject = am.Subject(type=values.pop("object_type"), id=values.pop("object_id"))
        return am.Permission(subject=subject, **values)

    def _row(self, item: am.Permission) -> dict[str, Any]:
        return super()._row(item) | {"object_type": item.subject.type, "object_id": item.subject.id}


class Events(Repository[Event]):
    """The store numbers them: what is given as id is not looked at."""

    entity, table, noun = Event, events.events, "Event"

    def append(self, event: Event) -> int:
        """Write an event; the number it got."""
        row = self._row(event)
        del row["id"]
        done = self._connection.execute(insert(self.table).values(row))
        (number,) = done.inserted_primary_key or (0,)
        return int(number)


class Jobs(Repository[Job]):
    entity, table, noun = Job, events.jobs, "Job"


class Steps(Repository[Step]):
    entity, table, noun = Step, events.steps, "Step"


class OperatingSystems(Repository[cm.OperatingSystem]):
    entity, table, noun = cm.OperatingSystem, catalogue.operating_systems, "Operating System"


class Icons(Repository[cm.Icon]):
    entity, table, noun = cm.Icon, catalogue.icons, "Icon"


class SchedulingPolicies(Repository[cm.SchedulingPolicy]):
    entity, table, noun = cm.SchedulingPolicy, catalogue.scheduling_policies, "Scheduling Policy"


class SystemOptions(Repository[cm.SystemOption]):
    entity, table, noun, key = cm.SystemOption, catalogue.system_options, "System Option", "name"


class Secrets(Repository[Secret]):
    entity, table, noun = Secret, secrets.secrets, "Secret"
