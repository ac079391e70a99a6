# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Data centers, clusters and hosts."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table

from covirt.engine.model.cluster import (
    Architecture,
    BiosType,
    ClusterSettings,
    CpuType,
    FirewallType,
    MigrateOnError,
    SwitchType,
)
from covirt.engine.model.data_center import DataCenterStatus, QuotaMode, StorageFormat
from covirt.engine.model.entity import Version
from covirt.engine.model.host import HostFacts, HostStatus
from covirt.engine.store.columns import Whole, Word, called, flag, identity, metadata, ref, text

data_centers = Table(
    "data_centers",
    metadata,
    identity(),
    *called(unique=True),
    Column("status", Word(DataCenterStatus), nullable=False),
    flag("local"),
    Column("version", Whole(Version), nullable=False),
    ref("mac_pool_id", "mac_pools"),
    Column("quota_mode", Word(QuotaMode), nullable=False),
    Column("storage_format", Word(StorageFormat), nullable=False),
    Column("spm_host_id", String(36)),
)

clusters = Table(
    "clusters",
    metadata,
    identity(),
    *called(unique=True),
    ref("data_center_id", "data_centers"),
    Column("version", Whole(Version), nullable=False),
    text("cpu_type"),
    Column("cpu_architecture", Word(Architecture), nullable=False),
    Column("bios_type", Word(BiosType), nullable=False),
    Column("firewall_type", Word(FirewallType), nullable=False),
    Column("switch_type", Word(SwitchType), nullable=False),
    Column("error_handling", Word(MigrateOnError), nullable=False),
    Column("memory_over_commit_percent", Integer, nullable=False),
    flag("ballooning_enabled"),
    flag("ksm_enabled"),
    flag("threads_as_cores"),
    flag("ha_reservation"),
    flag("tunnel_migration"),
    ref("scheduling_policy_id", "scheduling_policies"),
    ref("mac_pool_id", "mac_pools"),
    ref("management_network_id", "networks"),
    Column("settings", Whole(ClusterSettings), nullable=False, server_default="{}"),
)

cluster_features = Table(
    "cluster_features",
    metadata,
    identity(),
    *called(),
    Column("level", String(8), nullable=False),
)

enabled_features = Table(
    "enabled_features",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("feature_id", String(36), ForeignKey("cluster_features.id", ondelete="RESTRICT"), primary_key=True),
)

cluster_levels = Table(
    "cluster_levels",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("cpu_types", Whole(tuple[CpuType, ...]), nullable=False),
    Column("feature_ids", Whole(tuple[str, ...]), nullable=False),
)

cpu_profiles = Table(
    "cpu_profiles",
    metadata,
    identity(),
    *called(),
    ref("cluster_id", "clusters", on_delete="CASCADE"),
)

hosts = Table(
    "hosts",
    metadata,
    identity(),
    *called(unique=True),
    ref("cluster_id", "clusters"),
    Column("address", String(255), nullable=False, unique=True),
    Column("port", Integer, nullable=False),
    Column("ssh_port", Integer, nullable=False),
    text("ssh_fingerprint"),
    Column("spm_priority", Integer, nullable=False),
    text("certificate_subject"),
    text("certificate_organization"),
    flag("override_iptables"),
)

# Apart from hosts: written at every poll. The columns beside the facts are what is searched and sorted by.
host_facts = Table(
    "host_facts",
    metadata,
    Column("host_id", String(36), ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True),
    Column("status", Word(HostStatus), nullable=False, index=True),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("facts", Whole(HostFacts), nullable=False),
)

host_nics = Table(
    "host_nics",
    metadata,
    identity(),
    *called(),
    ref("host_id", "hosts", on_delete="CASCADE"),
    Column("mac", String(32), nullable=False),
    Column("mtu", Integer, nullable=False),
    Column("speed_bits_per_second", BigInteger, nullable=False),
    flag("up"),
    Column("address", String(64), nullable=False),
    Column("netmask", String(64), nullable=False),
    Column("gateway", String(64), nullable=False),
    Column("boot_protocol", String(16), nullable=False),
    flag("bridged"),
    ref("network_id", "networks", required=False, on_delete="SET NULL"),
    Column("vlan_id", Integer),
    Column("base_interface", String(32), nullable=False),
    Column("bond_slaves", Whole(tuple[str, ...]), nullable=False),
)
