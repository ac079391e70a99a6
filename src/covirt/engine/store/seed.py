# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Fills an empty database with what an engine begins with, and adds what a newer release brings."""

import secrets
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from covirt.engine.model.affinity import Tag
from covirt.engine.model.cluster import Cluster, CpuProfile
from covirt.engine.model.data_center import DataCenter
from covirt.engine.model.entity import Version
from covirt.engine.model.hardware import CpuTopology, Hardware
from covirt.engine.model.network import ClusterNetwork, MacPool, MacRange, Network, NetworkUsage, VnicProfile
from covirt.engine.model.template import InstanceType, Template
from covirt.engine.model.vm import BLANK_TEMPLATE_ID, Cdrom
from covirt.engine.store import seed_data as data
from covirt.engine.store.repository import Repository
from covirt.engine.store.session import Session

# oVirt's ids; clients name some of these objects by them.
ROOT_TAG_ID: Final = "00000000-0000-0000-0000-000000000000"
DEFAULT_MAC_POOL_ID: Final = "58ca604b-017d-0374-0220-00000000014e"
_MANAGEMENT: Final = "ovirtmgmt"
_GIB: Final = 1 << 30
_SIZES: Final = (
    ("00000003-0003-0003-0003-0000000000be", "Tiny", _GIB // 2, 1),
    ("00000005-0005-0005-0005-0000000002e6", "Small", 2 * _GIB, 1),
    ("00000007-0007-0007-0007-00000000010a", "Medium", 4 * _GIB, 2),
    ("00000009-0009-0009-0009-0000000000f1", "Large", 8 * _GIB, 2),
    ("0000000b-000b-000b-000b-00000000021f", "XLarge", 16 * _GIB, 4),
)


def seed(session: Session) -> None:
    """May be called at every start: what is there already stays as it is."""
    _add_catalogue(session)
    now = datetime.now(UTC)
    if session.tags.find(id=ROOT_TAG_ID) is None:
        session.tags.add(Tag(id=ROOT_TAG_ID, name="root", description="root"))
    if session.templates.find(id=BLANK_TEMPLATE_ID) is None:
        _add_blank(session, now)
        _add_instance_types(session, now)
    if session.mac_pools.find(id=DEFAULT_MAC_POOL_ID) is None:
        session.mac_pools.add(_default_mac_pool())
        _add_default_cluster(session)


def _add_catalogue(session: Session) -> None:
    _add_missing(session.cluster_features, data.CLUSTER_FEATURES)
    _add_missing(session.cluster_levels, data.CLUSTER_LEVELS)
    _add_missing(session.scheduling_policies, data.SCHEDULING_POLICIES)
    _add_missing(session.network_filters, data.NETWORK_FILTERS)
    _add_missing(session.icons, data.ICONS)
    _add_missing(session.operating_systems, data.OPERATING_SYSTEMS)
    _add_missing(session.system_options, data.SYSTEM_OPTIONS)


def _add_missing(repository: Repository[Any], items: tuple[Any, ...]) -> None:
    present = {getattr(item, repository.key) for item in repository.list()}
    for item in items:
        if getattr(item, repository.key) not in present:
            repository.add(item)


def _add_blank(session: Session, now: datetime) -> None:
    blank = Template(
        id=BLANK_TEMPLATE_ID,
        name="Blank",
        description="Blank template",
        created_at=now,
        base_template_id=BLANK_TEMPLATE_ID,
    )
    session.templates.add(blank)
    session.cdroms.add(Cdrom(id=_new_id(), template_id=blank.id))


def _add_instance_types(session: Session, now: datetime) -> None:
    for type_id, name, memory_bytes, cores in _SIZES:
        hardware = Hardware(
            memory_bytes=memory_bytes,
            memory_guaranteed_bytes=memory_bytes,
            memory_max_bytes=4 * memory_bytes,
            cpu=CpuTopology(cores=cores),
        )
        session.instance_types.add(
            InstanceType(
                id=type_id, name=name, description=f"{name} instance type", hardware=hardware, created_at=now
            )
        )


def _default_mac_pool() -> MacPool:
    """A range of this engine's own, so that two engines in one network give out different addresses."""
    middle = ":".join(f"{byte:02x}" for byte in secrets.token_bytes(2))
    addresses = MacRange(first=f"56:6f:{middle}:00:00", last=f"56:6f:{middle}:ff:ff")
    return MacPool(
        id=DEFAULT_MAC_POOL_ID,
        name="Default",
        description="Default MAC pool",
        ranges=(addresses,),
        default_pool=True,
    )


def _add_default_cluster(session: Session) -> None:
    level = Version(major=4, minor=8)
    data_center = DataCenter(
        id=_new_id(),
        name="Default",
        description="The default Data Center",
        version=level,
        mac_pool_id=DEFAULT_MAC_POOL_ID,
    )
    session.data_centers.add(data_center)
    network = _add_management_network(session, data_center)
    cluster = Cluster(
        id=_new_id(),
        name="Default",
        description="The default server cluster",
        data_center_id=data_center.id,
        version=level,
        scheduling_policy_id=data.SCHEDULING_POLICIES[0].id,
        mac_pool_id=DEFAULT_MAC_POOL_ID,
        management_network_id=network.id,
    )
    session.clusters.add(cluster)
    session.cluster_networks.add(
        ClusterNetwork(cluster_id=cluster.id, network_id=network.id, required=True, usages=_ALL_USAGES)
    )
    session.cpu_profiles.add(CpuProfile(id=_new_id(), name="Default", cluster_id=cluster.id))


_ALL_USAGES: Final = frozenset(
    {
        NetworkUsage.VM,
        NetworkUsage.MANAGEMENT,
        NetworkUsage.DISPLAY,
        NetworkUsage.MIGRATION,
        NetworkUsage.DEFAULT_ROUTE,
    }
)


def _add_management_network(session: Session, data_center: DataCenter) -> Network:
    network = Network(
        id=_new_id(),
        name=_MANAGEMENT,
        description="Management Network",
        data_center_id=data_center.id,
        vdsm_name=_MANAGEMENT,
    )
    session.networks.add(network)
    profile = VnicProfile(
        id=_new_id(), name=_MANAGEMENT, network_id=network.id, network_filter_id=data.NETWORK_FILTERS[0].id
    )
    session.vnic_profiles.add(profile)
    return network


def _new_id() -> str:
    return str(uuid.uuid4())
