# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of a host: actions of the host, and its network attachments."""

import uuid
from typing import Any, Final

from covirt.common.errors import Conflict, InvalidRequest, Unavailable
from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import refuse_set, told
from covirt.engine.api.changes.running import ran
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, items, referred_object, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.commands.networking.host_networks import (
    BondOnHost,
    CommitHostNetworks,
    NetworkOnHost,
    SetUpHostNetworks,
)
from covirt.engine.model.host import Host, HostNic
from covirt.engine.model.network import Network, NetworkUsage
from covirt.engine.store.errors import NoSuchObject
from covirt.engine.store.query import ListQuery

_ATTACHMENTS: Final = uuid.UUID("0f1f6f2e-6a0c-4c6f-8f44-1f2a53a3c6d1")  # the space of the ids that are made here
_DEFAULT_SECONDS: Final = 120
_LONGEST_SECONDS: Final = 600


class NotInCluster(InvalidRequest):
    """Fields: network."""

    template = "Cannot setup Networks. The specified Logical Network doesn't exist in the current Cluster: {network}."


class NoSuchInterface(InvalidRequest):
    """Fields: nic, host."""

    template = "Cannot setup Networks. The host {host} has no network interface {nic}."


class OnlyIpv4(InvalidRequest):
    template = "Cannot setup Networks. covirt-engine assigns IPv4 addresses: none, by DHCP or static ones."


class NetworkOnHostAlready(Conflict):
    """Fields: network, host, attachment."""

    template = (
        "Cannot add Network Attachment. The network {network} is on the host {host} already; change its attachment "
        "{attachment}, or remove it first."
    )


class NotToldYet(Unavailable):
    """Fields: network, host."""

    template = (
        "The host {host} has set up the network {network}, and has not told how it lies there; look at its network "
        "attachments in a minute."
    )


def attachment_id(host_id: str, network_id: str) -> str:
    """The same as long as the network is on the host."""
    return str(uuid.uuid5(_ATTACHMENTS, f"{host_id}/{network_id}"))


