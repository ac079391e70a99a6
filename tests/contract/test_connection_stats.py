# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Any connection: many domains' numbers in one call."""

from typing import Any

import libvirt

from tests.support.connections import Ability, Client, is_ours, refused, short_name

STATE, CPU, BALLOON = (
    libvirt.VIR_DOMAIN_STATS_STATE,
    libvirt.VIR_DOMAIN_STATS_CPU_TOTAL,
    libvirt.VIR_DOMAIN_STATS_BALLOON,
)
VCPU, INTERFACE, BLOCK = (
    libvirt.VIR_DOMAIN_STATS_VCPU,
    libvirt.VIR_DOMAIN_STATS_INTERFACE,
    libvirt.VIR_DOMAIN_STATS_BLOCK,
)
UNKNOWN = 1 << 20
ENFORCE = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS


def all_stats(client: Client, groups: int = 0, flags: int = 0) -> dict[str, dict[str, Any]]:
    records = client.connection.getAllDomainStats(groups, flags)
    return {short_name(domain): stats for domain, stats in records if is_ours(domain)}


def test_the_state_is_that_of_the_domain(client: Client) -> None:
    client.define("off")
    client.run("on")
    client.run("paused").suspend()
    assert all_stats(client, STATE) == {
        "off": {"state.state": libvirt.VIR_DOMAIN_SHUTOFF, "state.reason": libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN},
        "on": {"state.state": libvirt.VIR_DOMAIN_RUNNING, "state.reason": libvirt.VIR_DOMAIN_RUNNING_BOOTED},
        "paused": {"state.state": libvirt.VIR_DOMAIN_PAUSED, "state.reason": libvirt.VIR_DOMAIN_PAUSED_USER},
    }


def test_filters_are_those_of_lists(client: Client) -> None:
    client.define("off")
    client.run("on")
    client.create("transient")
    expected = {
        0: {"off", "on", "transient"},
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE: {"on", "transient"},
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE: {"off"},
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT: {"off", "on"},
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT: {"transient"},
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING: {"on", "transient"},
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF: {"off"},
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_PAUSED: set(),
    }
    assert {flags: set(all_stats(client, STATE, flags)) for flags in expected} == expected


def test_a_list_is_answered_in_its_order(client: Client) -> None:
    domains = {name: client.define(name) for name in ("one", "two", "three")}
    for names in (["three", "one"], ["two", "three", "two"]):
        records = client.connection.domainListGetStats([domains[name] for name in names], STATE)
        assert [short_name(domain) for domain, _ in records] == names


def test_who_has_gone_is_left_out(client: Client) -> None:
    """Between a list and its statistics domains may vanish, which must not cost the others."""
    first, second = client.define("one"), client.define("two")
    first.undefine()
    records = client.connection.domainListGetStats([first, second], STATE)
    assert [short_name(domain) for domain, _ in records] == ["two"]


def test_unknown_groups_are_left_out_unless_enforced(client: Client) -> None:
    client.define("one")
    assert set(all_stats(client, STATE | UNKNOWN)["one"]) == {"state.state", "state.reason"}
    assert all_stats(client, STATE, ENFORCE)
    with refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED):
        client.connection.getAllDomainStats(STATE | UNKNOWN, ENFORCE)


def test_numbers_of_a_domain_that_is_off(client: Client) -> None:
    client.require(Ability.STATISTICS)
    domain = client.define("one")
    stats = all_stats(client)["one"]
    assert stats["balloon.maximum"] == domain.maxMemory()
    assert stats["vcpu.maximum"] == 1
    assert "vcpu.0.time" not in stats


def test_numbers_of_a_domain_that_runs(client: Client) -> None:
    client.require(Ability.STATISTICS)
    domain = client.run("one")
    stats = all_stats(client, STATE | CPU | BALLOON | VCPU | INTERFACE | BLOCK, ENFORCE)["one"]
    assert stats["state.state"] == libvirt.VIR_DOMAIN_RUNNING
    assert stats["balloon.current"] == stats["balloon.maximum"] == domain.maxMemory()
    assert stats["vcpu.current"] == stats["vcpu.maximum"] == 1
    assert stats["vcpu.0.state"] == libvirt.VIR_VCPU_RUNNING
    assert stats["net.count"] == 0
    assert stats["block.count"] == 0
    assert all(type(value) is int for key, value in stats.items() if not key.endswith((".name", ".path", "mode")))


def test_each_group_gives_its_own(client: Client) -> None:
    client.require(Ability.STATISTICS)
    client.run("one")
    for group, prefix in (
        (STATE, "state."),
        (BALLOON, "balloon."),
        (VCPU, "vcpu."),
        (INTERFACE, "net."),
        (BLOCK, "block."),
    ):
        keys = set(all_stats(client, group)["one"])
        assert keys
        assert all(key.startswith(prefix) for key in keys)


def test_cpu_time_is_told_everywhere_and_grows(client: Client) -> None:
    client.require(Ability.CPU_TIME)
    domain = client.run("one")
    earlier = all_stats(client, CPU)["one"]
    total = domain.getCPUStats(True)[0]
    later = all_stats(client, CPU)["one"]
    assert {"cpu.time", "cpu.user", "cpu.system"} <= set(earlier)
    assert 0 < earlier["cpu.time"] <= total["cpu_time"] <= later["cpu.time"]
    assert domain.info()[4] > 0
    assert {"cpu_time", "user_time", "system_time"} <= set(total)


def test_memory_in_use_is_told(client: Client) -> None:
    client.require(Ability.CPU_TIME)
    domain = client.run("one")
    assert all_stats(client, BALLOON)["one"]["balloon.rss"] >= 0  # the kernel counts small amounts in batches
    stats = domain.memoryStats()
    assert stats["actual"] == domain.maxMemory()
    assert stats["rss"] >= 0
