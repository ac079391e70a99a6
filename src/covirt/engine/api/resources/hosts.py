# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts and their NICs."""

from typing import Final

from covirt.engine.api.changes import hosts as changes
from covirt.engine.api.changes.host_networks import commit_networks, set_up_networks, synchronize_networks
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.absent import KATELLO_ERRATA
from covirt.engine.api.resources.access import permissions_below
from covirt.engine.api.resources.affinity import LABELS_OF_HOST, TAGS_OF_HOST
from covirt.engine.api.resources.host_networks import ATTACHMENTS_OF_HOST, ATTACHMENTS_OF_NIC
from covirt.engine.api.resources.loading import by_id, by_parent, each, empty, found, nothing
from covirt.engine.api.resources.statistics import HOST_NIC_STATISTICS, HOST_STATISTICS
from covirt.engine.api.resources.values import named, reference, version, version_of
from covirt.engine.model.access import ObjectType
from covirt.engine.model.host import Host, HostFacts, HostNic


def host_node(host: Host) -> Node:
    certificate: dict[str, Value] = {
        "subject": host.certificate_subject,
        "organization": host.certificate_organization or None,
    }
    values: dict[str, Value] = {
        **named(host),
        **_facts(host.facts),
        "address": host.address,
        "port": host.port,
        "protocol": "stomp",
        "type": "rhel",
        "cluster": reference("Cluster", host.cluster_id),
        "ssh": {"port": host.ssh_port, "fingerprint": host.ssh_fingerprint or None},
        "spm": {"priority": host.spm_priority, "status": str(host.facts.spm_status)},
        "certificate": certificate if host.certificate_subject else None,
        "override_iptables": host.override_iptables,
        "power_management": {"enabled": False, "automatic_pm_enabled": True, "kdump_detection": True},
        "kdump_status": "unknown",
        "external_status": "ok",
        "update_available": False,
        "network_operation_in_progress": False,
        "reinstallation_required": False,
    }
    return Node(type="Host", id=host.id, values=values)


def _facts(facts: HostFacts) -> dict[str, Value]:
    hardware = facts.hardware
    topology: dict[str, Value] = {
        "sockets": facts.cpu_sockets,
        "cores": facts.cpu_cores_per_socket,
        "threads": facts.cpu_threads_per_core,
    }
    return {
        "status": str(facts.status),
        "status_detail": facts.status_detail or None,
        "cpu": {
            "name": facts.cpu_name or None,
            "speed": facts.cpu_speed_mhz,
            "type": facts.cpu_type or None,
            "topology": topology,
        }
        if facts.cpu_sockets
        else None,
        "memory": facts.memory_bytes,
        "max_scheduling_memory": facts.max_scheduling_memory_bytes,
        "os": {
            "type": facts.os_type,
            "version": version_of(facts.os_version),
            "reported_kernel_cmdline": None,
        }
        if facts.os_type
        else None,
        "libvirt_version": version_of(facts.libvirt_version),
        "version": version(facts.agent_version),
        "hardware_information": {
            "manufacturer": hardware.manufacturer or None,
            "product_name": hardware.product_name or None,
            "version": hardware.version or None,
            "serial_number": hardware.serial_number or None,
            "family": hardware.family or None,
            "uuid": hardware.uuid or None,
        },
        "se_linux": {"mode": facts.se_linux_mode},
        "summary": {"active": facts.vms_active, "migrating": 0, "total": facts.vms_total},
    }


def host_nic_node(nic: HostNic) -> Node:
    ip: dict[str, Value] = {
        "address": nic.address,
        "netmask": nic.netmask or None,
        "gateway": nic.gateway or None,
        "version": "v4",
    }
    slaves: list[Value] = [{"name": name} for name in nic.bond_slaves]
    values: dict[str, Value] = {
        **named(nic),
        "host": reference("Host", nic.host_id),
        "mac": {"address": nic.mac} if nic.mac else None,
        "mtu": nic.mtu,
        "speed": nic.speed_bits_per_second,
        "status": "up" if nic.up else "down",
        "ip": ip if nic.address else None,
        "boot_protocol": nic.boot_protocol,
        "bridged": nic.bridged,
        "base_interface": nic.base_interface or None,
        "network": reference("Network", nic.network_id),
        "vlan": Node(type="Vlan", id=str(nic.vlan_id)) if nic.vlan_id is not None else None,
        "bonding": {"options": [], "slaves": slaves} if slaves else None,  # clients read both
    }
    return Node(type="HostNic", id=nic.id, values=values)


_NO_LOGIN: Final = (
    "The engine never logs in to hosts: install covirt-host there with the system's packages, make a token (POST "
    "/covirt/enrolment/tokens), and run covirt-host enrol --engine URL --token-file FILE on it."
)

HOSTS = Collection(
    path="hosts",
    type="Host",
    show=each(host_node),
    list=found(lambda session: session.hosts),
    get=by_id(lambda session: session.hosts),
    searchable=True,
    add=changes.add_host,
    update=changes.update_host,
    remove=changes.remove_host,
    actions={
        "activate": changes.activate,
        "approve": changes.approve,
        "commitnetconfig": commit_networks,
        "deactivate": changes.deactivate,
        "fence": changes.fence,
        "refresh": changes.refresh,
        "setupnetworks": set_up_networks,
        "syncallnetworks": synchronize_networks,
    },
    refused_actions={
        "install": _NO_LOGIN,
        "upgrade": _NO_LOGIN,
        "upgradecheck": _NO_LOGIN,
        "enrollcertificate": _NO_LOGIN,
    },
    children=(
        LABELS_OF_HOST,
        Collection(**empty("devices", "HostDevice"), below=nothing),
        Collection(**empty("fenceagents", "Agent"), below=nothing),
        Collection(**empty("hooks", "Hook"), below=nothing),
        KATELLO_ERRATA,
        ATTACHMENTS_OF_HOST,
        Collection(
            path="nics",
            type="HostNic",
            show=each(host_nic_node),
            below=by_parent(lambda session: session.host_nics, "host_id"),
            children=(
                ATTACHMENTS_OF_NIC,
                Collection(**empty("networklabels", "NetworkLabel"), below=nothing),
                HOST_NIC_STATISTICS,
            ),
        ),
        Collection(**empty("numanodes", "NumaNode", tag="host_numa_nodes"), below=nothing),
        permissions_below(ObjectType.HOST),
        HOST_STATISTICS,
        Collection(**empty("storage", "HostStorage"), below=nothing),
        TAGS_OF_HOST,
        Collection(**empty("unmanagednetworks", "UnmanagedNetwork"), below=nothing),
    ),
)
