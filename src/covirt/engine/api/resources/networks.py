# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Networks, vNIC profiles, MAC pools and network filters."""

from collections.abc import Mapping, Sequence

from covirt.engine.api.call import Call
from covirt.engine.api.changes import networking as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.access import permissions_below
from covirt.engine.api.resources.loading import by_id, by_parent, each, empty, found, grouped, nothing
from covirt.engine.api.resources.values import named, properties, reference, version_of
from covirt.engine.model.access import ObjectType
from covirt.engine.model.network import ClusterNetwork, MacPool, Network, NetworkFilter, VnicProfile
from covirt.engine.store.query import ListQuery


def network_node(network: Network) -> Node:
    return Node(type="Network", id=network.id, values=_network(network))


def _network(network: Network) -> dict[str, Value]:
    servers: list[Value] = list(network.dns_servers)
    return {
        **named(network),
        "data_center": reference("DataCenter", network.data_center_id),
        "vdsm_name": network.vdsm_name,
        "usages": sorted(str(usage) for usage in network.usages),
        "vlan": Node(type="Vlan", id=str(network.vlan_id)) if network.vlan_id is not None else None,
        "mtu": network.mtu,
        "stp": network.stp,
        "port_isolation": network.port_isolation,
        "dns_resolver_configuration": {"name_servers": servers} if servers else None,
    }


def _of_clusters(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[tuple[ClusterNetwork, Network]]]:
    used: Sequence[ClusterNetwork] = call.session.cluster_networks.list(ListQuery(where={"cluster_id": tuple(ids)}))
    networks = call.session.networks.by_ids({each.network_id for each in used})
    return grouped((each.cluster_id, (each, networks[each.network_id])) for each in used)


def _cluster_network_node(item: tuple[ClusterNetwork, Network]) -> Node:
    used, network = item
    values: dict[str, Value] = {
        **_network(network),
        "cluster": reference("Cluster", used.cluster_id),
        "required": used.required,
        "status": str(used.status),
        "usages": sorted(str(usage) for usage in used.usages),
        "display": "display" in used.usages,
    }
    return Node(type="Network", id=network.id, values=values)


def vnic_profile_node(profile: VnicProfile) -> Node:
    values: dict[str, Value] = {
        **named(profile),
        "network": reference("Network", profile.network_id),
        "network_filter": reference("NetworkFilter", profile.network_filter_id),
        "pass_through": {"mode": str(profile.pass_through)},
        "port_mirroring": profile.port_mirroring,
        "custom_properties": properties(profile.custom_properties) or None,
    }
    return Node(type="VnicProfile", id=profile.id, values=values)


def mac_pool_node(pool: MacPool) -> Node:
    values: dict[str, Value] = {
        **named(pool),
        "allow_duplicates": pool.allow_duplicates,
        "default_pool": pool.default_pool,
        "ranges": [{"from": each.first, "to": each.last} for each in pool.ranges],
    }
    return Node(type="MacPool", id=pool.id, values=values)


def filter_node(network_filter: NetworkFilter) -> Node:
    values: dict[str, Value] = {**named(network_filter), "version": version_of(network_filter.since)}
    return Node(type="NetworkFilter", id=network_filter.id, values=values)


_PROFILE_CHILDREN = (permissions_below(ObjectType.VNIC_PROFILE),)
_NETWORK_CHILDREN = (
    Collection(**empty("networklabels", "NetworkLabel"), below=nothing),
    permissions_below(ObjectType.NETWORK),
    Collection(
        path="vnicprofiles",
        type="VnicProfile",
        show=each(vnic_profile_node),
        below=by_parent(lambda session: session.vnic_profiles, "network_id"),
        add=changes.add_profile,
        remove=changes.remove_profile,
        children=_PROFILE_CHILDREN,
    ),
)
NETWORKS = Collection(
    path="networks",
    type="Network",
    show=each(network_node),
    list=found(lambda session: session.networks),
    get=by_id(lambda session: session.networks),
    searchable=True,
    add=changes.add_network,
    update=changes.update_network,
    remove=changes.remove_network,
    children=_NETWORK_CHILDREN,
)
NETWORKS_OF_DATA_CENTER = Collection(
    path="networks",
    type="Network",
    show=each(network_node),
    below=by_parent(lambda session: session.networks, "data_center_id"),
    add=changes.add_network,
    update=changes.update_network,
    remove=changes.remove_network,
)
NETWORKS_OF_CLUSTER = Collection(
    path="networks",
    type="Network",
    show=each(_cluster_network_node),
    below=_of_clusters,
    key=lambda item: str(item[1].id),
    add=changes.attach_network,
    update=changes.update_cluster_network,
    remove=changes.detach_network,
)
VNIC_PROFILES = Collection(
    path="vnicprofiles",
    type="VnicProfile",
    show=each(vnic_profile_node),
    list=found(lambda session: session.vnic_profiles),
    get=by_id(lambda session: session.vnic_profiles),
    searchable=True,
    add=changes.add_profile,
    update=changes.update_profile,
    remove=changes.remove_profile,
    children=_PROFILE_CHILDREN,
)
MAC_POOLS = Collection(
    path="macpools",
    type="MacPool",
    show=each(mac_pool_node),
    list=found(lambda session: session.mac_pools),
    get=by_id(lambda session: session.mac_pools),
    searchable=True,
    add=changes.add_pool,
    update=changes.update_pool,
    remove=changes.remove_pool,
    children=(permissions_below(ObjectType.MAC_POOL),),
)
NETWORK_FILTERS = Collection(
    path="networkfilters",
    type="NetworkFilter",
    show=each(filter_node),
    list=found(lambda session: session.network_filters),
    get=by_id(lambda session: session.network_filters),
    open=True,
)
