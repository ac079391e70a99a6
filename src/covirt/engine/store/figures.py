# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The whole installation in a few figures. Counted by the database; of guests that run, what their hosts said last is
read, and only that."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Text, func, select, type_coerce

from covirt.engine.model.command import CommandState
from covirt.engine.model.hardware import CpuTopology
from covirt.engine.model.host import HostFacts
from covirt.engine.model.storage_domain import StorageDomainFacts
from covirt.engine.store.tables.accounts import login_sessions
from covirt.engine.store.tables.commands import commands
from covirt.engine.store.tables.infrastructure import clusters, host_facts, hosts
from covirt.engine.store.tables.machines import vm_facts, vms
from covirt.engine.store.tables.storage import storage_domain_facts, storage_domains

_DEFAULT_CPU: Final = CpuTopology()


@dataclass(slots=True)
class GuestUse:
    """Of guests that run, together: the processors they have, how many of these they keep busy, and memory."""

    cpus: int = 0
    cpus_used: float = 0.0
    memory_used_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFigure:
    name: str
    cluster: str
    facts: HostFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFigure:
    name: str
    status: str
    facts: StorageDomainFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Keys of ``guests`` are cluster, kind and status; of ``use`` cluster and kind; of ``operations`` actions."""

    guests: Mapping[tuple[str, str, str], int]
    use: Mapping[tuple[str, str], GuestUse]
    hosts: Sequence[HostFigure]
    storage: Sequence[StorageFigure]
    operations: Mapping[str, int]
    sessions: int


def figures(connection: Connection) -> Figures:
    """All of one moment."""
    running = select(commands.c.action, func.count()).where(commands.c.state == CommandState.RUNNING)
    return Figures(
        guests=_guests(connection),
        use=_use(connection),
        hosts=_hosts(connection),
        storage=_storage(connection),
        operations={str(action): number for action, number in connection.execute(running.group_by("action"))},
        sessions=connection.scalar(select(func.count()).select_from(login_sessions)) or 0,
    )


def _guests(connection: Connection) -> dict[tuple[str, str, str], int]:
    columns = (clusters.c.name, vms.c.kind, vm_facts.c.status)
    joined = vms.join(vm_facts, vm_facts.c.vm_id == vms.c.id).join(clusters, clusters.c.id == vms.c.cluster_id)
    counted = select(*columns, func.count()).select_from(joined).group_by(*columns)
    return {
        (cluster, str(kind), str(status)): number for cluster, kind, status, number in connection.execute(counted)
    }


def _use(connection: Connection) -> dict[tuple[str, str], GuestUse]:
    """Neither facts nor hardware become objects here: ten thousand of them would take a second."""
    joined = vms.join(vm_facts, vm_facts.c.vm_id == vms.c.id).join(clusters, clusters.c.id == vms.c.cluster_id)
    read = (
        select(
            clusters.c.name,
            vms.c.kind,
            type_coerce(vms.c.hardware, Text).label("hardware"),
            type_coerce(vm_facts.c.facts, Text).label("facts"),
        )
        .select_from(joined)
        .where(vm_facts.c.host_id.is_not(None))
    )
    found: defaultdict[tuple[str, str], GuestUse] = defaultdict(GuestUse)
    for cluster, kind, hardware, facts in connection.execute(read):
        use, said = found[cluster, str(kind)], json.loads(facts)
        cpus = _cpus(json.loads(hardware))
        percent = said.get("cpu_user_percent", 0) + said.get("cpu_system_percent", 0)
        use.cpus += cpus
        use.cpus_used += cpus * percent / 100
        use.memory_used_bytes += said.get("memory_used_bytes", 0)
    return dict(found)


def _cpus(hardware: Mapping[str, Any]) -> int:
    cpu = hardware.get("cpu", {})
    return int(
        cpu.get("sockets", _DEFAULT_CPU.sockets)
        * cpu.get("cores", _DEFAULT_CPU.cores)
        * cpu.get("threads", _DEFAULT_CPU.threads)
    )


def _hosts(connection: Connection) -> list[HostFigure]:
    joined = hosts.join(host_facts, host_facts.c.host_id == hosts.c.id)
    joined = joined.join(clusters, clusters.c.id == hosts.c.cluster_id)
    read = select(hosts.c.name, clusters.c.name.label("cluster"), host_facts.c.facts).select_from(joined)
    rows = connection.execute(read.order_by(hosts.c.name))
    return [HostFigure(name=name, cluster=cluster, facts=facts) for name, cluster, facts in rows]


def _storage(connection: Connection) -> list[StorageFigure]:
    joined = storage_domains.join(
        storage_domain_facts, storage_domain_facts.c.storage_domain_id == storage_domains.c.id
    )
    read = select(storage_domains.c.name, storage_domains.c.status, storage_domain_facts.c.facts).select_from(joined)
    rows = connection.execute(read.order_by(storage_domains.c.name))
    return [StorageFigure(name=name, status=str(status), facts=facts) for name, status, facts in rows]
