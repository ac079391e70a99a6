# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Networks, vNIC profiles, MAC pools."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table, UniqueConstraint

from covirt.engine.model.network import MacRange, NetworkStatus, NetworkUsage, VnicPassThrough
from covirt.engine.store.columns import Whole, Word, called, flag, identity, metadata, ref

networks = Table(
    "networks",
    metadata,
    identity(),
    *called(),
    ref("data_center_id", "data_centers"),
    Column("vdsm_name", String(15), nullable=False),
    Column("usages", Whole(frozenset[NetworkUsage]), nullable=False),
    Column("vlan_id", Integer),
    Column("mtu", Integer, nullable=False),
    flag("stp"),
    flag("port_isolation"),
    Column("dns_servers", Whole(tuple[str, ...]), nullable=False),
    UniqueConstraint("data_center_id", "name"),
    UniqueConstraint("data_center_id", "vdsm_name"),
)

cluster_networks = Table(
    "cluster_networks",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("network_id", String(36), ForeignKey("networks.id", ondelete="CASCADE"), primary_key=True, index=True),
    flag("required"),
    Column("status", Word(NetworkStatus), nullable=False),
    Column("usages", Whole(frozenset[NetworkUsage]), nullable=False),
)

vnic_profiles = Table(
    "vnic_profiles",
    metadata,
    identity(),
    *called(),
    ref("network_id", "networks", on_delete="CASCADE"),
    ref("network_filter_id", "network_filters", required=False),
    Column("pass_through", Word(VnicPassThrough), nullable=False),
    flag("port_mirroring"),
    Column("custom_properties", Whole(tuple[tuple[str, str], ...]), nullable=False),
    UniqueConstraint("network_id", "name"),
)

network_filters = Table(
    "network_filters", metadata, identity(), *called(unique=True), Column("since", String(8), nullable=False)
)

mac_pools = Table(
    "mac_pools",
    metadata,
    identity(),
    *called(unique=True),
    Column("ranges", Whole(tuple[MacRange, ...]), nullable=False),
    flag("allow_duplicates"),
    flag("default_pool"),
)
