# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What each change makes of a configuration, and what it refuses."""

from collections.abc import Callable, Mapping

import pytest

from covirt.common.errors import Error
from covirt.virtocid.driver import tuning_changes
from covirt.virtocid.driver.domain_xml import format_domain, parse_domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.errors import BadArgument, NotSupported
from covirt.virtocid.driver.tuning_changes import UNLIMITED_KIB, Change
from tests.support.virtocid import domain_xml

MIB = 1024
ALL = frozenset({0, 1, 2, 3})


def config(more: str = "<vcpu current='2'>4</vcpu>", *, memory_mib: int = 128) -> DomainConfig:
    return parse_domain(domain_xml("web", memory_mib=memory_mib, more=more))


def changed(change: Change, present: DomainConfig | None = None) -> DomainConfig:
    """The new configuration, which must survive being written and read, for it is kept as XML."""
    after = change(present or config())
    assert parse_domain(format_domain(after, secure=True)) == after
    return after


def test_memory() -> None:
    assert changed(tuning_changes.memory(64 * MIB)).current_memory_kib == 64 * MIB
    with pytest.raises(BadArgument, match="higher than max memory"):
        tuning_changes.memory(129 * MIB)(config())
    with pytest.raises(BadArgument, match="too little"):
        tuning_changes.memory(1024)(config())


def test_a_lower_maximum_lowers_what_may_be_used() -> None:
    after = changed(tuning_changes.maximum_memory(32 * MIB))
    assert (after.memory_kib, after.current_memory_kib) == (32 * MIB, 32 * MIB)
    after = changed(tuning_changes.maximum_vcpus(1))
    assert (after.vcpus, after.current_vcpus) == (1, 1)
    after = changed(tuning_changes.maximum_vcpus(9))
    assert (after.vcpus, after.current_vcpus) == (9, 2)


@pytest.mark.parametrize("count", [0, 5])
def test_numbers_of_cpus_that_there_are_not(count: int) -> None:
    assert changed(tuning_changes.vcpus(4)).current_vcpus == 4
    with pytest.raises(BadArgument, match="the maximum, 4, which virsh setvcpus --maximum --config raises"):
        tuning_changes.vcpus(count)(config())


@pytest.mark.parametrize(
    ("chosen", "online", "left"),
    [({2}, True, 3), ({2, 3}, True, 4), ({1}, False, 1), ({1, 3}, False, 1), ({0}, True, 2)],
)
def test_single_cpus(chosen: set[int], online: bool, left: int) -> None:
    assert changed(tuning_changes.vcpu_state(frozenset(chosen), online=online)).current_vcpus == left


@pytest.mark.parametrize(
    ("chosen", "online"), [({3}, True), ({0}, False), ({0, 1}, False), ({4}, True), (set(), True)]
)
def test_single_cpus_that_would_leave_a_gap(chosen: set[int], online: bool) -> None:
    with pytest.raises(BadArgument):
        tuning_changes.vcpu_state(frozenset(chosen), online=online)(config())


def test_pins() -> None:
    pinned = changed(tuning_changes.pin(1, frozenset({0, 1, 3}), everywhere=ALL))
    assert [(pin.vcpu, pin.cpuset) for pin in pinned.cpu_tune.vcpu_pins] == [(1, "0-1,3")]
    again = changed(tuning_changes.pin(0, frozenset({2}), everywhere=ALL), pinned)
    assert [pin.vcpu for pin in again.cpu_tune.vcpu_pins] == [0, 1]
    assert changed(tuning_changes.pin(1, ALL, everywhere=ALL), pinned).cpu_tune.vcpu_pins == ()
    with pytest.raises(BadArgument, match="empty"):
        tuning_changes.pin(0, frozenset(), everywhere=ALL)(config())
    with pytest.raises(BadArgument, match="no CPU 4"):
        tuning_changes.pin(4, ALL, everywhere=ALL)(config())


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"cpu_shares": 1}, "shares", 2),  # as the kernel takes it
        ({"cpu_shares": 10**9}, "shares", 262144),
        ({"cpu_shares": 0}, "shares", None),
        ({"vcpu_period": 5000}, "period_us", 5000),
        ({"vcpu_period": 0}, "period_us", None),
        ({"vcpu_quota": -1}, "quota_us", -1),
        ({"vcpu_quota": -7}, "quota_us", -1),
        ({"vcpu_quota": 0}, "quota_us", None),
        ({"global_quota": 2000}, "global_quota_us", 2000),
        ({"global_period": 2000}, "global_period_us", 2000),
    ],
)
def test_scheduler(given: Mapping[str, int], field: str, value: int | None) -> None:
    tuned = config("<vcpu>4</vcpu><cputune><shares>5</shares><period>7000</period><quota>8000</quota></cputune>")
    assert getattr(changed(tuning_changes.scheduler(given), tuned).cpu_tune, field) == value


