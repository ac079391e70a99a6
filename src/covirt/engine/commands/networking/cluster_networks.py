# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which networks a cluster uses, and what for."""

from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.networking.vnic_profiles import users_of
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.cluster import Cluster
from covirt.engine.model.network import ClusterNetwork, Network, NetworkUsage
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.query import ListQuery

# One network of a cluster has each of these; who is given one takes it from who had it.
_ROLES: Final = frozenset(
    {
        NetworkUsage.MANAGEMENT,
        NetworkUsage.DISPLAY,
        NetworkUsage.MIGRATION,
        NetworkUsage.DEFAULT_ROUTE,
        NetworkUsage.GLUSTER,
    }
)
# What the management network has when no other network has it.
_FALL_BACK: Final = frozenset({NetworkUsage.DISPLAY, NetworkUsage.MIGRATION, NetworkUsage.DEFAULT_ROUTE})
_ATTACHED: Final = AuditMessage(code=946, text="Network {network} attached to Cluster {cluster}")
_DETACHED: Final = AuditMessage(code=948, text="Network {network} detached from Cluster {cluster}")
_DISPLAY: Final = AuditMessage(
    code=1100, text="Update Display Network ({network}) for Cluster {cluster}. (User: {user})"
)


class AlreadyAttached(Conflict):
    template = "Logical Network is already attached to Cluster."


class OtherDataCenter(InvalidRequest):
    """Fields: network."""

    template = "Network {network} belongs to another Data Center than the Cluster."


class ManagementNetworkRequired(InvalidRequest):
    """Fields: network."""

    template = (
        "Cannot edit Network. The management network '{network}' must be required, please change the network to be "
        "required and try again."
    )


class ManagementUnset(InvalidRequest):
    template = (
        "Cannot edit Network. Unsetting management network property is not allowed. It is done automatically when "
        "moving the role to another network."
    )


class ManagementWithHosts(Conflict):
    template = "Cannot edit Network. Changing management network in a non-empty cluster is not allowed."


class ManagementNetworkAttached(Conflict):
    """Fields: network."""

    template = "The Management Network ('{network}') is mandatory and cannot be removed."


class NetworkUsedInCluster(Conflict):
    """Fields: network, machines."""

    template = (
        "Cannot detach Network. The following Logical Network: '{network}' is being used by the following VM(s): "
        "'{machines}'. Please remove it from them and try again."
    )


class NoGluster(InvalidRequest):
    template = "covirt has no Gluster; no network is for it."


def attach_network(change: Change, used: ClusterNetwork) -> None:
    """Raises AlreadyAttached, OtherDataCenter."""
    cluster, network = _both(change, used, Right.ASSIGN_CLUSTER_NETWORK)
    if network.data_center_id != cluster.data_center_id:
        raise OtherDataCenter(network=network.name)
    if change.session.cluster_networks.find(cluster_id=cluster.id, network_id=network.id) is not None:
        raise AlreadyAttached
    bare = replace(used, usages=network.usages & {NetworkUsage.VM})
    change.session.cluster_networks.add(bare)
    _assign(change, cluster, network, bare, used)
    change.tell(_ATTACHED, _about(cluster), network=network.name, cluster=cluster.name)


def update_cluster_network(change: Change, used: ClusterNetwork) -> None:
    """Roles that it is given are taken from who had them."""
    cluster, network = _both(change, used, Right.CONFIGURE_CLUSTER_NETWORK)
    before = _found(change, cluster, network)
    _assign(change, cluster, network, before, used)
    if NetworkUsage.DISPLAY in used.usages - before.usages:
        change.tell(_DISPLAY, _about(cluster), network=network.name, cluster=cluster.name)


def detach_network(change: Change, cluster_id: str, network_id: str) -> None:
    """Raises ManagementNetworkAttached, NetworkUsedInCluster."""
    used = ClusterNetwork(cluster_id=cluster_id, network_id=network_id)
    cluster, network = _both(change, used, Right.ASSIGN_CLUSTER_NETWORK)
    before = _found(change, cluster, network)
    if network_id == cluster.management_network_id:
        raise ManagementNetworkAttached(network=network.name)
    _check_unused(change, cluster, network)
    change.session.cluster_networks.detach(cluster_id, network_id)
    _give_back(change, cluster, before.usages)
    change.tell(_DETACHED, _about(cluster), network=network.name, cluster=cluster.name)


def _assign(
    change: Change, cluster: Cluster, network: Network, before: ClusterNetwork, after: ClusterNetwork
) -> None:
    roles, had = after.usages & _ROLES, before.usages & _ROLES
    if NetworkUsage.GLUSTER in roles:
        raise NoGluster
    if NetworkUsage.MANAGEMENT in had - roles:
        raise ManagementUnset
    if NetworkUsage.MANAGEMENT in roles and not after.required:
        raise ManagementNetworkRequired(network=network.name)
    if NetworkUsage.MANAGEMENT in roles - had:
        if change.session.hosts.find(cluster_id=cluster.id) is not None:
            raise ManagementWithHosts
        change.session.clusters.update(replace(cluster, management_network_id=network.id))
    for other in change.session.cluster_networks.list(ListQuery(where={"cluster_id": cluster.id})):
        if other.network_id != network.id and other.usages & (roles - had):
            change.session.cluster_networks.update(replace(other, usages=other.usages - roles))
    change.session.cluster_networks.update(replace(after, usages=roles | (network.usages & {NetworkUsage.VM})))
    _give_back(change, cluster, had - roles)


def _give_back(change: Change, cluster: Cluster, usages: frozenset[NetworkUsage]) -> None:
    """Somebody must have them: the management network."""
    networks = change.session.cluster_networks
    management = networks.find(cluster_id=cluster.id, network_id=cluster.management_network_id)
    if management is not None and usages & _FALL_BACK:
        networks.update(replace(management, usages=management.usages | (usages & _FALL_BACK)))


def _both(change: Change, used: ClusterNetwork, right: Right) -> tuple[Cluster, Network]:
    change.require(right, Subject(type=ObjectType.CLUSTER, id=used.cluster_id))
    return change.session.clusters.get(used.cluster_id), change.session.networks.get(used.network_id)


def _found(change: Change, cluster: Cluster, network: Network) -> ClusterNetwork:
    found = change.session.cluster_networks.find(cluster_id=cluster.id, network_id=network.id)
    if found is None:
        raise NoSuchObject(noun="Cluster Network", id=network.id)
    return found


def _check_unused(change: Change, cluster: Cluster, network: Network) -> None:
    profiles = change.session.vnic_profiles.list(ListQuery(where={"network_id": network.id}))
    in_cluster = {vm.name for vm in change.session.vms.list(ListQuery(where={"cluster_id": cluster.id}))}
    machines = sorted(in_cluster & set(users_of(change, tuple(profile.id for profile in profiles))))
    if machines:
        raise NetworkUsedInCluster(network=network.name, machines=", ".join(machines))


def _about(cluster: Cluster) -> About:
    return About(cluster_id=cluster.id, data_center_id=cluster.data_center_id)
