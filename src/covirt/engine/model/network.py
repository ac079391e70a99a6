# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Networks, the profiles with which vNICs join them, and where MAC addresses come from."""

from dataclasses import dataclass
from enum import StrEnum

from covirt.engine.model.entity import Entity


class NetworkStatus(StrEnum):
    OPERATIONAL = "operational"
    NON_OPERATIONAL = "non_operational"


class NetworkUsage(StrEnum):
    DEFAULT_ROUTE = "default_route"
    DISPLAY = "display"
    GLUSTER = "gluster"
    MANAGEMENT = "management"
    MIGRATION = "migration"
    VM = "vm"


class VnicPassThrough(StrEnum):
    DISABLED = "disabled"
    ENABLED = "enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Entity):
    """``vdsm_name`` is the bridge's on hosts: the name where it fits, otherwise on + 13 hex digits of the id."""

    data_center_id: str
    vdsm_name: str
    usages: frozenset[NetworkUsage] = frozenset({NetworkUsage.VM})
    vlan_id: int | None = None
    mtu: int = 0  # 0: the host's default
    stp: bool = False
    port_isolation: bool = False
    dns_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNetwork:
    """A network as a cluster uses it. ``required``: a host without it is NonOperational."""

    cluster_id: str
    network_id: str
    required: bool = False
    status: NetworkStatus = NetworkStatus.OPERATIONAL
    usages: frozenset[NetworkUsage] = frozenset({NetworkUsage.VM})


@dataclass(frozen=True, slots=True, kw_only=True)
class VnicProfile(Entity):
    network_id: str
    network_filter_id: str | None = None
    pass_through: VnicPassThrough = VnicPassThrough.DISABLED
    port_mirroring: bool = False
    custom_properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFilter(Entity):
    """A filter of libvirt's that a vNIC profile may name."""

    since: str = "4.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class MacRange:
    """Both ends included, as in 56:6f:00:00:00:01."""

    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MacPool(Entity):
    ranges: tuple[MacRange, ...]
    allow_duplicates: bool = False
    default_pool: bool = False