@pytest.mark.parametrize(
    "given", [{"vcpu_period": 999}, {"vcpu_period": 2_000_000}, {"vcpu_quota": 999}, {"pids_limit": 10**8}]
)
def test_scheduler_out_of_range(given: Mapping[str, int]) -> None:
    with pytest.raises(BadArgument, match=r"out of range \["):
        tuning_changes.scheduler(given)


def test_processes() -> None:
    limited = changed(tuning_changes.scheduler({"pids_limit": 9}))
    assert limited.settings.pids_limit == 9
    assert changed(tuning_changes.scheduler({"pids_limit": 0}), limited).settings.pids_limit is None


def test_memory_limits() -> None:
    after = changed(tuning_changes.memory_tune({"hard_limit": 32 * MIB, "swap_hard_limit": UNLIMITED_KIB}))
    assert (after.memory_tune.hard_limit_kib, after.memory_tune.swap_hard_limit_kib) == (32 * MIB, None)
    assert (
        changed(tuning_changes.memory_tune({"hard_limit": UNLIMITED_KIB}), after).memory_tune.hard_limit_kib is None
    )
    with pytest.raises(BadArgument, match="swap_hard_limit"):
        tuning_changes.memory_tune({"swap_hard_limit": 16 * MIB})(after)
    with pytest.raises(BadArgument, match="too little"):
        tuning_changes.memory_tune({"hard_limit": 5})(config())


def test_block_io() -> None:
    given: Mapping[str, int | str] = {
        "weight": 300,
        "device_read_bytes_sec": "/dev/a,5,/dev/b,6",
        "device_weight": "/dev/b,20",
    }
    after = changed(tuning_changes.block_io(given))
    assert after.block_io.weight == 300
    first, second = sorted(after.block_io.devices, key=lambda device: device.path)
    assert (first.path, first.read_bytes_per_second) == ("/dev/a", 5)
    assert (second.weight, second.read_bytes_per_second) == (20, 6)
    fewer = changed(tuning_changes.block_io({"device_read_bytes_sec": "/dev/a,0", "weight": 0}), after)
    assert (fewer.block_io.weight, [device.path for device in fewer.block_io.devices]) == (None, ["/dev/b"])


@pytest.mark.parametrize("text", ["/dev/a", "/dev/a,", "/dev/a,x", "dev/a,5", "/dev/a,-5", "/dev/../a,5"])
def test_lists_of_devices_that_are_none(text: str) -> None:
    with pytest.raises(BadArgument, match="a list such as"):
        tuning_changes.block_io({"device_read_iops_sec": text})


@pytest.mark.parametrize("given", [{"weight": 5}, {"device_weight": "/dev/a,5"}])
def test_weights_out_of_range(given: Mapping[str, int | str]) -> None:
    with pytest.raises(BadArgument, match="out of range"):
        tuning_changes.block_io(given)


def test_numa() -> None:
    after = changed(tuning_changes.numa({"numa_nodeset": "0-1", "numa_mode": 3}))
    assert (after.numa_tune.nodeset, after.numa_tune.mode) == ("0-1", "restrictive")
    assert changed(tuning_changes.numa({"numa_nodeset": ""}), after).numa_tune.nodeset is None


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: tuning_changes.numa({"numa_mode": 1}), NotSupported),
        (lambda: tuning_changes.numa({"numa_mode": 9}), BadArgument),
        (lambda: tuning_changes.numa({"numa_nodeset": "x"}), BadArgument),
    ],
)
def test_numa_that_cannot_be(call: Callable[[], object], error: type[Error]) -> None:
    with pytest.raises(error):
        call()


def test_numa_in_a_mode_without_effect() -> None:
    prefers = config("<numatune><memory mode='preferred' nodeset='0'/></numatune>")
    assert prefers.numa_tune.binding is None
    assert "/@mode" in prefers.unknown[0].xpath
    with pytest.raises(BadArgument, match="strict"):
        tuning_changes.numa({"numa_nodeset": "1"})(prefers)
    assert changed(tuning_changes.numa({"numa_nodeset": "1", "numa_mode": 0}), prefers).numa_tune.binding == "1"
