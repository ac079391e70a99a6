# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Clusters, and their additional features."""

import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_name
from covirt.engine.commands.places.levels import check_level
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.cluster import Architecture, BiosType, Cluster, CpuProfile, SwitchType
from covirt.engine.model.data_center import DataCenter
from covirt.engine.model.host import HostStatus
from covirt.engine.model.network import ClusterNetwork, NetworkUsage
from covirt.engine.store.query import ListQuery

_LONGEST: Final = 40
_ALL_USAGES: Final = frozenset(
    {
        NetworkUsage.VM,
        NetworkUsage.MANAGEMENT,
        NetworkUsage.DISPLAY,
        NetworkUsage.MIGRATION,
        NetworkUsage.DEFAULT_ROUTE,
    }
)
_ADDED: Final = AuditMessage(code=809, text="Cluster {cluster} was added by {user}")
_UPDATED: Final = AuditMessage(code=811, text="Host cluster {cluster} was updated by {user}")
_REMOVED: Final = AuditMessage(code=813, text="Host cluster {cluster} was removed by {user}")


class ClusterNameInUse(Conflict):
    """Fields: action."""

    template = "Cannot {action} Cluster. Cluster name is already in use."


class LevelBelowDataCenter(InvalidRequest):
    template = (
        "Cannot add Cluster with Compatibility Version that is lower than the Data Center Compatibility Version. "
        "Please upgrade your Cluster to a later Compatibility version first."
    )


class OneClusterOnLocalStorage(Conflict):
    template = 'Cannot add more than one Cluster to a Data Center with "Local Storage".'


class UnknownCpu(InvalidRequest):
    """Fields: action, cpu."""

    template = "Cannot {action} Cluster. The chosen CPU is not supported: {cpu}."


class NoManagementNetwork(InvalidRequest):
    """Fields: action."""

    template = "Cannot {action} Cluster. No single suitable network was found to serve as the management network."


class DataCenterStays(InvalidRequest):
    template = "Cannot change Data Center association when editing a Cluster."


class ManagementNetworkStays(Conflict):
    template = "Cannot edit Cluster. Changing management network in a non-empty cluster is not allowed."


class ArchitectureStays(Conflict):
    template = "Cannot change Cluster CPU architecture when there are Hosts or VMs attached to this Cluster."


class CpuOfHosts(Conflict):
    template = "Cannot change Cluster CPU type unless all Hosts attached to this Cluster are in Maintenance."


class LevelOfHosts(Conflict):
    template = (
        "Cannot change Cluster Compatibility Version unless all Hosts attached to this Cluster are in Maintenance."
    )


class HasHosts(Conflict):
    template = "Cannot remove Cluster. Cluster contains one or more Hosts"


class HasMachines(Conflict):
    """Fields: kind, names."""

    template = "Cannot remove Cluster. Cluster contains one or more {kind}: {names}"


class NotOnHosts(InvalidRequest):
    """Fields: what."""

    template = "Cannot change Cluster. covirt's hosts have no {what}."


class BadOverCommit(InvalidRequest):
    template = "Cannot change Cluster. Memory may be overcommitted to 100 percent of it or more."


class OtherLevelsFeature(InvalidRequest):
    """Fields: feature, level."""

    template = "Cannot change Cluster. The feature {feature} is one of compatibility version {level}."


def add_cluster(change: Change, cluster: Cluster) -> str:
    """The new id. An empty management network is the one called ovirtmgmt, or the data center's only one."""
    change.require(Right.CREATE_CLUSTER, Subject(type=ObjectType.DATA_CENTER, id=cluster.data_center_id))
    _require_mac_pool(change, cluster.mac_pool_id)
    center = change.session.data_centers.get(cluster.data_center_id)
    network_id = cluster.management_network_id or _default_network(change, center)
    added = replace(cluster, id=str(uuid.uuid4()), management_network_id=network_id)
    _check(change, added, "add", center)
    below = ListQuery(where={"data_center_id": center.id}, maximum=1)
    if center.local and change.session.clusters.list(below):
        raise OneClusterOnLocalStorage
    change.session.clusters.add(added)
    change.session.cluster_networks.add(
        ClusterNetwork(cluster_id=added.id, network_id=network_id, required=True, usages=_ALL_USAGES)
    )
    change.session.cpu_profiles.add(CpuProfile(id=str(uuid.uuid4()), name=added.name, cluster_id=added.id))
    change.tell(_ADDED, _about(added), cluster=added.name)
    return added.id


def update_cluster(change: Change, cluster: Cluster) -> None:
    change.require(Right.EDIT_CLUSTER_CONFIGURATION, Subject(type=ObjectType.CLUSTER, id=cluster.id))
    before = change.session.clusters.get(cluster.id)
    if cluster.data_center_id != before.data_center_id:
        raise DataCenterStays
    if cluster.mac_pool_id != before.mac_pool_id:
        _require_mac_pool(change, cluster.mac_pool_id)
    if cluster.version != before.version:
        cluster = replace(cluster, features=_features_of_level(change, cluster))
    _check(change, cluster, "edit", change.session.data_centers.get(cluster.data_center_id))
    _check_hosts(change, before, cluster)
    if cluster.management_network_id != before.management_network_id:
        _move_management(change, before, cluster)
    change.session.clusters.update(cluster)
    change.tell(_UPDATED, _about(cluster), cluster=cluster.name)


