# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster: hosts that are alike enough for guests to run on any of them."""

from dataclasses import dataclass
from enum import StrEnum

from covirt.engine.model.entity import Entity, Version


class Architecture(StrEnum):
    UNDEFINED = "undefined"
    X86_64 = "x86_64"
    AARCH64 = "aarch64"
    PPC64 = "ppc64"
    S390X = "s390x"
    LOONGARCH64 = "loongarch64"


class BiosType(StrEnum):
    CLUSTER_DEFAULT = "cluster_default"
    I440FX_SEA_BIOS = "i440fx_sea_bios"
    Q35_SEA_BIOS = "q35_sea_bios"
    Q35_OVMF = "q35_ovmf"
    Q35_SECURE_BOOT = "q35_secure_boot"


class FirewallType(StrEnum):
    FIREWALLD = "firewalld"
    IPTABLES = "iptables"


class SwitchType(StrEnum):
    LEGACY = "legacy"
    OVS = "ovs"


class MigrateOnError(StrEnum):
    MIGRATE = "migrate"
    MIGRATE_HIGHLY_AVAILABLE = "migrate_highly_available"
    DO_NOT_MIGRATE = "do_not_migrate"


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationSettings:
    """oVirt's words: "inherit", "true" or "false"; how much bandwidth is "auto", "hypervisor_default" or "custom"."""

    auto_converge: str = "inherit"
    compressed: str = "inherit"
    encrypted: str = "inherit"
    bandwidth: str = "auto"
    bandwidth_custom_mbps: int | None = None
    policy_id: str = "80554327-0569-496b-bdeb-fcbbf52b827b"  # oVirt's "minimal downtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class FencingSettings:
    enabled: bool = True
    skip_if_connectivity_broken: bool = False
    connectivity_threshold_percent: int = 50
    skip_if_storage_active: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """What oVirt's clients set and compare, and what nothing in covirt depends on (yet)."""

    optional_reason: bool = False
    maintenance_reason_required: bool = False
    ksm_merge_across_nodes: bool = True
    serial_number_policy: str = ""
    serial_number_value: str = ""
    display_proxy: str = ""
    rng_sources: tuple[str, ...] = ("urandom",)
    scheduling_properties: tuple[tuple[str, str], ...] = ()
    migration: MigrationSettings = MigrationSettings()
    fencing: FencingSettings = FencingSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Entity):
    """``features`` are the ids of the additional cluster features that are on; none is by default."""

    data_center_id: str
    version: Version
    cpu_type: str = ""
    cpu_architecture: Architecture = Architecture.UNDEFINED
    bios_type: BiosType = BiosType.Q35_SEA_BIOS
    firewall_type: FirewallType = FirewallType.FIREWALLD
    switch_type: SwitchType = SwitchType.LEGACY
    error_handling: MigrateOnError = MigrateOnError.MIGRATE
    memory_over_commit_percent: int = 100
    ballooning_enabled: bool = True
    ksm_enabled: bool = False
    threads_as_cores: bool = False
    ha_reservation: bool = False
    tunnel_migration: bool = False
    scheduling_policy_id: str
    mac_pool_id: str
    management_network_id: str
    features: frozenset[str] = frozenset()
    settings: ClusterSettings = ClusterSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFeature(Entity):
    """An additional cluster feature, as oVirt calls what a cluster may demand of its hosts."""

    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuType:
    """A processor that a cluster of this level may ask for."""

    name: str
    level: int
    architecture: Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLevel:
    """A compatibility level; its id is the version ("4.8")."""

    id: str
    cpu_types: tuple[CpuType, ...] = ()
    feature_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuProfile(Entity):
    cluster_id: str
