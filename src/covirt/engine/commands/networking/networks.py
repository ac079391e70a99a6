# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Networks of a data center."""

import re
import uuid
from dataclasses import replace
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.forget import forget
from covirt.engine.commands.names import check_name
from covirt.engine.commands.networking.vnic_profiles import DEFAULT_FILTER, add_profile, users_of
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.network import Network, NetworkUsage, VnicProfile
from covirt.engine.store.query import ListQuery

NETWORK_ADMIN_ID: Final = "def00005-0000-0000-0000-def000000005"  # oVirt's id of the role
_BRIDGE: Final = re.compile(r"[A-Za-z0-9_-]{1,15}")  # what the kernel and Vdsm take as a bridge's name
_LARGEST_VLAN: Final = 4094
_SMALLEST_MTU, _LARGEST_MTU = 68, 2**31 - 1
_ADDED: Final = AuditMessage(code=942, text="Finished adding Network {network} to Data Center: {center}")
_UPDATED: Final = AuditMessage(code=1114, text="Finished Network {network} update on Data Center: {center}")
_REMOVED: Final = AuditMessage(code=944, text="Finished Network {network} removal from Data Center: {center}")


class NetworkNameInUse(Conflict):
    """Fields: action, name."""

    template = (
        "Cannot {action} Network. The name of the logical network '{name}' is already used by an existing logical "
        "network in the same data-center. Please choose a different name."
    )


class NetworkNamedAsBond(InvalidRequest):
    template = "Bad network name, network cannot start with 'bond'"


class VlanOutOfRange(InvalidRequest):
    template = "VLAN ID must be a number between 0 and 4094."


class BadMtu(InvalidRequest):
    template = "The MTU of a network is 0, which is the host's default, or a number from 68."


class NeedsVmNetwork(InvalidRequest):
    """Fields: action, what (STP or Port isolation)."""

    template = "Cannot {action} Network. {what} can only be enabled on VM Networks."


class ManagementNetworkStays(Conflict):
    """Fields: name."""

    template = "The Management Network ('{name}') is mandatory and cannot be removed."


class NetworkUsedByVms(Conflict):
    """Fields: action, machines."""

    template = (
        "Cannot {action} Network. The network is used by: {machines}. "
        "Please remove it from all VMs and Templates that are using it and try again."
    )


class NetworkOnHosts(Conflict):
    """Fields: what, hosts."""

    template = "Cannot edit Network. Its {what} cannot change while it is set up on these hosts: {hosts}."


class DataCenterStays(InvalidRequest):
    template = "Cannot edit Network. The Data Center of a network cannot change."


def add_network(change: Change, network: Network, *, profile: bool = True) -> str:
    """The new id. profile: with a vNIC profile of the same name, if machines may use it."""
    change.require(Right.CREATE_STORAGE_POOL_NETWORK, Subject(type=ObjectType.DATA_CENTER, id=network.data_center_id))
    network_id = str(uuid.uuid4())
    added = replace(network, id=network_id, vdsm_name=bridge_name(network.name, network_id))
    _check(change, added, "add")
    change.session.networks.add(added)
    give_creator(change, NETWORK_ADMIN_ID, Subject(type=ObjectType.NETWORK, id=network_id))
    _tell(change, _ADDED, added)
    if profile and NetworkUsage.VM in added.usages:
        add_profile(
            change,
            VnicProfile(id="", name=added.name, network_id=network_id, network_filter_id=DEFAULT_FILTER),
        )
    return network_id


def update_network(change: Change, network: Network) -> None:
    """The bridge keeps its name on hosts, whatever the network is called."""
    change.require(Right.CONFIGURE_STORAGE_POOL_NETWORK, Subject(type=ObjectType.NETWORK, id=network.id))
    before = change.session.networks.get(network.id)
    if network.data_center_id != before.data_center_id:
        raise DataCenterStays
    _check(change, network, "edit")
    _check_on_hosts(change, before, network)
    if NetworkUsage.VM in before.usages - network.usages:
        _check_unused(change, network, "edit")
    change.session.networks.update(network)
    _tell(change, _UPDATED, network)


def remove_network(change: Change, network_id: str) -> None:
    """With its vNIC profiles; it is detached from clusters."""
    change.require(Right.CONFIGURE_STORAGE_POOL_NETWORK, Subject(type=ObjectType.NETWORK, id=network_id))
    network = change.session.networks.get(network_id)
    if change.session.clusters.find(management_network_id=network_id) is not None:
        raise ManagementNetworkStays(name=network.name)
    _check_unused(change, network, "remove")
    erase_network(change, network)
    _tell(change, _REMOVED, network)


def erase_network(change: Change, network: Network) -> None:
    """The network and what lies in it, whatever uses it."""
    for profile in change.session.vnic_profiles.list(ListQuery(where={"network_id": network.id})):
        forget(change.session, profile.id)
    change.session.networks.remove(network.id)
    forget(change.session, network.id)


def bridge_name(name: str, network_id: str) -> str:
    """On hosts: the network's own where it fits."""
    return name if _BRIDGE.fullmatch(name) else f"on{network_id.replace('-', '')[:13]}"


def _check(change: Change, network: Network, action: str) -> None:
    check_name("Network", network.name)
    if network.name.lower().startswith("bond"):
        raise NetworkNamedAsBond
    if network.vlan_id is not None and not 0 <= network.vlan_id <= _LARGEST_VLAN:
        raise VlanOutOfRange
    if network.mtu and not _SMALLEST_MTU <= network.mtu <= _LARGEST_MTU:
        raise BadMtu
    if NetworkUsage.VM not in network.usages and (network.stp or network.port_isolation):
        raise NeedsVmNetwork(action=action, what="STP" if network.stp else "Port isolation")
    others = change.session.networks.list(ListQuery(where={"data_center_id": network.data_center_id}))
    if any(network.name in (each.name, each.vdsm_name) for each in others if each.id != network.id):
        raise NetworkNameInUse(action=action, name=network.name)


def _check_on_hosts(change: Change, before: Network, after: Network) -> None:
    """What lies on hosts already does not change under them."""
    changed = [
        word
        for word, name in (("VLAN", "vlan_id"), ("MTU", "mtu"), ("STP", "stp"))
        if getattr(before, name) != getattr(after, name)
    ]
    if (NetworkUsage.VM in before.usages) != (NetworkUsage.VM in after.usages):
        changed.append("bridge")
    if not changed:
        return
    nics = change.session.host_nics.list(ListQuery(where={"network_id": after.id}))
    hosts = change.session.hosts.by_ids({nic.host_id for nic in nics}).values()
    if hosts:
        raise NetworkOnHosts(what=" and ".join(changed), hosts=", ".join(sorted(host.name for host in hosts)))


def _check_unused(change: Change, network: Network, action: str) -> None:
    profiles = change.session.vnic_profiles.list(ListQuery(where={"network_id": network.id}))
    machines = users_of(change, tuple(profile.id for profile in profiles))
    if machines:
        raise NetworkUsedByVms(action=action, machines=", ".join(machines))


def _tell(change: Change, message: AuditMessage, network: Network) -> None:
    center = change.session.data_centers.get(network.data_center_id)
    change.tell(message, About(data_center_id=center.id), network=network.name, center=center.name)
