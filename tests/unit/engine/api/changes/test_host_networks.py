# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine asks a host for when somebody sets up its networks."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from covirt.engine.api.app import create_app
from covirt.engine.commands.asked import Asked
from covirt.engine.commands.command import WAIT_SECONDS, Command, Outcome
from covirt.engine.commands.networking.host_networks import CommitHostNetworks, SetUpHostNetworks
from covirt.engine.model.host import HostNic
from covirt.engine.store.store import Store
from tests.support.engine_api import api_client, api_services
from tests.support.engine_changing import Asker
from tests.support.engine_samples import CENTER_ID, HOST_ID, HOST_NIC_ID, JOB_ID, NETWORK_ID, sample_id

_SET_UP = f"hosts/{HOST_ID}/setupnetworks"


@dataclass
class Recorder:
    """Of operations: each is over at once."""

    commands: list[Command] = field(default_factory=list)

    def run(self, asked: Asked, command: Command, *, wait_seconds: float = WAIT_SECONDS) -> Outcome:
        del asked, wait_seconds
        self.commands.append(command)
        return Outcome(job_id=JOB_ID, pending=False)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def asker(store: Store, recorder: Recorder) -> Asker:
    return Asker(client=api_client(create_app(replace(api_services(store), commands=recorder))))


def _wanted(recorder: Recorder) -> tuple[dict[str, Any], dict[str, Any]]:
    (command,) = recorder.commands
    assert isinstance(command, SetUpHostNetworks)
    return (
        {each.name: each.as_verb() for each in command.networks},
        {each.name: each.as_verb() for each in command.bonds},
    )


def test_a_vlan_on_a_new_bond_with_dhcp(asker: Asker, recorder: Recorder, store: Store) -> None:
    with store.write() as session:
        session.host_nics.add(HostNic(id=sample_id("eth1"), name="eth1", host_id=HOST_ID))
    slaves = {"host_nic": [{"name": "eth1"}, {"id": HOST_NIC_ID}]}
    options = {"option": [{"name": "mode", "value": "4"}, {"name": "miimon", "value": "100"}]}
    attachment = {
        "network": {"name": "pipes"},
        "host_nic": {"name": "bond0"},
        "ip_address_assignments": {"ip_address_assignment": [{"assignment_method": "dhcp"}]},
    }
    told = asker.post(
        _SET_UP,
        {
            "modified_bonds": {"host_nic": [{"name": "bond0", "bonding": {"slaves": slaves, "options": options}}]},
            "modified_network_attachments": {"network_attachment": [attachment]},
            "commit_on_success": True,
        },
        status=200,
    )
    assert (told["status"], told["job"]["id"]) == ("complete", JOB_ID)
    networks, bonds = _wanted(recorder)
    assert networks == {
        "pipes": {
            "bonding": "bond0",
            "bootproto": "dhcp",
            "bridged": True,
            "defaultRoute": False,
            "stp": False,
            "vlan": 7,
        }
    }
    assert bonds == {"bond0": {"nics": ["eth1", "eth0"], "options": "mode=4 miimon=100"}}
    command = recorder.commands[0]
    assert isinstance(command, SetUpHostNetworks)
    assert (command.check_connectivity, command.commit) == (True, True)


def test_what_is_there_is_taken_away_by_its_id(asker: Asker, recorder: Recorder) -> None:
    (attachment,) = asker.get(f"hosts/{HOST_ID}/nics/{HOST_NIC_ID}/networkattachments")["network_attachment"]
    assert attachment["network"]["id"] == NETWORK_ID
    assert attachment["in_sync"] == "false"  # the sample's NIC is no bridge's and no VLAN's
    removed = {"network_attachment": [{"id": attachment["id"]}]}
    asker.post(_SET_UP, {"removed_network_attachments": removed}, status=200)
    assert _wanted(recorder) == ({"pipes": {"remove": True}}, {})


def test_one_attachment_is_changed_as_ansible_does_it(asker: Asker, recorder: Recorder, store: Store) -> None:
    with store.write() as session:
        session.host_nics.update(replace(session.host_nics.get(HOST_NIC_ID), boot_protocol="static"))
    base = f"hosts/{HOST_ID}/nics/{HOST_NIC_ID}/networkattachments"
    (attachment,) = asker.get(base)["network_attachment"]
    asker.put(f"{base}/{attachment['id']}", {})
    same = {"bridged": True, "defaultRoute": False, "nic": "eth0", "stp": False, "vlan": 7}
    assert _wanted(recorder)[0]["pipes"] == {**same, "ipaddr": "192.0.2.10", "netmask": "255.255.255.0"}
    recorder.commands.clear()
    ip = {"address": "192.0.2.77", "netmask": "255.255.255.0"}
    told = [{"assignment_method": "static", "ip": ip}]
    path = f"hosts/{HOST_ID}/networkattachments/{attachment['id']}"
    asker.put(path, {**attachment, "ip_address_assignments": {"ip_address_assignment": told}})
    assert _wanted(recorder)[0]["pipes"]["ipaddr"] == "192.0.2.77"
    recorder.commands.clear()
    asker.delete(path)
    assert _wanted(recorder)[0] == {"pipes": {"remove": True}}


