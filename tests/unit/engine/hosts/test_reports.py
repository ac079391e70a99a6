# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What hosts say becomes facts; what makes no sense is passed over."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.engine.hosts.fitness import unfitness
from covirt.engine.hosts.host_report import nics_of, with_capabilities, with_statistics
from covirt.engine.hosts.vm_report import VmReport, ended_facts, reports, running_facts
from covirt.engine.model.cluster import Architecture, Cluster, ClusterFeature
from covirt.engine.model.entity import Version
from covirt.engine.model.host import HostFacts
from covirt.engine.model.vm import GraphicsFacts, VmFacts, VmStatus
from covirt.engine.store.plain import from_text, to_text
from tests.support.engine_objects import NOON, new_id
from tests.support.host_answers import capabilities, down_stats, hardware_info, statistics, vm_stats

VM_ID = new_id()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def facts_of(**changes: object) -> HostFacts:
    return with_capabilities(HostFacts(), {**capabilities(), **changes}, hardware_info())  # type: ignore[dict-item]


def cluster(**changes: object) -> Cluster:
    made = Cluster(
        id=new_id(), name="kitchen", data_center_id="", version=Version(major=4, minor=8), scheduling_policy_id="",
        mac_pool_id="", management_network_id="",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def test_what_a_host_is() -> None:
    facts = facts_of()
    assert (facts.cpu_sockets, facts.cpu_cores_per_socket, facts.cpu_threads_per_core) == (2, 4, 2)
    assert facts.memory_bytes == 24105 << 20
    assert facts.libvirt_version == "9.0.0-4"
    assert facts.agent_version is not None
    assert facts.agent_version.full_version == "covirt-host-4.50-1"
    assert facts.container_runtimes == ("crun", "runc")
    assert facts.architecture is Architecture.X86_64
    assert facts.networks == ("ovirtmgmt",)
    assert facts.hardware.product_name == "Cooker"


def test_how_a_host_does() -> None:
    facts = with_statistics(facts_of(), statistics())
    assert facts.memory_free_bytes == 20480 << 20
    assert facts.figures.cpu_idle_percent == 85
    assert facts.figures.nics[0].received_bytes == 806997125
    assert facts.cpu_sockets == 2


def test_a_nic_has_the_address_of_the_network_on_it() -> None:
    [nic] = nics_of("h", capabilities(), statistics(), {"ovirtmgmt": "net-id"})
    assert (nic.name, nic.up, nic.bridged, nic.network_id) == ("eth0", True, True, "net-id")
    assert (nic.address, nic.gateway, nic.boot_protocol) == ("192.0.2.11", "192.0.2.1", "static")
    assert nic.speed_bits_per_second == 1_000_000_000


def test_bonds_and_vlans_are_interfaces_too() -> None:
    bonded = capabilities(
        bondings={"bond0": {"slaves": ["eth1", "eth2"], "hwaddr": "52:54:00:00:00:02", "mtu": 9000}},
        vlans={"bond0.7": {"iface": "bond0", "vlanid": 7, "mtu": 1500}},
    )
    found = {nic.name: nic for nic in nics_of("h", bonded, statistics(), {})}
    assert found["bond0"].bond_slaves == ("eth1", "eth2")
    assert (found["bond0.7"].vlan_id, found["bond0.7"].base_interface) == (7, "bond0")


def test_a_running_guest() -> None:
    facts = running_facts(
        VmFacts(), VmReport(vm_id=VM_ID, stats=vm_stats(VM_ID)), host_id="h", address="oven", now=NOON
    )
    assert (facts.status, facts.host_id) == (VmStatus.UP, "h")
    assert facts.start_time == NOON - timedelta(seconds=60)
    assert facts.cpu_user_percent == 25
    assert facts.memory_used_bytes == 16 << 20
    assert facts.reported_devices[0].ip_addresses == ("192.0.2.77", "fe80::1")
    assert facts.graphics == (GraphicsFacts(protocol="vnc", address="oven", port=5900),)


def test_its_start_is_the_same_at_every_poll() -> None:
    report = VmReport(vm_id=VM_ID, stats=vm_stats(VM_ID))
    first = running_facts(VmFacts(), report, host_id="h", address="", now=NOON)
    later = NOON + timedelta(milliseconds=900)
    assert running_facts(first, report, host_id="h", address="", now=later).start_time == first.start_time


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ({"status": "RebootInProgress"}, VmStatus.REBOOT_IN_PROGRESS),
        ({"status": "Up", "monitorResponse": "-1"}, VmStatus.NOT_RESPONDING),
        ({"status": "Singing"}, VmStatus.UNKNOWN),
        ({}, VmStatus.UNKNOWN),
    ],
)
def test_statuses(words: dict[str, str], status: VmStatus) -> None:
    report = VmReport(vm_id=VM_ID, stats=words)
    assert running_facts(VmFacts(), report, host_id="h", address="", now=NOON).status is status


def test_an_ended_guest_keeps_why() -> None:
    before = running_facts(
        VmFacts(stop_reason="holidays"),
        VmReport(vm_id=VM_ID, stats=vm_stats(VM_ID)),
        host_id="h",
        address="",
        now=NOON,
    )
    report = VmReport(vm_id=VM_ID, stats=down_stats(VM_ID, code=1, reason=1, message="killed: out of memory"))
    assert report.is_down
    facts = ended_facts(before, report, now=NOON)
    assert (facts.status, facts.host_id, facts.graphics) == (VmStatus.DOWN, None, ())
    assert (facts.exit_code, facts.exit_reason, facts.exit_message) == (1, 1, "killed: out of memory")


@given(JSON, JSON, JSON)
def test_nothing_that_a_host_says_is_too_odd(first: object, second: object, third: object) -> None:
    """And what comes of it can be kept."""
    odd = dict.fromkeys([*capabilities(), *statistics(), *vm_stats(VM_ID), "a"], first) | {"networks": {"n": second}}
    odd["nics"] = {"e": third}
    host = with_statistics(with_capabilities(HostFacts(), odd, odd), odd)  # type: ignore[arg-type]
    assert from_text(HostFacts, to_text(host)) == host
    nics_of("h", odd, odd, {})  # type: ignore[arg-type]
    for report in [*reports([odd, first]), VmReport(vm_id=VM_ID, stats=odd)]:  # type: ignore[list-item, arg-type]
        vm = running_facts(VmFacts(), report, host_id="h", address="", now=NOON)
        assert from_text(VmFacts, to_text(vm)) == vm
        ended_facts(vm, report, now=NOON)


def test_a_host_that_fits() -> None:
    feature = ClusterFeature(id="f", name="containers", level="4.8")
    assert unfitness(facts_of(), cluster(cpu_architecture=Architecture.X86_64), [feature]) == ""


def test_a_host_without_containers_does_not_fit_where_they_are_demanded() -> None:
    facts = facts_of(additionalFeatures=[], containers=False, containersReason="no container runtime works")
    feature = ClusterFeature(id="f", name="containers", level="4.8")
    assert unfitness(facts, cluster(), []) == ""
    assert unfitness(facts, cluster(), [feature]) == (
        "Cluster kitchen demands the feature containers, which the host does not have: no container runtime works."
    )


def test_a_host_of_another_level_or_architecture_does_not_fit() -> None:
    assert "cannot join Cluster kitchen which is set to version 4.8" in unfitness(
        facts_of(clusterLevels=["4.6", "4.7"]), cluster(), []
    )
    other = cluster(cpu_architecture=Architecture.PPC64)
    assert unfitness(facts_of(), other, []) == "Its architecture is x86_64, and that of Cluster kitchen is ppc64."
