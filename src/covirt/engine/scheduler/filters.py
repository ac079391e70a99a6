# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Filters: why a host cannot have a machine, in oVirt's words where it has them. Empty: it can."""

from collections.abc import Callable
from typing import Final

from covirt.engine.model.affinity import AffinityGroup
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.host import HostStatus
from covirt.engine.scheduler.facts import HostView, Situation, VmView

_MIB: Final = 1 << 20

Filter = Callable[[HostView, VmView, Situation], str]


def _state(host: HostView, vm: VmView, situation: Situation) -> str:
    del vm, situation
    if host.status is not HostStatus.UP:
        return f"its status is {host.status}"
    return "" if host.connected else "it does not answer at this moment"


def _pinned(host: HostView, vm: VmView, situation: Situation) -> str:
    del situation
    pinned = not vm.host_ids or host.id in vm.host_ids
    return "" if pinned else "the host is not present in the pinning list"


def _memory(host: HostView, vm: VmView, situation: Situation) -> str:
    del situation
    if vm.memory_bytes <= host.memory_bytes:
        return ""
    return f"its available memory is too low ({max(0, host.memory_bytes) // _MIB} MB) to run the VM"


def _cpu(host: HostView, vm: VmView, situation: Situation) -> str:
    del situation
    return "" if vm.cpus <= host.cpus else "it has an insufficient amount of CPU cores to run the VM"


def _network(host: HostView, vm: VmView, situation: Situation) -> str:
    del situation
    if host.networks is None:
        return ""
    missing = [name for network, name in vm.networks if network not in host.networks]
    return f"network(s) {', '.join(missing)} are missing" if missing else ""


def _storage(host: HostView, vm: VmView, situation: Situation) -> str:
    del situation
    if host.domain_ids is None:
        return ""
    missing = [name for domain_id, name in vm.domains if domain_id not in host.domain_ids]
    return f"storage domain(s) {', '.join(missing)} cannot be reached from it" if missing else ""


def _containers(host: HostView, vm: VmView, situation: Situation) -> str:
    del situation
    if vm.kind is not VmKind.CONTAINER:
        return ""
    if not host.containers:
        return f"it runs no containers{f': {host.containers_reason}' if host.containers_reason else ''}"
    if vm.runtime is not None and vm.runtime not in host.runtimes:
        return f"it does not have the container runtime {vm.runtime}"
    if vm.secrets and not host.secrets:
        return "it cannot give secrets to containers; a newer covirt-host can"
    return ""


def _vm_affinity(host: HostView, vm: VmView, situation: Situation) -> str:
    broken = [
        group.name
        for group in situation.groups
        if group.vms_rule.enforcing and breaks_vms(host, vm, group, situation)
    ]
    return f"it did not match affinity rules {', '.join(broken)}" if broken else ""


def _host_affinity(host: HostView, vm: VmView, situation: Situation) -> str:
    broken = [
        group.name for group in situation.groups if group.hosts_rule.enforcing and breaks_hosts(host, vm, group)
    ]
    return f"it did not match affinity rules {', '.join(broken)}" if broken else ""


def _label(host: HostView, vm: VmView, situation: Situation) -> str:
    missing = [label.name for label in situation.labels if vm.id in label.vm_ids and host.id not in label.host_ids]
    return f"it does not have the affinity label(s) {', '.join(missing)}" if missing else ""


def breaks_vms(host: HostView, vm: VmView, group: AffinityGroup, situation: Situation) -> bool:
    """Whether the machine would be on this host against the group's rule between its machines."""
    rule, others = group.vms_rule, group.vm_ids - {vm.id}
    if not rule.enabled or vm.id not in group.vm_ids:
        return False
    here = bool(others & host.vm_ids)
    if not rule.positive:
        return here
    anywhere = any(others & each.vm_ids for each in situation.hosts)
    return anywhere and not here


def breaks_hosts(host: HostView, vm: VmView, group: AffinityGroup) -> bool:
    rule = group.hosts_rule
    if not rule.enabled or vm.id not in group.vm_ids or not group.host_ids:
        return False
    return (host.id in group.host_ids) is not rule.positive


# By oVirt's names, in the order in which they are asked; the first reason of a host is the one that is told.
FILTERS: Final[tuple[tuple[str, Filter], ...]] = (
    ("State", _state),
    ("PinToHost", _pinned),
    ("Containers", _containers),
    ("Memory", _memory),
    ("CPU", _cpu),
    ("Network", _network),
    ("Storage", _storage),
    ("Label", _label),
    ("VmAffinityGroups", _vm_affinity),
    ("VmToHostsAffinityGroups", _host_affinity),
)