def set_up_networks(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """All at once, as oVirt's action: attachments and bonds, modified and removed. Unless it is told not to, the host
    takes it back when the engine does not reach it any more."""
    refuse_set(
        body,
        modified_labels="network labels of hosts",
        removed_labels="network labels of hosts",
    )
    reading = _Reading(call, ids[-1])
    removed = items(body, "removed_network_attachments") or ()
    modified = items(body, "modified_network_attachments") or ()
    bonds = [reading.bond(each) for each in items(body, "modified_bonds") or ()]
    gone = [BondOnHost(name=reading.nic_name(each), remove=True) for each in items(body, "removed_bonds") or ()]
    names = frozenset(bond.name for bond in bonds)
    networks = [reading.removed(str(each.get("id", ""))) for each in removed]
    networks += [reading.attachment(each, names) for each in modified]
    for each in items(body, "synchronized_network_attachments") or ():
        networks.append(reading.attachment(reading.present(str(each.get("id", ""))), names))
    return ran(
        call,
        SetUpHostNetworks(
            host_id=reading.host.id,
            networks=tuple(networks),
            bonds=(*gone, *bonds),
            check_connectivity=told(body, "check_connectivity", True),
            connectivity_seconds=_between(told(body, "connectivity_timeout", _DEFAULT_SECONDS)),
            commit=told(body, "commit_on_success", False),
        ),
    )


def _between(seconds: int) -> int:
    return max(1, min(seconds, _LONGEST_SECONDS))


def in_sync(carrier: HostNic | None, network: Network) -> bool:
    """Whether a host has the network as it is wanted. ``carrier``: its interface with the network on it, if any."""
    if carrier is None:
        return NetworkUsage.VM in network.usages
    return (
        carrier.vlan_id == network.vlan_id
        and carrier.bridged == (NetworkUsage.VM in network.usages)
        and (not network.mtu or carrier.mtu == network.mtu)
    )


def synchronize_networks(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """Each network that lies on the host otherwise than it is wanted is set up again, with the address it has."""
    del body
    reading = _Reading(call, ids[-1])
    networks = tuple(reading.attachment(each, frozenset()) for each in reading.out_of_sync())
    if not networks:
        return Done()
    return ran(call, SetUpHostNetworks(host_id=reading.host.id, networks=networks))


def add_attachment(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """Below a host, or below a NIC of it. Raises NetworkOnHostAlready, NotToldYet, and what is wrong in the body."""
    reading = _Reading(call, ids[0])
    below: Body = {**body, "host_nic": {"id": ids[1]}} if len(ids) > 1 else body
    network = reading.attachment(below, frozenset())
    made, name = reading.free(below)
    _set_up(call, ids[0], network)
    if not _Reading(call, ids[0]).has(network.name):
        raise NotToldYet(network=name, host=reading.host.name)
    return Done(id=made)


def _set_up(call: Call, host_id: str, network: NetworkOnHost) -> None:
    """Until it is over: these answers have no job to ask for."""
    call.run(SetUpHostNetworks(host_id=host_id, networks=(network,)), wait_seconds=_LONGEST_SECONDS)


def update_attachment(call: Call, ids: tuple[str, ...], body: Body) -> None:
    """What the body does not say stays as it is. Below a host, or below a NIC of it."""
    reading = _Reading(call, ids[0])
    merged = {**reading.present(ids[-1]), **body}
    _set_up(call, ids[0], reading.attachment(merged, frozenset()))


def remove_attachment(call: Call, ids: tuple[str, ...]) -> None:
    reading = _Reading(call, ids[0])
    _set_up(call, ids[0], reading.removed(ids[-1]))


def commit_networks(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, CommitHostNetworks(host_id=ids[-1]))


class _Reading:
    """What a body says of networks, by the names that the host knows."""

    def __init__(self, call: Call, host_id: str) -> None:
        self._session = call.session
        self.host: Host = call.session.hosts.get(host_id)
        nics = call.session.host_nics.list(ListQuery(where={"host_id": host_id}))
        self._nics = {nic.id: nic for nic in nics}
        used = call.session.cluster_networks.list(ListQuery(where={"cluster_id": self.host.cluster_id}))
        self._used = {each.network_id: each for each in used}

    def nic_name(self, named: Body) -> str:
        """Of a reference by id or name. Raises NoSuchInterface."""
        if (nic := self._nics.get(str(named.get("id", "")))) is not None:
            return nic.name
        name = str(named.get("name", ""))
        if not any(nic.name == name for nic in self._nics.values()):
            raise NoSuchInterface(nic=name or named.get("id", ""), host=self.host.name)
        return name

    def bond(self, told_now: Body) -> BondOnHost:
        """One that may not be there yet."""
        require_fields("HostNic", told_now, "setupNetworks", "name", "bonding.slaves")
        options = items(told_now, "bonding.options") or ()
        return BondOnHost(
            name=str(told_now["name"]),
            nics=tuple(self.nic_name(each) for each in items(told_now, "bonding.slaves") or ()),
            options=" ".join(f"{each.get('name', '')}={each.get('value', '')}" for each in options),
        )

    def attachment(self, told_now: Body, new_bonds: frozenset[str]) -> NetworkOnHost:
        """Raises NotInCluster, NoSuchInterface, OnlyIpv4."""
        refuse_set(told_now, qos="quality of service", properties="properties of networks on hosts")
        require_fields("NetworkAttachment", told_now, "setupNetworks", "network.id|name")
        network: Network = referred_object(self._session.networks, told_now["network"], "network", **self._center())
        used = self._used.get(network.id)
        if used is None:
            raise NotInCluster(network=network.name)
        nic, bond = self._below(told_now, new_bonds)
        values = self._address(told_now)
        return NetworkOnHost(
            name=network.vdsm_name,
            nic=nic,
            bond=bond,
            vlan_id=network.vlan_id,
            bridged=NetworkUsage.VM in network.usages,
            mtu=network.mtu,
            stp=network.stp,
            default_route=NetworkUsage.DEFAULT_ROUTE in used.usages and bool(values.get("gateway")),
            **values,
        )

    def removed(self, identifier: str) -> NetworkOnHost:
        """By the attachment's id. Raises NoSuchObject."""
        return NetworkOnHost(name=self._network(identifier).vdsm_name, remove=True)

    def has(self, vdsm_name: str) -> bool:
        return vdsm_name in self.host.facts.networks

    def free(self, told_now: Body) -> tuple[str, str]:
        """The id of an attachment that is not there yet, and its network's name. Raises NetworkOnHostAlready."""
        network: Network = referred_object(self._session.networks, told_now["network"], "network", **self._center())
        made = attachment_id(self.host.id, network.id)
        if self.has(network.vdsm_name):
            raise NetworkOnHostAlready(network=network.name, host=self.host.name, attachment=made)
        return made, network.name

    def out_of_sync(self) -> list[Body]:
        """As bodies would say how they are now."""
        carriers = [nic for nic in self._nics.values() if nic.network_id is not None]
        networks = self._session.networks.by_ids({nic.network_id for nic in carriers if nic.network_id})
        return [
            self.present(attachment_id(self.host.id, network.id))
            for nic in carriers
            if (network := networks.get(nic.network_id or "")) is not None and not in_sync(nic, network)
        ]

    def present(self, identifier: str) -> Body:
        """The attachment as a body would say it. Raises NoSuchObject."""
        network = self._network(identifier)
        told_now: Body = {"network": {"id": network.id}}
        carrier = next((nic for nic in self._nics.values() if nic.network_id == network.id), None)
        if carrier is not None:
            ip: Body = {"address": carrier.address, "netmask": carrier.netmask, "gateway": carrier.gateway}
            told_now["host_nic"] = {"name": carrier.base_interface or carrier.name}
            told_now["ip_address_assignments"] = [{"assignment_method": carrier.boot_protocol, "ip": ip}]
        return told_now

    def _network(self, identifier: str) -> Network:
        for network in self._session.networks.list(ListQuery(where=self._center())):
            if attachment_id(self.host.id, network.id) == identifier.lower():
                return network
        raise NoSuchObject(noun="Network Attachment", id=identifier[:36])

    def _center(self) -> dict[str, Any]:
        return {"data_center_id": self._session.clusters.get(self.host.cluster_id).data_center_id}

    def _below(self, told_now: Body, new_bonds: frozenset[str]) -> tuple[str, str]:
        """The NIC or the bond, one of which is empty; both are for a network of guests alone."""
        named = told_now.get("host_nic")
        if not isinstance(named, dict) or not named:
            return "", ""
        if named.get("name") in new_bonds:
            return "", str(named["name"])
        name = self.nic_name(named)
        nic = next(each for each in self._nics.values() if each.name == name)
        return ("", name) if nic.bond_slaves else (name, "")

    def _address(self, told_now: Body) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for each in items(told_now, "ip_address_assignments") or ():
            method = str(at(each, "assignment_method") or "static")
            if at(each, "ip.version") == "v6" or method not in ("none", "dhcp", "static"):
                if method == "none":
                    continue
                raise OnlyIpv4
            found = {"boot_protocol": method}
            if method == "static":
                found |= {name: str(at(each, f"ip.{name}") or "") for name in ("address", "netmask", "gateway")}
        return found
