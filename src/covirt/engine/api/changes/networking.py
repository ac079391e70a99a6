# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of networks, vNIC profiles and MAC pools."""

from collections.abc import Sequence
from dataclasses import replace

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import called, has, owner, refuse_set, told, told_word
from covirt.engine.api.errors import BadValue
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, items, referred, referred_object, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.commands.networking import cluster_networks, mac_pools, networks, vnic_profiles
from covirt.engine.model.network import (
    ClusterNetwork,
    MacPool,
    MacRange,
    Network,
    NetworkUsage,
    VnicProfile,
)
from covirt.engine.store.session import Session

_LABELLED = {"external_provider": "external network providers", "qos": "quality of service"}


def add_network(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """At the top, or below a data center."""
    require_fields("Network", body, "add", "name", *(() if ids else ("data_center.id|name",)))
    with call.changing() as change:
        center_id = owner(change.session.data_centers, ids, body, "data_center").id
        network = _network(Network(id="", data_center_id=center_id, vdsm_name=""), body)
        return Done(id=networks.add_network(change, network, profile=told(body, "profile_required", True)))


def update_network(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        network = change.session.networks.get(ids[-1])
        center = referred(change.session.data_centers, body, "data_center")
        network = replace(network, data_center_id=center.id if center else network.data_center_id)
        networks.update_network(change, _network(network, body))


def remove_network(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        networks.remove_network(change, ids[-1])


def attach_network(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """Below a cluster. oVirt's default is that its hosts must have it."""
    require_fields("Network", body, "add", "id|name")
    with call.changing() as change:
        cluster = change.session.clusters.get(ids[-1])
        network = referred_object(change.session.networks, body, "network", data_center_id=cluster.data_center_id)
        used = ClusterNetwork(cluster_id=cluster.id, network_id=network.id, required=True)
        cluster_networks.attach_network(change, _cluster_network(used, body))
    return Done(id=network.id)


def update_cluster_network(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        used = change.session.cluster_networks.find(cluster_id=ids[-2], network_id=ids[-1])
        if used is not None:
            cluster_networks.update_cluster_network(change, _cluster_network(used, body))


def detach_network(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        cluster_networks.detach_network(change, ids[-2], ids[-1])


def add_profile(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """At the top, or below a network."""
    require_fields("VnicProfile", body, "add", "name", *(() if ids else ("network.id|name",)))
    with call.changing() as change:
        network_id = owner(change.session.networks, ids, body, "network").id
        profile = VnicProfile(id="", network_id=network_id, network_filter_id=vnic_profiles.DEFAULT_FILTER)
        return Done(id=vnic_profiles.add_profile(change, _profile(change.session, profile, body)))


def update_profile(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        profile = change.session.vnic_profiles.get(ids[-1])
        network = referred(change.session.networks, body, "network")
        profile = replace(profile, network_id=network.id if network else profile.network_id)
        vnic_profiles.update_profile(change, _profile(change.session, profile, body))


def remove_profile(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        vnic_profiles.remove_profile(change, ids[-1])


def add_pool(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("MacPool", body, "add", "name", "ranges")
    with call.changing() as change:
        return Done(id=mac_pools.add_pool(change, _pool(MacPool(id="", ranges=()), body)))


def update_pool(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        mac_pools.update_pool(change, _pool(change.session.mac_pools.get(ids[-1]), body))


def remove_pool(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        mac_pools.remove_pool(change, ids[-1])


def _network(network: Network, body: Body) -> Network:
    refuse_set(body, **_LABELLED)
    return replace(
        called(network, body),
        usages=_usages(network, body),
        vlan_id=_vlan(network, body),
        mtu=told(body, "mtu", network.mtu),
        stp=told(body, "stp", network.stp),
        port_isolation=told(body, "port_isolation", network.port_isolation),
        dns_servers=_servers(network, body),
    )


def _usages(network: Network, body: Body) -> frozenset[NetworkUsage]:
    """Of a network itself it says only whether machines may use it; all else is said of it in a cluster."""
    words = at(body, "usages")
    if not isinstance(words, list):
        return network.usages
    return frozenset({NetworkUsage.VM} & set(words))


def _vlan(network: Network, body: Body) -> int | None:
    """An empty element takes it away."""
    if not has(body, "vlan"):
        return network.vlan_id
    text = str(at(body, "vlan.id") or "").strip()
    if text and not (text.isdecimal() and len(text) < 10):
        raise BadValue(text=text[:40], kind="number", name="vlan.id", hint="")
    return int(text) if text else None


def _servers(network: Network, body: Body) -> tuple[str, ...]:
    servers = at(body, "dns_resolver_configuration.name_servers")
    return tuple(str(each) for each in servers) if isinstance(servers, list) else network.dns_servers


def _cluster_network(used: ClusterNetwork, body: Body) -> ClusterNetwork:
    usages = at(body, "usages")
    wanted = frozenset(NetworkUsage(str(each)) for each in usages) if isinstance(usages, list) else used.usages
    display = at(body, "display")
    if display is not None:
        wanted = wanted | {NetworkUsage.DISPLAY} if display else wanted - {NetworkUsage.DISPLAY}
    if NetworkUsage.MANAGEMENT in used.usages and "usages" in body:
        # a client that names the roles that it gives means to take none of management away
        wanted |= {NetworkUsage.MANAGEMENT}
    return replace(used, required=told(body, "required", used.required), usages=wanted)


def _profile(session: Session, profile: VnicProfile, body: Body) -> VnicProfile:
    refuse_set(body, qos="quality of service", failover="failover vNIC profiles")
    return replace(
        called(profile, body),
        network_filter_id=_filter(session, profile, body),
        pass_through=told_word(body, "pass_through.mode", profile.pass_through),
        port_mirroring=told(body, "port_mirroring", profile.port_mirroring),
        custom_properties=_properties(profile.custom_properties, items(body, "custom_properties")),
    )


def _filter(session: Session, profile: VnicProfile, body: Body) -> str | None:
    """An empty element takes it away."""
    named = body.get("network_filter")
    if not isinstance(named, dict):
        return profile.network_filter_id
    return str(referred_object(session.network_filters, named, "network_filter").id) if named else None


def _properties(before: tuple[tuple[str, str], ...], told_now: Sequence[Body] | None) -> tuple[tuple[str, str], ...]:
    if told_now is None:
        return before
    return tuple((str(each.get("name", "")), str(each.get("value", ""))) for each in told_now)


def _pool(pool: MacPool, body: Body) -> MacPool:
    ranges = items(body, "ranges")
    if ranges is not None:
        told_now = (MacRange(first=str(each.get("from", "")), last=str(each.get("to", ""))) for each in ranges)
        pool = replace(pool, ranges=tuple(told_now))
    return replace(
        called(pool, body),
        allow_duplicates=told(body, "allow_duplicates", pool.allow_duplicates),
        default_pool=told(body, "default_pool", pool.default_pool),
    )
