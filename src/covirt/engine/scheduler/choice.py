# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The choice: hosts that no filter rejects, then the one that weighs least."""

from typing import Final

from covirt.common.errors import Conflict
from covirt.engine.scheduler.facts import HostView, Situation, VmView
from covirt.engine.scheduler.filters import FILTERS, breaks_hosts, breaks_vms

_AFFINITY_WEIGHT: Final = 10.0  # of a soft rule that is broken; a host is between 0 and 2 by how full it is
_NOT_PREFERRED: Final = 5.0


class NoFittingHost(Conflict):
    """Fields: reasons (sentences)."""

    template = (
        "Cannot run VM. There is no host that satisfies current scheduling constraints. See below for details: "
        "{reasons}"
    )


class NoHosts(Conflict):
    template = (
        "Cannot run VM. There are no hosts to use. Check that the cluster contains at least one host in Up state."
    )


def choose_host(vm: VmView, situation: Situation) -> HostView:
    """Raises NoHosts, and NoFittingHost, which has each host's reason."""
    if not situation.hosts:
        raise NoHosts
    reasons: list[str] = []
    fitting: list[HostView] = []
    for host in sorted(situation.hosts, key=lambda each: each.name):
        rejected = rejection(host, vm, situation)
        if rejected:
            reasons.append(rejected)
        else:
            fitting.append(host)
    if not fitting:
        raise NoFittingHost(reasons=" ".join(reasons))
    return min(fitting, key=lambda host: (weight(host, vm, situation), host.name))


def rejection(host: HostView, vm: VmView, situation: Situation) -> str:
    """oVirt's sentence of the first filter that rejects the host; empty when none does."""
    for name, asked in FILTERS:
        reason = asked(host, vm, situation)
        if reason:
            return f"The host {host.name} did not satisfy internal filter {name} because {reason}."
    return ""


def weight(host: HostView, vm: VmView, situation: Situation) -> float:
    """Less is better: how full it would be, and which soft affinities would be broken."""
    memory = (host.total_memory_bytes - host.memory_bytes + vm.memory_bytes) / max(1, host.total_memory_bytes)
    processors = (host.used_cpus + vm.cpus) / max(1, host.cpus)
    broken = sum(
        group.priority
        for group in situation.groups
        if breaks_vms(host, vm, group, situation) or breaks_hosts(host, vm, group)
    )
    not_preferred = vm.preferred_host_ids and host.id not in vm.preferred_host_ids
    return memory + processors + _AFFINITY_WEIGHT * broken + (_NOT_PREFERRED if not_preferred else 0.0)
