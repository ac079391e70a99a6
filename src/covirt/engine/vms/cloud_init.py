# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The files that cloud-init reads from a disc named config-2: OpenStack's config drive, as oVirt's engine makes it.

The formats are cloud-init's own: https://docs.cloud-init.io/en/latest/reference/datasources/configdrive.html and
https://docs.openstack.org/nova/latest/user/metadata.html (network_data.json).
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from covirt.engine.model.hardware import GuestAddress, GuestNic, GuestProtocol, Initialization

LABEL: Final = "config-2"
_HEAD: Final = "#cloud-config\n"


def cloud_init_files(value: Initialization, *, instance_id: str) -> Mapping[str, bytes]:
    """By their paths. ``value``: with its secrets in the clear. cloud-init does its work once for each instance."""
    files = {
        "openstack/latest/meta_data.json": json.dumps(_meta_data(value, instance_id)),
        "openstack/latest/user_data": _user_data(value),
    }
    network = _network_data(value)
    if network:  # cloud-init gives up over an empty one
        files["openstack/latest/network_data.json"] = json.dumps(network)
    return {path: text.encode() for path, text in files.items()}


def _meta_data(value: Initialization, instance_id: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "uuid": instance_id,
        "launch_index": "0",
        "availability_zone": "nova",
        "meta": {"role": "server", "dsmode": "local", "essential": "false"},  # local: networks are set up from here
    }
    if value.host_name:
        told |= {"hostname": value.host_name, "name": value.host_name}
    if keys := [line.strip() for line in value.authorized_ssh_keys.splitlines() if line.strip()]:
        told["public_keys"] = keys
    return told


def _user_data(value: Initialization) -> str:
    """The script follows as it is, and its words replace those before it."""
    told: dict[str, Any] = {"disable_root": False, "ssh_pwauth": True, "chpasswd": {"expire": False}}
    if value.user_name:
        told["user"] = value.user_name
    if value.root_password:
        told["password"] = value.root_password
    if value.time_zone:
        told["timezone"] = value.time_zone
    if value.regenerate_ssh_keys is not None:
        told["ssh_deletekeys"] = value.regenerate_ssh_keys
    return _HEAD + yaml.safe_dump(told, allow_unicode=True) + value.custom_script


def _network_data(value: Initialization) -> dict[str, Any]:
    servers, domains = value.dns_servers.split(), value.dns_search.split()
    networks = [
        {**told, **_names(servers, domains)}
        for nic in value.nics
        for told in (_network(nic, nic.v4, "ipv4"), _network(nic, nic.v6, "ipv6"))
        if told
    ]
    used = {network["link"] for network in networks}
    links = [{"id": nic.name, "name": nic.name, "type": "vif"} for nic in value.nics if nic.name in used]
    services = [{"type": "dns", "address": server} for server in servers]
    told = {"links": links, "networks": networks, "services": services}
    return {name: entries for name, entries in told.items() if entries}


def _network(nic: GuestNic, address: GuestAddress, kind: str) -> dict[str, Any]:
    if address.protocol is GuestProtocol.NONE:
        return {}
    told = {"id": nic.name if kind == "ipv4" else f"{nic.name}-{kind}", "link": nic.name}
    if address.protocol is GuestProtocol.DHCP:
        return {**told, "type": f"{kind}_dhcp"}
    told |= {"type": kind, "ip_address": address.address}
    more = {"netmask": address.netmask, "gateway": address.gateway}
    return told | {name: text for name, text in more.items() if text}


def _names(servers: list[str], domains: list[str]) -> dict[str, list[str]]:
    told = {"dns_nameservers": servers, "dns_search": domains}
    return {name: texts for name, texts in told.items() if texts}