def remove_cluster(change: Change, cluster_id: str) -> None:
    """Raises HasHosts, HasMachines."""
    change.require(Right.DELETE_CLUSTER, Subject(type=ObjectType.CLUSTER, id=cluster_id))
    change.require_unlocked(cluster_id)
    cluster = change.session.clusters.get(cluster_id)
    below = ListQuery(where={"cluster_id": cluster_id}, maximum=10)
    if change.session.hosts.list(below):
        raise HasHosts
    for kind, found in (("VMs", change.session.vms.list(below)), ("Templates", change.session.templates.list(below))):
        if found:
            raise HasMachines(kind=kind, names=", ".join(each.name for each in found))
    for profile in change.session.cpu_profiles.list(ListQuery(where={"cluster_id": cluster_id})):
        forget(change.session, profile.id)
    change.session.clusters.remove(cluster_id)
    forget(change.session, cluster_id)
    change.tell(_REMOVED, _about(cluster), cluster=cluster.name)


def enable_feature(change: Change, cluster_id: str, feature_id: str) -> None:
    """From now on hosts that lack it become NonOperational. Raises OtherLevelsFeature."""
    cluster = change.session.clusters.get(cluster_id)
    feature = change.session.cluster_features.get(feature_id)
    if feature.level != str(cluster.version):
        raise OtherLevelsFeature(feature=feature.name, level=feature.level)
    update_cluster(change, replace(cluster, features=cluster.features | {feature_id}))


def disable_feature(change: Change, cluster_id: str, feature_id: str) -> None:
    """What runs goes on running."""
    cluster = change.session.clusters.get(cluster_id)
    update_cluster(change, replace(cluster, features=cluster.features - {feature_id}))


def _require_mac_pool(change: Change, pool_id: str) -> None:
    change.require(Right.CONFIGURE_MAC_POOL, Subject(type=ObjectType.MAC_POOL, id=pool_id))


def _check(change: Change, cluster: Cluster, action: str, center: DataCenter) -> None:
    check_name("Cluster", cluster.name, longest=_LONGEST)
    check_level(action, "Cluster", cluster.version)
    if (cluster.version.major, cluster.version.minor) < (center.version.major, center.version.minor):
        raise LevelBelowDataCenter
    other = change.session.clusters.find(name=cluster.name)
    if other is not None and other.id != cluster.id:
        raise ClusterNameInUse(action=action)
    level = change.session.cluster_levels.get(str(cluster.version))
    if cluster.cpu_type and cluster.cpu_type not in {each.name for each in level.cpu_types}:
        raise UnknownCpu(action=action, cpu=cluster.cpu_type)
    if cluster.cpu_architecture not in (Architecture.UNDEFINED, Architecture.X86_64):
        raise NotOnHosts(what=f"architecture {cluster.cpu_architecture}")
    if cluster.switch_type is not SwitchType.LEGACY:
        raise NotOnHosts(what=f"switch type {cluster.switch_type}")
    if cluster.bios_type is BiosType.CLUSTER_DEFAULT:
        raise NotOnHosts(what="BIOS type of a cluster that is the cluster's")
    if cluster.memory_over_commit_percent < 100:
        raise BadOverCommit
    network = change.session.networks.get(cluster.management_network_id)
    if network.data_center_id != center.id:
        raise NoManagementNetwork(action=action)


def _check_hosts(change: Change, before: Cluster, after: Cluster) -> None:
    hosts = change.session.hosts.list(ListQuery(where={"cluster_id": after.id}))
    if after.cpu_architecture != before.cpu_architecture and before.cpu_architecture is not Architecture.UNDEFINED:
        vms = change.session.vms.list(ListQuery(where={"cluster_id": after.id}, maximum=1))
        if hosts or vms:
            raise ArchitectureStays
    awake = any(host.facts.status is not HostStatus.MAINTENANCE for host in hosts)
    if awake and before.cpu_type and after.cpu_type != before.cpu_type:
        raise CpuOfHosts
    if awake and after.version != before.version:
        raise LevelOfHosts


def _move_management(change: Change, before: Cluster, after: Cluster) -> None:
    if change.session.hosts.find(cluster_id=after.id) is not None:
        raise ManagementNetworkStays
    networks = change.session.cluster_networks
    old = networks.find(cluster_id=after.id, network_id=before.management_network_id)
    new = networks.find(cluster_id=after.id, network_id=after.management_network_id)
    if old is not None:
        networks.update(replace(old, usages=old.usages - {NetworkUsage.MANAGEMENT}))
    if new is None:
        new = ClusterNetwork(cluster_id=after.id, network_id=after.management_network_id)
        networks.add(new)
    networks.update(replace(new, required=True, usages=new.usages | {NetworkUsage.MANAGEMENT}))


def _features_of_level(change: Change, cluster: Cluster) -> frozenset[str]:
    """Those of the same names at the cluster's new level."""
    features = change.session.cluster_features
    names = {each.name for each in features.by_ids(cluster.features).values()}
    of_level = features.list(ListQuery(where={"level": str(cluster.version)}))
    return frozenset(each.id for each in of_level if each.name in names)


def _default_network(change: Change, center: DataCenter) -> str:
    networks = change.session.networks.list(ListQuery(where={"data_center_id": center.id}))
    named = [each for each in networks if each.name == "ovirtmgmt"] or networks
    if len(named) != 1:
        raise NoManagementNetwork(action="add")
    return named[0].id


def _about(cluster: Cluster) -> About:
    return About(cluster_id=cluster.id, data_center_id=cluster.data_center_id)
