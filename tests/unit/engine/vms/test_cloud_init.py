# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What cloud-init reads."""

import json
from typing import Any

import yaml

from covirt.engine.model.hardware import GuestAddress, GuestNic, GuestProtocol, Initialization
from covirt.engine.vms.cloud_init import cloud_init_files

DHCP = GuestAddress(protocol=GuestProtocol.DHCP)


def _read(value: Initialization) -> dict[str, Any]:
    files = cloud_init_files(value, instance_id="first")
    assert all(path.startswith("openstack/latest/") for path in files)
    read = {path.rpartition("/")[2]: data.decode() for path, data in files.items()}
    user_data = read.pop("user_data")
    assert user_data.startswith("#cloud-config\n")
    return {**{name: json.loads(text) for name, text in read.items()}, "user_data": yaml.safe_load(user_data)}


def test_nothing_but_what_everybody_gets() -> None:
    read = _read(Initialization())
    assert read.keys() == {"meta_data.json", "user_data"}
    assert read["meta_data.json"]["uuid"] == "first"
    assert "hostname" not in read["meta_data.json"]


def test_all_of_it() -> None:
    read = _read(
        Initialization(
            host_name="web",
            user_name="cook: [",
            root_password="'pepper\n",  # noqa: S106
            authorized_ssh_keys="ssh-ed25519 AAAA one\r\n\nssh-ed25519 BBBB two\n",
            regenerate_ssh_keys=True,
            custom_script="timezone: Europe/Berlin\npackages: [vim]\n",
            time_zone="Etc/GMT",
        )
    )
    meta, user = read["meta_data.json"], read["user_data"]
    assert (meta["hostname"], meta["name"]) == ("web", "web")
    assert meta["public_keys"] == ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]
    assert (user["user"], user["password"], user["ssh_deletekeys"]) == ("cook: [", "'pepper\n", True)
    assert (user["timezone"], user["packages"]) == ("Europe/Berlin", ["vim"]), "the script has the last word"
    assert (user["chpasswd"], user["ssh_pwauth"], user["disable_root"]) == ({"expire": False}, True, False)


def test_networks() -> None:
    static = GuestAddress(
        protocol=GuestProtocol.STATIC, address="192.0.2.7", netmask="255.255.255.0", gateway="192.0.2.1"
    )
    v6 = GuestAddress(protocol=GuestProtocol.STATIC, address="2001:db8::7", netmask="64")
    nics = (GuestNic(name="eth0", v4=static, v6=v6), GuestNic(name="eth1", v4=DHCP), GuestNic(name="eth2"))
    value = Initialization(nics=nics, dns_servers="192.0.2.53 192.0.2.54", dns_search="example.com")
    told = _read(value)["network_data.json"]
    names = {"dns_nameservers": ["192.0.2.53", "192.0.2.54"], "dns_search": ["example.com"]}
    assert told["links"] == [{"id": name, "name": name, "type": "vif"} for name in ("eth0", "eth1")]
    assert told["networks"] == [
        {"id": "eth0", "link": "eth0", "type": "ipv4", "ip_address": "192.0.2.7", "netmask": "255.255.255.0",
         "gateway": "192.0.2.1", **names},
        {"id": "eth0-ipv6", "link": "eth0", "type": "ipv6", "ip_address": "2001:db8::7", "netmask": "64", **names},
        {"id": "eth1", "link": "eth1", "type": "ipv4_dhcp", **names},
    ]  # fmt: skip
    assert told["services"] == [{"type": "dns", "address": each} for each in names["dns_nameservers"]]
    assert _read(Initialization(dns_servers="192.0.2.53"))["network_data.json"].keys() == {"services"}
