# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Data centers, clusters, their levels, features and CPU profiles."""

from collections.abc import Mapping, Sequence
from typing import Final

from covirt.engine.api.call import Call
from covirt.engine.api.changes import places as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.absent import GLUSTER_HOOKS, GLUSTER_VOLUMES
from covirt.engine.api.resources.access import permissions_below, permit_node
from covirt.engine.api.resources.affinity import GROUPS_OF_CLUSTER
from covirt.engine.api.resources.loading import by_id, by_parent, each, empty, found, nothing
from covirt.engine.api.resources.networks import NETWORKS_OF_CLUSTER, NETWORKS_OF_DATA_CENTER
from covirt.engine.api.resources.storage_domains import STORAGE_DOMAINS_OF_DATA_CENTER
from covirt.engine.api.resources.values import named, properties, reference, version
from covirt.engine.model.access import ObjectType
from covirt.engine.model.cluster import (
    Cluster,
    ClusterFeature,
    ClusterLevel,
    CpuProfile,
    FencingSettings,
    MigrationSettings,
)
from covirt.engine.model.data_center import DataCenter


def data_center_node(center: DataCenter) -> Node:
    values: dict[str, Value] = {
        **named(center),
        "status": str(center.status),
        "local": center.local,
        "version": version(center.version),
        "supported_versions": [version(center.version)],
        "storage_format": str(center.storage_format),
        "quota_mode": str(center.quota_mode),
        "mac_pool": reference("MacPool", center.mac_pool_id),
    }
    return Node(type="DataCenter", id=center.id, values=values)


def cluster_node(cluster: Cluster) -> Node:
    values: dict[str, Value] = {
        **named(cluster),
        **_policies(cluster),
        "data_center": reference("DataCenter", cluster.data_center_id),
        "version": version(cluster.version),
        "cpu": {"type": cluster.cpu_type or None, "architecture": str(cluster.cpu_architecture)},
        "bios_type": str(cluster.bios_type),
        "firewall_type": str(cluster.firewall_type),
        "switch_type": str(cluster.switch_type),
        "scheduling_policy": reference("SchedulingPolicy", cluster.scheduling_policy_id),
        "mac_pool": reference("MacPool", cluster.mac_pool_id),
        "management_network": reference("Network", cluster.management_network_id),
        "virt_service": True,
        "gluster_service": False,
        "trusted_service": False,
        "upgrade_in_progress": False,
    }
    return Node(type="Cluster", id=cluster.id, values=values)


def _policies(cluster: Cluster) -> dict[str, Value]:
    settings = cluster.settings
    serial: dict[str, Value] = {
        "policy": settings.serial_number_policy or None,
        "value": settings.serial_number_value or None,
    }
    return {
        "error_handling": {"on_error": str(cluster.error_handling)},
        "memory_policy": {
            "over_commit": {"percent": cluster.memory_over_commit_percent},
            "transparent_hugepages": {"enabled": True},
        },
        "ballooning_enabled": cluster.ballooning_enabled,
        "ksm": {"enabled": cluster.ksm_enabled, "merge_across_nodes": settings.ksm_merge_across_nodes},
        "threads_as_cores": cluster.threads_as_cores,
        "ha_reservation": cluster.ha_reservation,
        "tunnel_migration": cluster.tunnel_migration,
        "migration": _migration(settings.migration),
        "fencing_policy": _fencing(settings.fencing),
        "serial_number": serial if any(serial.values()) else None,
        "display": {"proxy": settings.display_proxy} if settings.display_proxy else None,
        "required_rng_sources": list(settings.rng_sources),
        "optional_reason": settings.optional_reason,
        "maintenance_reason_required": settings.maintenance_reason_required,
        "custom_scheduling_policy_properties": properties(settings.scheduling_properties) or None,
    }


def _migration(settings: MigrationSettings) -> dict[str, Value]:
    bandwidth: dict[str, Value] = {
        "assignment_method": settings.bandwidth,
        "custom_value": settings.bandwidth_custom_mbps,
    }
    return {
        "auto_converge": settings.auto_converge,
        "bandwidth": bandwidth,
        "compressed": settings.compressed,
        "encrypted": settings.encrypted,
        "policy": Node(type="MigrationPolicy", id=settings.policy_id),
    }


def _fencing(settings: FencingSettings) -> dict[str, Value]:
    broken: dict[str, Value] = {
        "enabled": settings.skip_if_connectivity_broken,
        "threshold": settings.connectivity_threshold_percent,
    }
    return {
        "enabled": settings.enabled,
        "skip_if_connectivity_broken": broken,
        "skip_if_gluster_bricks_up": False,
        "skip_if_gluster_quorum_not_met": False,
        "skip_if_sd_active": {"enabled": settings.skip_if_storage_active},
    }


def feature_node(feature: ClusterFeature) -> Node:
    level = Node(type="ClusterLevel", id=feature.level, path=f"clusterlevels/{feature.level}")
    return Node(type="ClusterFeature", id=feature.id, values={**named(feature), "cluster_level": level})


