# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the choice of a host looks at: hosts and the machine, as small frozen values."""

from dataclasses import dataclass, field

from covirt.engine.model.affinity import AffinityGroup, AffinityLabel
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.host import HostStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """``memory_bytes``: what may still be given away. ``domain_ids``: storage domains that it cannot reach are not
    among them; None where it tells of none. ``vm_ids`` run on it or are about to."""

    id: str
    name: str
    status: HostStatus = HostStatus.UP
    connected: bool = True
    cpus: int = 1
    used_cpus: int = 0
    memory_bytes: int = 0
    total_memory_bytes: int = 0
    networks: frozenset[str] | None = None
    domain_ids: frozenset[str] | None = None
    containers: bool = False
    containers_reason: str = ""
    runtimes: frozenset[str] = frozenset()
    secrets: bool = False
    vm_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class VmView:
    """The machine to start. ``host_ids``: the only ones it may run on; empty: all. ``preferred_host_ids`` come first
    where they fit. Networks and storage domains are
    pairs of what hosts know them by and of a name."""

    id: str
    name: str
    kind: VmKind = VmKind.VIRTUAL_MACHINE
    cpus: int = 1
    memory_bytes: int = 0
    networks: tuple[tuple[str, str], ...] = ()
    domains: tuple[tuple[str, str], ...] = ()
    runtime: str | None = None
    secrets: bool = False
    host_ids: tuple[str, ...] = ()
    preferred_host_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The cluster's hosts, and the affinities that concern the machine."""

    hosts: tuple[HostView, ...]
    groups: tuple[AffinityGroup, ...] = ()
    labels: tuple[AffinityLabel, ...] = ()
    names: dict[str, str] = field(default_factory=dict)  # of machines, for sentences
