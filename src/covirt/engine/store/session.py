# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One transaction, with a repository for each noun."""

from functools import cached_property

from sqlalchemy import Connection

from covirt.engine.store import repositories as of
from covirt.engine.store.accounts import Accounts
from covirt.engine.store.commands import CommandRows
from covirt.engine.store.container_images import ContainerImages
from covirt.engine.store.enrolments import Enrolments
from covirt.engine.store.figures import Figures, figures
from covirt.engine.store.history import History
from covirt.engine.store.taggings import Taggings


class Session:
    """Used inside ``with store.read()`` or ``with store.write()`` only, by one thread."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def data_centers(self) -> of.DataCenters:
        return of.DataCenters(self.connection)

    @cached_property
    def clusters(self) -> of.Clusters:
        return of.Clusters(self.connection)

    @cached_property
    def cluster_features(self) -> of.ClusterFeatures:
        return of.ClusterFeatures(self.connection)

    @cached_property
    def cluster_levels(self) -> of.ClusterLevels:
        return of.ClusterLevels(self.connection)

    @cached_property
    def cpu_profiles(self) -> of.CpuProfiles:
        return of.CpuProfiles(self.connection)

    @cached_property
    def hosts(self) -> of.Hosts:
        return of.Hosts(self.connection)

    @cached_property
    def host_nics(self) -> of.HostNics:
        return of.HostNics(self.connection)

    @cached_property
    def networks(self) -> of.Networks:
        return of.Networks(self.connection)

    @cached_property
    def cluster_networks(self) -> of.ClusterNetworks:
        return of.ClusterNetworks(self.connection)

    @cached_property
    def vnic_profiles(self) -> of.VnicProfiles:
        return of.VnicProfiles(self.connection)

    @cached_property
    def network_filters(self) -> of.NetworkFilters:
        return of.NetworkFilters(self.connection)

    @cached_property
    def mac_pools(self) -> of.MacPools:
        return of.MacPools(self.connection)

    @cached_property
    def storage_connections(self) -> of.StorageConnections:
        return of.StorageConnections(self.connection)

    @cached_property
    def storage_domains(self) -> of.StorageDomains:
        return of.StorageDomains(self.connection)

    @cached_property
    def disk_profiles(self) -> of.DiskProfiles:
        return of.DiskProfiles(self.connection)

    @cached_property
    def disks(self) -> of.Disks:
        return of.Disks(self.connection)

    @cached_property
    def disk_attachments(self) -> of.DiskAttachments:
        return of.DiskAttachments(self.connection)

    @cached_property
    def image_transfers(self) -> of.ImageTransfers:
        return of.ImageTransfers(self.connection)

    @cached_property
    def templates(self) -> of.Templates:
        return of.Templates(self.connection)

    @cached_property
    def instance_types(self) -> of.InstanceTypes:
        return of.InstanceTypes(self.connection)

    @cached_property
    def vms(self) -> of.Vms:
        return of.Vms(self.connection)

    @cached_property
    def nics(self) -> of.Nics:
        return of.Nics(self.connection)

    @cached_property
    def cdroms(self) -> of.Cdroms:
        return of.Cdroms(self.connection)

    @cached_property
    def snapshots(self) -> of.Snapshots:
        return of.Snapshots(self.connection)

    @cached_property
    def affinity_groups(self) -> of.AffinityGroups:
        return of.AffinityGroups(self.connection)

    @cached_property
    def affinity_labels(self) -> of.AffinityLabels:
        return of.AffinityLabels(self.connection)

    @cached_property
    def tags(self) -> of.Tags:
        return of.Tags(self.connection)

    @cached_property
    def taggings(self) -> Taggings:
        return Taggings(self.connection)

    @cached_property
    def users(self) -> of.Users:
        return of.Users(self.connection)

    @cached_property
    def groups(self) -> of.Groups:
        return of.Groups(self.connection)

    @cached_property
    def permits(self) -> of.Permits:
        return of.Permits(self.connection)

    @cached_property
    def roles(self) -> of.Roles:
        return of.Roles(self.connection)

    @cached_property
    def permissions(self) -> of.Permissions:
        return of.Permissions(self.connection)

    @cached_property
    def events(self) -> of.Events:
        return of.Events(self.connection)

    @cached_property
    def jobs(self) -> of.Jobs:
        return of.Jobs(self.connection)

    @cached_property
    def steps(self) -> of.Steps:
        return of.Steps(self.connection)

    @cached_property
    def operating_systems(self) -> of.OperatingSystems:
        return of.OperatingSystems(self.connection)

    @cached_property
    def icons(self) -> of.Icons:
        return of.Icons(self.connection)

    @cached_property
    def scheduling_policies(self) -> of.SchedulingPolicies:
        return of.SchedulingPolicies(self.connection)

    @cached_property
    def system_options(self) -> of.SystemOptions:
        return of.SystemOptions(self.connection)

    @cached_property
    def enrolments(self) -> Enrolments:
        return Enrolments(self.connection)

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.connection)

    @cached_property
    def commands(self) -> CommandRows:
        return CommandRows(self.connection)

    @cached_property
    def history(self) -> History:
        return History(self.connection)

    @cached_property
    def secrets(self) -> of.Secrets:
        return of.Secrets(self.connection)

    @cached_property
    def container_images(self) -> ContainerImages:
        return ContainerImages(self.connection)

    def figures(self) -> Figures:
        """The whole installation, for who watches it."""
        return figures(self.connection)
