# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from covirt.engine.model.affinity import AffinityGroup, AffinityLabel, AffinityRule
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.host import HostStatus
from covirt.engine.scheduler.choice import NoFittingHost, NoHosts, choose_host, rejection
from covirt.engine.scheduler.facts import HostView, Situation, VmView

GIB = 1 << 30
OVEN = HostView(
    id="oven", name="oven", cpus=8, memory_bytes=8 * GIB, total_memory_bytes=16 * GIB, networks=frozenset({"pipes"})
)
VM = VmView(id="vm", name="soup", cpus=2, memory_bytes=GIB)


def host(name: str, **changes: object) -> HostView:
    return replace(OVEN, id=name, name=name, **changes)  # type: ignore[arg-type]


def chosen(
    vm: VmView, *hosts: HostView, groups: tuple[AffinityGroup, ...] = (), labels: tuple[AffinityLabel, ...] = ()
) -> str:
    return choose_host(vm, Situation(hosts=hosts, groups=groups, labels=labels)).name


@pytest.mark.parametrize(
    ("changes", "vm", "reason"),
    [
        ({"status": HostStatus.MAINTENANCE}, {}, "State because its status is maintenance."),
        ({"connected": False}, {}, "State because it does not answer at this moment."),
        ({}, {"host_ids": ("stove",)}, "PinToHost because the host is not present in the pinning list."),
        ({"memory_bytes": 512 << 20}, {}, "Memory because its available memory is too low (512 MB) to run the VM."),
        ({"memory_bytes": -5}, {}, "Memory because its available memory is too low (0 MB) to run the VM."),
        ({"cpus": 1}, {}, "CPU because it has an insufficient amount of CPU cores to run the VM."),
        ({}, {"networks": (("gas", "gas"), ("pipes", "pipes"))}, "Network because network(s) gas are missing."),
        (
            {"domain_ids": frozenset({"b"})},
            {"domains": (("a", "larder"), ("b", "cellar"))},
            "Storage because storage domain(s) larder cannot be reached from it.",
        ),
        ({}, {"kind": VmKind.CONTAINER}, "Containers because it runs no containers."),
        (
            {"containers_reason": "virtocid does not answer"},
            {"kind": VmKind.CONTAINER},
            "Containers because it runs no containers: virtocid does not answer.",
        ),
        (
            {"containers": True, "runtimes": frozenset({"crun"})},
            {"kind": VmKind.CONTAINER, "runtime": "kata"},
            "Containers because it does not have the container runtime kata.",
        ),
    ],
)  # fmt: skip
def test_why_a_host_cannot_have_it(changes: dict[str, object], vm: dict[str, object], reason: str) -> None:
    wanted = replace(VM, **vm)  # type: ignore[arg-type]
    stove = host("oven", **changes)
    said = rejection(stove, wanted, Situation(hosts=(stove,)))
    assert said == f"The host oven did not satisfy internal filter {reason}"
    assert (
        chosen(replace(VM, kind=wanted.kind), stove, host("fit", containers=True, runtimes=frozenset({"crun"}))) != ""
    )


def test_a_container_where_its_runtime_is() -> None:
    vm = replace(VM, kind=VmKind.CONTAINER, runtime="crun")
    fit = host("zone", containers=True, runtimes=frozenset({"crun"}))
    assert chosen(vm, OVEN, fit, host("other", containers=True, runtimes=frozenset({"runc"}))) == "zone"


def test_the_fault_has_every_hosts_reason() -> None:
    with pytest.raises(NoFittingHost) as refused:
        chosen(VM, host("b", cpus=1), host("a", status=HostStatus.DOWN))
    assert str(refused.value) == (
        "Cannot run VM. There is no host that satisfies current scheduling constraints. See below for details: "
        "The host a did not satisfy internal filter State because its status is down. "
        "The host b did not satisfy internal filter CPU because it has an insufficient amount of CPU cores "
        "to run the VM."
    )
    with pytest.raises(NoHosts):
        chosen(VM)


def test_machines_are_spread_evenly() -> None:
    assert chosen(VM, host("a", memory_bytes=2 * GIB), host("b", memory_bytes=8 * GIB)) == "b"
    assert chosen(VM, host("a", used_cpus=6), host("b", used_cpus=1)) == "b"
    assert chosen(VM, host("b"), host("a")) == "a"


def test_preferred_hosts_come_first_where_they_fit() -> None:
    vm = replace(VM, preferred_host_ids=("b",))
    assert chosen(vm, host("a"), host("b", used_cpus=8)) == "b"
    assert chosen(vm, host("a"), host("b", cpus=1)) == "a"


def group(*, positive: bool, enforcing: bool, hosts: bool = False) -> AffinityGroup:
    rule = AffinityRule(enabled=True, positive=positive, enforcing=enforcing)
    return AffinityGroup(
        id="g",
        name="together",
        cluster_id="c",
        vm_ids=frozenset({"vm", "other"}),
        host_ids=frozenset({"a"}),
        **{"hosts_rule" if hosts else "vms_rule": rule},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("enforcing", [True, False])
def test_affinity_of_machines(*, enforcing: bool) -> None:
    there = host("b", vm_ids=frozenset({"other"}), used_cpus=7)
    together = group(positive=True, enforcing=enforcing)
    assert chosen(VM, host("a"), there, groups=(together,)) == "b"
    assert chosen(VM, host("a"), host("b"), groups=(together,)) == "a"  # the other one runs nowhere
    apart = group(positive=False, enforcing=enforcing)
    assert chosen(VM, host("a", used_cpus=7), replace(there, used_cpus=0), groups=(apart,)) == "a"


def test_affinity_that_cannot_be_had() -> None:
    there = host("b", vm_ids=frozenset({"other"}))
    with pytest.raises(NoFittingHost, match="VmAffinityGroups because it did not match affinity rules together"):
        chosen(VM, there, groups=(group(positive=False, enforcing=True),))
    assert chosen(VM, there, groups=(group(positive=False, enforcing=False),)) == "b"


def test_affinity_to_hosts() -> None:
    assert (
        chosen(VM, host("a", used_cpus=7), host("b"), groups=(group(positive=True, enforcing=True, hosts=True),))
        == "a"
    )
    assert (
        chosen(VM, host("a"), host("b", used_cpus=7), groups=(group(positive=False, enforcing=True, hosts=True),))
        == "b"
    )
    with pytest.raises(NoFittingHost, match="VmToHostsAffinityGroups"):
        chosen(VM, host("b"), groups=(group(positive=True, enforcing=True, hosts=True),))


def test_labels_keep_machines_on_hosts_that_have_them() -> None:
    label = AffinityLabel(id="l", name="left", vm_ids=frozenset({"vm"}), host_ids=frozenset({"b"}))
    assert chosen(VM, host("a"), host("b", used_cpus=7), labels=(label,)) == "b"
    with pytest.raises(NoFittingHost, match=r"Label because it does not have the affinity label\(s\) left"):
        chosen(VM, host("a"), labels=(label,))
