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
from covirt.engine.model.host import Host, NicFigures
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
    figures = facts.figures
    used = max(0, facts.memory_bytes - facts.memory_free_bytes)
    swap_used = max(0, figures.swap_bytes - figures.swap_free_bytes)
    bytes_of = (
        ("memory.total", "Total memory", facts.memory_bytes),
        ("memory.used", "Used memory", used),
        ("memory.free", "Free memory", facts.memory_free_bytes),
        ("memory.shared", "Shared memory", figures.memory_shared_bytes),
        ("swap.total", "Total swap", figures.swap_bytes),
        ("swap.free", "Free swap", figures.swap_free_bytes),
        ("swap.used", "Used swap", swap_used),
    )
    percents = (
        ("cpu.current.user", "User CPU usage", figures.cpu_user_percent),
        ("cpu.current.system", "System CPU usage", figures.cpu_system_percent),
        ("cpu.current.idle", "Idle CPU usage", figures.cpu_idle_percent),
        ("cpu.load.avg.5m", "CPU 5 minute load average", figures.load),
    )
    return [
        *(Statistic(name=name, description=words, unit="bytes", value=value) for name, words, value in bytes_of),
        *(
            Statistic(name=name, description=words, unit="percent", value=float(value))
            for name, words, value in percents
        ),
        Statistic(name="boot.time", description="Boot time of the machine", unit="none", value=figures.boot_time),
    ]


def nic_statistics(figures: NicFigures) -> list[Statistic]:
    """Of one interface of a host, since it is there."""
    return [
        Statistic(name=name, description=words, unit=unit, value=value, kind="counter")
        for name, words, unit, value in (
            ("data.total.rx", "Total received data", "bytes", figures.received_bytes),
            ("data.total.tx", "Total transmitted data", "bytes", figures.sent_bytes),
            ("errors.total.rx", "Total errors from receiving data", "none", figures.receive_errors),
            ("errors.total.tx", "Total errors from transmitting data", "none", figures.send_errors),
        )
    ]


def _of_vms(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    return {vm.id: vm_statistics(vm) for vm in call.session.vms.list(ListQuery(where={"id": tuple(ids)}))}


def _of_hosts(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    return {host.id: host_statistics(host) for host in call.session.hosts.list(ListQuery(where={"id": tuple(ids)}))}


def _of_host_nics(call: Call, ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    nics = call.session.host_nics.by_ids(ids)
    hosts = call.session.hosts.by_ids({nic.host_id for nic in nics.values()})
    told = {host.id: {each.name: each for each in host.facts.figures.nics} for host in hosts.values()}
    return {
        nic.id: nic_statistics(told[nic.host_id][nic.name])
        for nic in nics.values()
        if nic.name in told.get(nic.host_id, {})
    }


VM_STATISTICS = Collection(path="statistics", type="Statistic", show=each(statistic_node), below=_of_vms)
HOST_STATISTICS = Collection(path="statistics", type="Statistic", show=each(statistic_node), below=_of_hosts)
# Nothing is told of these yet.
NIC_STATISTICS = Collection(path="statistics", type="Statistic", show=each(statistic_node), below=nothing)
HOST_NIC_STATISTICS = Collection(path="statistics", type="Statistic", show=each(statistic_node), below=_of_host_nics)
DISK_STATISTICS = NIC_STATISTICS
