# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics: numbers that a host said last, each with an id that stays."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from covirt.engine.api.call import Call
from covirt.engine.api.node import Node
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.loading import each, nothing
from covirt.engine.model.host import Host
from covirt.engine.model.vm import Vm
from covirt.engine.store.query import ListQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    name: str
    description: str
    unit: str
    value: float
    kind: str = "gauge"

    @property
    def id(self) -> str:
        """oVirt's: Java's UUID of the name."""
        return str(UUID(bytes=hashlib.md5(self.name.encode(), usedforsecurity=False).digest(), version=3))


def statistic_node(statistic: Statistic) -> Node:
    whole = isinstance(statistic.value, int)
    return Node(
        type="Statistic",
        id=statistic.id,
        values={
            "name": statistic.name,
            "description": statistic.description,
            "kind": statistic.kind,
            "type": "integer" if whole else "decimal",
            "unit": statistic.unit,
            "values": [{"datum": statistic.value}],
        },
    )


def vm_statistics(vm: Vm) -> list[Statistic]:
    facts = vm.facts
    total = facts.cpu_user_percent + facts.cpu_system_percent
    return [
        Statistic(
            name="memory.installed",
            description="Total memory configured",
            unit="bytes",
            value=vm.hardware.memory_bytes,
        ),
        Statistic(
            name="memory.used",
            description="Memory used (agent)",
            unit="bytes",
            value=facts.memory_used_bytes,
        ),
        Statistic(
            name="cpu.current.guest",
            description="CPU used by guest",
            unit="percent",
            value=float(facts.cpu_user_percent),
        ),
        Statistic(
            name="cpu.current.hypervisor",
            description="CPU overhead",
            unit="percent",
            value=float(facts.cpu_system_percent),
        ),
        Statistic(name="cpu.current.total", description="Total CPU used", unit="percent", value=float(total)),
        Statistic(
            name="network.current.total",
            description="Total network used",
            unit="percent",
            value=float(facts.network_percent),
        ),
        Statistic(
            name="elapsed.time",
            description="Number of seconds since VM started",
            unit="seconds",
            value=facts.elapsed_seconds,
            kind="counter",
        ),
    ]


def host_statistics(host: Host) -> list[Statistic]:
    facts = host.facts
    used = max(0, facts.memory_bytes - facts.memory_free_bytes)
    return [
        Statistic(name="memory.total", description="Total memory", unit="bytes", value=facts.memory_bytes),
        Statistic(name="memory.used", description="Used memory", unit="bytes", value=used),
        Statistic(name="memory.free", description="Free memory", unit="bytes", value=facts.memory_free_bytes),
    ]


def _of_vms(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    return {vm.id: vm_statistics(vm) for vm in call.session.vms.list(ListQuery(where={"id": tuple(ids)}))}


def _of_hosts(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    return {host.id: host_statistics(host) for host in call.session.hosts.list(ListQuery(where={"id": tuple(ids)}))}


VM_STATISTICS = Collection(path="statistics", type="Statistic", show=each(statistic_node), below=_of_vms)
HOST_STATISTICS = Collection(path="statistics", type="Statistic", show=each(statistic_node), below=_of_hosts)
# Hosts say nothing of these yet, so there is nothing to tell.
NIC_STATISTICS = Collection(path="statistics", type="Statistic", show=each(statistic_node), below=nothing)
HOST_NIC_STATISTICS = NIC_STATISTICS
DISK_STATISTICS = NIC_STATISTICS
