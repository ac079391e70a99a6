# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Network attachments: which network lies on which interface of a host, as the host told it last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from covirt.engine.api.call import Call
from covirt.engine.api.changes import host_networks as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Below, Collection
from covirt.engine.api.resources.loading import each, grouped
from covirt.engine.api.resources.values import reference
from covirt.engine.model.host import HostNic
from covirt.engine.model.network import Network
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """``carrier`` is the interface with the network on it, such as a VLAN's; ``nic`` the NIC or bond below. One of
    guests alone has neither."""

    host_id: str
    network: Network
    carrier: HostNic | None = None
    nic: HostNic | None = None

    @property
    def id(self) -> str:
        return changes.attachment_id(self.host_id, self.network.id)


def _attachments(session: Session, host_ids: Sequence[str]) -> list[Attachment]:
    nics = session.host_nics.list(ListQuery(where={"host_id": tuple(host_ids)}))
    networks = session.networks.by_ids({nic.network_id for nic in nics if nic.network_id})
    by_name = {(nic.host_id, nic.name): nic for nic in nics}
    return [
        Attachment(
            host_id=nic.host_id,
            network=networks[nic.network_id],
            carrier=nic,
            nic=by_name.get((nic.host_id, nic.base_interface), nic),
        )
        for nic in nics
        if nic.network_id in networks
    ]


def _of_guests(session: Session, host_ids: Sequence[str]) -> list[Attachment]:
    """Networks that a host has, and that lie on none of its interfaces."""
    hosts = session.hosts.by_ids(host_ids)
    clusters = session.clusters.by_ids({host.cluster_id for host in hosts.values()})
    centers = {cluster.data_center_id for cluster in clusters.values()}
    networks = session.networks.list(ListQuery(where={"data_center_id": frozenset(centers)})) if centers else ()
    by_name = {(network.data_center_id, network.vdsm_name): network for network in networks}
    named = [
        (host.id, by_name.get((clusters[host.cluster_id].data_center_id, name)))
        for host in hosts.values()
        for name in host.facts.networks
    ]
    return [Attachment(host_id=host_id, network=network) for host_id, network in named if network is not None]


def _of_hosts(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Attachment]]:
    found = _attachments(call.session, ids)
    known = {item.id for item in found}
    found += [item for item in _of_guests(call.session, ids) if item.id not in known]
    return grouped((item.host_id, item) for item in found)


def _of_nics(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Attachment]]:
    hosts = {nic.host_id for nic in call.session.host_nics.by_ids(ids).values()}
    found = _attachments(call.session, sorted(hosts))
    return grouped((item.nic.id, item) for item in found if item.nic is not None and item.nic.id in ids)


def attachment_node(item: Attachment) -> Node:
    nic = item.nic
    below = Node(type="HostNic", id=nic.id, path=f"hosts/{item.host_id}/nics/{nic.id}") if nic else None
    values: dict[str, Value] = {
        "network": reference("Network", item.network.id),
        "host": reference("Host", item.host_id),
        "host_nic": below,
        "in_sync": changes.in_sync(item.carrier, item.network),
        "ip_address_assignments": [_assignment(item.carrier)] if item.carrier else None,
    }
    return Node(type="NetworkAttachment", id=item.id, values=values)


def _assignment(nic: HostNic) -> dict[str, Value]:
    ip: dict[str, Value] = {
        "address": nic.address or None,
        "netmask": nic.netmask or None,
        "gateway": nic.gateway or None,
        "version": "v4",
    }
    return {"assignment_method": nic.boot_protocol, "ip": ip}


def _collection(below: Below) -> Collection:
    return Collection(
        path="networkattachments",
        type="NetworkAttachment",
        show=each(attachment_node),
        below=below,
        add=changes.add_attachment,
        update=changes.update_attachment,
        remove=changes.remove_attachment,
    )


ATTACHMENTS_OF_HOST = _collection(_of_hosts)
ATTACHMENTS_OF_NIC = _collection(_of_nics)