def test_a_bond_is_taken_away(asker: Asker, recorder: Recorder, store: Store) -> None:
    with store.write() as session:
        bond = HostNic(id=sample_id("bond0"), name="bond0", host_id=HOST_ID, bond_slaves=("eth1", "eth2"))
        session.host_nics.add(bond)
    attachment = {"network": {"id": NETWORK_ID}, "host_nic": {"id": bond.id}}
    asker.post(_SET_UP, {"modified_network_attachments": {"network_attachment": [attachment]}}, status=200)
    assert _wanted(recorder)[0]["pipes"]["bonding"] == "bond0"
    recorder.commands.clear()
    asker.post(_SET_UP, {"removed_bonds": {"host_nic": [{"name": "bond0"}]}}, status=200)
    assert _wanted(recorder) == ({}, {"bond0": {"remove": True}})


def test_what_lies_otherwise_than_it_is_wanted_is_set_up_again(
    asker: Asker, recorder: Recorder, store: Store
) -> None:
    (attachment,) = asker.get(f"hosts/{HOST_ID}/networkattachments")["network_attachment"]
    again = {"bridged": True, "defaultRoute": False, "nic": "eth0", "stp": False, "vlan": 7, "bootproto": "dhcp"}
    with store.write() as session:
        session.host_nics.update(replace(session.host_nics.get(HOST_NIC_ID), boot_protocol="dhcp"))
    synchronized = {"synchronized_network_attachments": {"network_attachment": [{"id": attachment["id"]}]}}
    asker.post(_SET_UP, synchronized, status=200)
    assert _wanted(recorder)[0] == {"pipes": again}
    recorder.commands.clear()
    asker.post(f"hosts/{HOST_ID}/syncallnetworks", {}, status=200)
    assert _wanted(recorder)[0] == {"pipes": again}
    recorder.commands.clear()
    with store.write() as session:
        session.host_nics.update(replace(session.host_nics.get(HOST_NIC_ID), bridged=True, vlan_id=7))
    asker.post(f"hosts/{HOST_ID}/syncallnetworks", {}, status=200)
    assert recorder.commands == []


def test_a_network_is_added_to_a_nic_once(asker: Asker, recorder: Recorder, store: Store) -> None:
    below = f"hosts/{HOST_ID}/nics/{HOST_NIC_ID}/networkattachments"
    told = asker.post(below, {"network": _NETWORK}, status=503)
    assert "pipes" in str(told), "the host has not told it"
    assert _wanted(recorder)[0]["pipes"]["nic"] == "eth0"
    recorder.commands.clear()
    with store.write() as session:
        facts = session.hosts.get(HOST_ID).facts
        session.hosts.update_facts(HOST_ID, replace(facts, networks=(*facts.networks, "pipes")))
    assert "already" in str(asker.post(f"hosts/{HOST_ID}/networkattachments", {"network": _NETWORK}, status=409))
    assert recorder.commands == []


def test_networks_are_saved(asker: Asker, recorder: Recorder) -> None:
    asker.post(f"hosts/{HOST_ID}/commitnetconfig", {}, status=200)
    assert recorder.commands == [CommitHostNetworks(host_id=HOST_ID)]


_V6 = {"assignment_method": "static", "ip": {"version": "v6", "address": "2001:db8::2"}}
_NETWORK = {"id": NETWORK_ID}


def _modified(**attachment: Any) -> dict[str, Any]:
    return {"modified_network_attachments": {"network_attachment": [attachment]}}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"removed_network_attachments": {"network_attachment": [_NETWORK]}}, 404, NETWORK_ID),
        ({"removed_bonds": {"host_nic": [{"name": "bond7"}]}}, 400, "no network interface bond7"),
        ({"modified_bonds": {"host_nic": [{"name": "bond7"}]}}, 400, "bonding.slaves"),
        ({"modified_labels": {"network_label": [{"id": "x"}]}}, 400, "labels"),
        (_modified(network=_NETWORK, ip_address_assignments={"ip_address_assignment": [_V6]}), 400, "IPv4"),
        (_modified(network=_NETWORK, host_nic={"name": "eth9"}), 400, "no network interface eth9"),
        (_modified(network=_NETWORK, qos={"id": NETWORK_ID}), 400, "quality of service"),
        (_modified(network={"name": "nowhere"}), 404, "nowhere"),
        (_modified(network={"name": "cellar"}), 400, "current Cluster: cellar"),
        (_modified(host_nic={"name": "eth0"}), 400, "network.id|name"),
    ],
)
def test_what_is_refused(asker: Asker, recorder: Recorder, body: Any, status: int, words: str) -> None:
    asker.post("networks", {"name": "cellar", "data_center": {"id": CENTER_ID}})
    assert words in str(asker.post(_SET_UP, body, status=status))
    assert recorder.commands == []
