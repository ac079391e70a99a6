# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of data centers, clusters and profiles."""

from dataclasses import replace

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import called, owner, refuse_set, told, told_word
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, items, referred, referred_object, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.commands.places import clusters, data_centers, profiles
from covirt.engine.commands.places.clusters import NotOnHosts
from covirt.engine.commands.places.levels import NEWEST
from covirt.engine.model.cluster import (
    Architecture,
    Cluster,
    ClusterSettings,
    CpuProfile,
    FencingSettings,
    MigrationSettings,
)
from covirt.engine.model.data_center import DataCenter
from covirt.engine.model.entity import Version
from covirt.engine.model.storage_domain import DiskProfile
from covirt.engine.store.seed import DEFAULT_MAC_POOL_ID
from covirt.engine.store.seed_data import SCHEDULING_POLICIES
from covirt.engine.store.session import Session


def add_data_center(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("DataCenter", body, "add", "name", "local")
    with call.changing() as change:
        center = DataCenter(id="", version=NEWEST, mac_pool_id=_default_pool(change.session))
        return Done(id=data_centers.add_data_center(change, _center(change.session, center, body)))


def update_data_center(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        center = change.session.data_centers.get(ids[-1])
        data_centers.update_data_center(change, _center(change.session, center, body))


def remove_data_center(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        data_centers.remove_data_center(change, ids[-1])


def add_cluster(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """At the top, or below a data center."""
    require_fields("Cluster", body, "add", "name", *(() if ids else ("data_center.id|name",)))
    with call.changing() as change:
        session = change.session
        center = owner(session.data_centers, ids, body, "data_center")
        cluster = Cluster(
            id="",
            data_center_id=center.id,
            version=center.version,
            scheduling_policy_id=SCHEDULING_POLICIES[0].id,
            mac_pool_id=center.mac_pool_id,
            management_network_id="",
        )
        return Done(id=clusters.add_cluster(change, _cluster(session, cluster, body)))


def update_cluster(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        cluster = change.session.clusters.get(ids[-1])
        center = referred(change.session.data_centers, body, "data_center")
        cluster = replace(cluster, data_center_id=center.id if center else cluster.data_center_id)
        clusters.update_cluster(change, _cluster(change.session, cluster, body))


def remove_cluster(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        clusters.remove_cluster(change, ids[-1])


def enable_feature(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """Below a cluster; by name it is the one of the cluster's level."""
    require_fields("ClusterFeature", body, "add", "id|name")
    with call.changing() as change:
        level = str(change.session.clusters.get(ids[-1]).version)
        feature = referred_object(change.session.cluster_features, body, "cluster_feature", level=level)
        clusters.enable_feature(change, ids[-1], feature.id)
    return Done(id=feature.id)


def disable_feature(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        clusters.disable_feature(change, ids[-2], ids[-1])


def add_cpu_profile(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """At the top, or below a cluster."""
    require_fields("CpuProfile", body, "add", "name", *(() if ids else ("cluster.id|name",)))
    refuse_set(body, qos="quality of service")
    with call.changing() as change:
        cluster_id = owner(change.session.clusters, ids, body, "cluster").id
        return Done(id=profiles.add_cpu_profile(change, called(CpuProfile(id="", cluster_id=cluster_id), body)))


def update_cpu_profile(call: Call, ids: tuple[str, ...], body: Body) -> None:
    refuse_set(body, qos="quality of service")
    with call.changing() as change:
        profile = change.session.cpu_profiles.get(ids[-1])
        cluster = referred(change.session.clusters, body, "cluster")
        profile = replace(profile, cluster_id=cluster.id if cluster else profile.cluster_id)
        profiles.update_cpu_profile(change, called(profile, body))


def remove_cpu_profile(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        profiles.remove_cpu_profile(change, ids[-1])


def add_disk_profile(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """At the top, or below a storage domain."""
    require_fields("DiskProfile", body, "add", "name", *(() if ids else ("storage_domain.id|name",)))
    refuse_set(body, qos="quality of service")
    with call.changing() as change:
        domain_id = owner(change.session.storage_domains, ids, body, "storage_domain").id
        profile = called(DiskProfile(id="", storage_domain_id=domain_id), body)
        return Done(id=profiles.add_disk_profile(change, profile))


def update_disk_profile(call: Call, ids: tuple[str, ...], body: Body) -> None:
    refuse_set(body, qos="quality of service")
    with call.changing() as change:
        profile = change.session.disk_profiles.get(ids[-1])
        domain = referred(change.session.storage_domains, body, "storage_domain")
        profile = replace(profile, storage_domain_id=domain.id if domain else profile.storage_domain_id)
        profiles.update_disk_profile(change, called(profile, body))


def remove_disk_profile(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        profiles.remove_disk_profile(change, ids[-1])


def _default_pool(session: Session) -> str:
    pool = session.mac_pools.find(default_pool=True)
    return pool.id if pool else DEFAULT_MAC_POOL_ID


def _center(session: Session, center: DataCenter, body: Body) -> DataCenter:
    pool = referred(session.mac_pools, body, "mac_pool")
    return replace(
        called(center, body),
        local=told(body, "local", center.local),
        version=_version(center.version, body),
        quota_mode=told_word(body, "quota_mode", center.quota_mode),
        mac_pool_id=pool.id if pool else center.mac_pool_id,
    )


def _version(version: Version, body: Body) -> Version:
    if at(body, "version") is None:
        return version
    return Version(major=told(body, "version.major", 0), minor=told(body, "version.minor", 0))


def _cluster(session: Session, cluster: Cluster, body: Body) -> Cluster:
    _refuse(body)
    pool = referred(session.mac_pools, body, "mac_pool")
    policy = referred(session.scheduling_policies, body, "scheduling_policy")
    network = referred(session.networks, body, "management_network", data_center_id=cluster.data_center_id)
    cpu_type = told(body, "cpu.type", cluster.cpu_type)
    architecture = told_word(body, "cpu.architecture", cluster.cpu_architecture)
    if cpu_type and architecture is Architecture.UNDEFINED:
        architecture = Architecture.X86_64  # all processors that a cluster may ask for are of this one
    return replace(
        called(cluster, body),
        version=_version(cluster.version, body),
        cpu_type=cpu_type,
        cpu_architecture=architecture,
        bios_type=told_word(body, "bios_type", cluster.bios_type),
        firewall_type=told_word(body, "firewall_type", cluster.firewall_type),
        switch_type=told_word(body, "switch_type", cluster.switch_type),
        error_handling=told_word(body, "error_handling.on_error", cluster.error_handling),
        memory_over_commit_percent=told(
            body, "memory_policy.over_commit.percent", cluster.memory_over_commit_percent
        ),
        ballooning_enabled=told(body, "ballooning_enabled", cluster.ballooning_enabled),
        ksm_enabled=told(body, "ksm.enabled", cluster.ksm_enabled),
        threads_as_cores=told(body, "threads_as_cores", cluster.threads_as_cores),
        ha_reservation=told(body, "ha_reservation", cluster.ha_reservation),
        tunnel_migration=told(body, "tunnel_migration", cluster.tunnel_migration),
        scheduling_policy_id=policy.id if policy else cluster.scheduling_policy_id,
        mac_pool_id=pool.id if pool else cluster.mac_pool_id,
        management_network_id=network.id if network else cluster.management_network_id,
        settings=_settings(cluster.settings, body),
    )


def _refuse(body: Body) -> None:
    """What would be a promise that nobody keeps."""
    refuse_set(
        body,
        external_network_providers="external network providers",
        gluster_service="Gluster",
        gluster_tuned_profile="Gluster",
        trusted_service="attestation",
        vnc_encryption="encryption of VNC",
    )
    if at(body, "virt_service") is False:
        raise NotOnHosts(what="other service than virtualization")
    if at(body, "fips_mode") == "enabled":
        raise NotOnHosts(what="FIPS mode")
    if "hwrng" in (at(body, "required_rng_sources") or ()):  # type: ignore[operator] # a list of words
        raise NotOnHosts(what="hardware random number generator for machines")


def _settings(settings: ClusterSettings, body: Body) -> ClusterSettings:
    sources = at(body, "required_rng_sources")
    properties = items(body, "custom_scheduling_policy_properties")
    pairs = tuple((str(each.get("name", "")), str(each.get("value", ""))) for each in properties or ())
    return ClusterSettings(
        optional_reason=told(body, "optional_reason", settings.optional_reason),
        maintenance_reason_required=told(body, "maintenance_reason_required", settings.maintenance_reason_required),
        ksm_merge_across_nodes=told(body, "ksm.merge_across_nodes", settings.ksm_merge_across_nodes),
        serial_number_policy=told(body, "serial_number.policy", settings.serial_number_policy),
        serial_number_value=told(body, "serial_number.value", settings.serial_number_value),
        display_proxy=told(body, "display.proxy", settings.display_proxy),
        rng_sources=tuple(str(each) for each in sources) if isinstance(sources, list) else settings.rng_sources,
        scheduling_properties=settings.scheduling_properties if properties is None else pairs,
        migration=_migration(settings.migration, body),
        fencing=_fencing(settings.fencing, body),
    )


def _migration(settings: MigrationSettings, body: Body) -> MigrationSettings:
    return MigrationSettings(
        auto_converge=told(body, "migration.auto_converge", settings.auto_converge),
        compressed=told(body, "migration.compressed", settings.compressed),
        encrypted=told(body, "migration.encrypted", settings.encrypted),
        bandwidth=told(body, "migration.bandwidth.assignment_method", settings.bandwidth),
        bandwidth_custom_mbps=told(body, "migration.bandwidth.custom_value", settings.bandwidth_custom_mbps),
        policy_id=told(body, "migration.policy.id", settings.policy_id),
    )


def _fencing(settings: FencingSettings, body: Body) -> FencingSettings:
    broken = "fencing_policy.skip_if_connectivity_broken"
    return FencingSettings(
        enabled=told(body, "fencing_policy.enabled", settings.enabled),
        skip_if_connectivity_broken=told(body, f"{broken}.enabled", settings.skip_if_connectivity_broken),
        connectivity_threshold_percent=told(body, f"{broken}.threshold", settings.connectivity_threshold_percent),
        skip_if_storage_active=told(
            body, "fencing_policy.skip_if_sd_active.enabled", settings.skip_if_storage_active
        ),
    )