def _features(call: Call, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[ClusterFeature]]:
    features = call.session.cluster_features.by_ids({each for ids in wanted.values() for each in ids})
    return {key: [features[each] for each in ids if each in features] for key, ids in wanted.items()}


def _enabled(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[ClusterFeature]]:
    clusters = call.session.clusters.by_ids(ids)
    return _features(call, {cluster.id: sorted(cluster.features) for cluster in clusters.values()})


def _of_levels(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[ClusterFeature]]:
    levels = call.session.cluster_levels.by_ids(ids)
    return _features(call, {level.id: level.feature_ids for level in levels.values()})


# No cluster can be of these, and no list has them; but clients (Ansible's ovirt_role) look up permits in them.
_OLDER_LEVELS: Final = ("4.2", "4.3", "4.4", "4.5", "4.6")


def _levels_by_id(call: Call, ids: Sequence[str]) -> Sequence[ClusterLevel]:
    known = call.session.cluster_levels.by_ids(ids)
    older = {each: ClusterLevel(id=each) for each in ids if each in _OLDER_LEVELS}
    return [{**older, **known}[each] for each in ids if each in known or each in older]


def _levels(call: Call, items: Sequence[tuple[str, ClusterLevel]]) -> Sequence[Node]:
    """Each with all permits that there are, as oVirt tells them."""
    permits = sorted(call.session.permits.list(), key=lambda permit: int(permit.id))
    told: list[Value] = [permit_node(permit) for permit in permits]
    return [_level_node(level, told) for _, level in items]


def _level_node(level: ClusterLevel, permits: list[Value]) -> Node:
    types: list[Value] = [
        {"name": each.name, "level": each.level, "architecture": str(each.architecture)} for each in level.cpu_types
    ]
    return Node(type="ClusterLevel", id=level.id, values={"cpu_types": types, "permits": permits})


def profile_node(profile: CpuProfile) -> Node:
    values: dict[str, Value] = {**named(profile), "cluster": reference("Cluster", profile.cluster_id)}
    return Node(type="CpuProfile", id=profile.id, values=values)


_CLUSTER_CHILDREN = (
    GROUPS_OF_CLUSTER,
    Collection(
        path="cpuprofiles",
        type="CpuProfile",
        show=each(profile_node),
        below=by_parent(lambda session: session.cpu_profiles, "cluster_id"),
        add=changes.add_cpu_profile,
        remove=changes.remove_cpu_profile,
    ),
    Collection(
        path="enabledfeatures",
        type="ClusterFeature",
        show=each(feature_node),
        below=_enabled,
        add=changes.enable_feature,
        remove=changes.disable_feature,
    ),
    Collection(**empty("externalnetworkproviders", "ExternalProvider"), below=nothing),
    GLUSTER_HOOKS,
    GLUSTER_VOLUMES,
    NETWORKS_OF_CLUSTER,
    permissions_below(ObjectType.CLUSTER),
)
CLUSTERS = Collection(
    path="clusters",
    type="Cluster",
    show=each(cluster_node),
    list=found(lambda session: session.clusters),
    get=by_id(lambda session: session.clusters),
    searchable=True,
    add=changes.add_cluster,
    update=changes.update_cluster,
    remove=changes.remove_cluster,
    children=_CLUSTER_CHILDREN,
)
DATA_CENTERS = Collection(
    path="datacenters",
    type="DataCenter",
    show=each(data_center_node),
    list=found(lambda session: session.data_centers),
    get=by_id(lambda session: session.data_centers),
    searchable=True,
    add=changes.add_data_center,
    update=changes.update_data_center,
    remove=changes.remove_data_center,
    children=(
        Collection(
            path="clusters",
            type="Cluster",
            show=each(cluster_node),
            below=by_parent(lambda session: session.clusters, "data_center_id"),
            add=changes.add_cluster,
            update=changes.update_cluster,
            remove=changes.remove_cluster,
            children=_CLUSTER_CHILDREN,
        ),
        Collection(**empty("iscsibonds", "IscsiBond"), below=nothing),
        NETWORKS_OF_DATA_CENTER,
        permissions_below(ObjectType.DATA_CENTER),
        Collection(**empty("qoss", "Qos"), below=nothing),
        Collection(**empty("quotas", "Quota"), below=nothing),
        STORAGE_DOMAINS_OF_DATA_CENTER,
    ),
)
CLUSTER_LEVELS = Collection(
    path="clusterlevels",
    type="ClusterLevel",
    show=_levels,
    list=found(lambda session: session.cluster_levels),
    get=_levels_by_id,
    uuids=False,
    open=True,
    children=(Collection(path="clusterfeatures", type="ClusterFeature", show=each(feature_node), below=_of_levels),),
)
CPU_PROFILES = Collection(
    path="cpuprofiles",
    type="CpuProfile",
    show=each(profile_node),
    list=found(lambda session: session.cpu_profiles),
    get=by_id(lambda session: session.cpu_profiles),
    add=changes.add_cpu_profile,
    update=changes.update_cpu_profile,
    remove=changes.remove_cpu_profile,
    children=(permissions_below(ObjectType.CPU_PROFILE),),
)
