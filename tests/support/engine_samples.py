# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A small installation for tests of the API: one of everything, with ids that stay."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from covirt.engine.model import access as am
from covirt.engine.model import affinity as gm
from covirt.engine.model import catalogue as cm
from covirt.engine.model import cluster as cl
from covirt.engine.model.data_center import DataCenter, DataCenterStatus
from covirt.engine.model.disk import Disk, DiskAttachment, DiskContentType, ImageTransfer, TransferDirection
from covirt.engine.model.entity import Version
from covirt.engine.model.event import Event, Job, JobStatus, Severity, Step
from covirt.engine.model.hardware import CpuTopology, CustomProperty, Hardware, Initialization, VmKind
from covirt.engine.model.host import Host, HostFacts, HostHardware, HostNic, HostStatus
from covirt.engine.model.network import (
    ClusterNetwork,
    MacPool,
    MacRange,
    Network,
    NetworkFilter,
    NetworkUsage,
    VnicProfile,
)
from covirt.engine.model.storage_domain import (
    DiskProfile,
    StorageConnection,
    StorageDomain,
    StorageDomainFacts,
    StorageDomainStatus,
    StorageType,
)
from covirt.engine.model.template import InstanceType, Template
from covirt.engine.model.vm import (
    BLANK_TEMPLATE_ID,
    Cdrom,
    GraphicsFacts,
    Nic,
    ReportedDevice,
    Snapshot,
    SnapshotDisk,
    SnapshotType,
    Vm,
    VmFacts,
    VmStatus,
)
from covirt.engine.store.session import Session
from covirt.engine.store.store import Store

NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
GIB: Final = 1 << 30


def sample_id(name: str) -> str:
    """The id of the sample with this name."""
    return str(uuid5(NAMESPACE_OID, f"covirt sample {name}"))


ADMIN_ID: Final = sample_id("user admin")
USER_ID: Final = sample_id("user cook")
CENTER_ID: Final = sample_id("data center kitchens")
CLUSTER_ID: Final = sample_id("cluster kitchen")
HOST_ID: Final = sample_id("host oven")
HOST_NIC_ID: Final = sample_id("host nic eth0")
NETWORK_ID: Final = sample_id("network pipes")
PROFILE_ID: Final = sample_id("vnic profile pipes")
POOL_ID: Final = sample_id("mac pool pots")
POLICY_ID: Final = sample_id("policy fair")
FILTER_ID: Final = sample_id("filter no-spoof")
CONNECTION_ID: Final = sample_id("connection larder")
DOMAIN_ID: Final = sample_id("storage domain larder")
DISK_PROFILE_ID: Final = sample_id("disk profile larder")
DISK_ID: Final = sample_id("disk soup")
ISO_ID: Final = sample_id("disk recipe.iso")
TEMPLATE_ID: Final = sample_id("template broth")
VM_ID: Final = sample_id("vm soup")
CONTAINER_ID: Final = sample_id("vm salad")
NIC_ID: Final = sample_id("nic soup nic1")
SNAPSHOT_ID: Final = sample_id("snapshot soup")
TAG_ID: Final = sample_id("tag hot")
LABEL_ID: Final = sample_id("label left")
GROUP_ID: Final = sample_id("affinity group together")
ROLE_ID: Final = sample_id("role Chef")
PERMISSION_ID: Final = sample_id("permission cook on soup")
JOB_ID: Final = sample_id("job cooking")
STEP_ID: Final = sample_id("step stirring")
TRANSFER_ID: Final = sample_id("transfer soup")
FEATURE_ID: Final = sample_id("feature containers")
CPU_PROFILE_ID: Final = sample_id("cpu profile kitchen")
INSTANCE_TYPE_ID: Final = sample_id("instance type Bowl")
ICON_ID: Final = sample_id("icon spoon")
SYSTEM_ID: Final = sample_id("operating system stove")


def fill(store: Store) -> None:
    """Write all of it."""
    with store.write() as session:
        _catalogue(session)
        _places(session)
        _networks(session)
        _hosts(session)
        _storage(session)
        _machines(session)
        _people(session)
        _groups(session)
        _history(session)


def _catalogue(session: Session) -> None:
    session.icons.add(cm.Icon(id=ICON_ID, media_type="image/png", data="aWNvbg=="))
    session.operating_systems.add(
        cm.OperatingSystem(id=SYSTEM_ID, name="stove", description="Stove OS", small_icon_id=ICON_ID)
    )
    session.scheduling_policies.add(
        cm.SchedulingPolicy(id=POLICY_ID, name="fair", properties=(("HighUtilization", "80"),))
    )
    session.network_filters.add(NetworkFilter(id=FILTER_ID, name="no-soup-spoofing"))
    session.system_options.add(
        cm.SystemOption(name="SoupTemperature", values=(("80", "4.7"), ("85", "4.8"), ("hot", "general")))
    )
    session.cluster_features.add(cl.ClusterFeature(id=FEATURE_ID, name="STEW", description="Stew", level="4.8"))
    if session.cluster_levels.find(id="4.8") is None:
        cpu = cl.CpuType(name="Intel Nehalem Family", level=3, architecture=cl.Architecture.X86_64)
        session.cluster_levels.add(cl.ClusterLevel(id="4.8", cpu_types=(cpu,), feature_ids=(FEATURE_ID,)))
    session.instance_types.add(InstanceType(id=INSTANCE_TYPE_ID, name="Bowl", created_at=NOON))


def _places(session: Session) -> None:
    macs = MacRange(first="56:6f:00:00:00:00", last="56:6f:00:00:ff:ff")
    session.mac_pools.add(MacPool(id=POOL_ID, name="pots", ranges=(macs,)))
    level = Version(major=4, minor=8)
    session.data_centers.add(
        DataCenter(id=CENTER_ID, name="kitchens", version=level, mac_pool_id=POOL_ID, status=DataCenterStatus.UP)
    )
    session.networks.add(Network(id=NETWORK_ID, name="pipes", vdsm_name="pipes", data_center_id=CENTER_ID, vlan_id=7))
    session.clusters.add(
        cl.Cluster(
            id=CLUSTER_ID,
            name="kitchen",
            data_center_id=CENTER_ID,
            version=level,
            cpu_type="Intel Nehalem Family",
            cpu_architecture=cl.Architecture.X86_64,
            scheduling_policy_id=POLICY_ID,
            mac_pool_id=POOL_ID,
            management_network_id=NETWORK_ID,
            features=frozenset({FEATURE_ID}),
        )
    )
    session.cpu_profiles.add(cl.CpuProfile(id=CPU_PROFILE_ID, name="kitchen", cluster_id=CLUSTER_ID))


def _networks(session: Session) -> None:
    usages = frozenset({NetworkUsage.VM, NetworkUsage.MANAGEMENT, NetworkUsage.DISPLAY})
    session.cluster_networks.add(
        ClusterNetwork(cluster_id=CLUSTER_ID, network_id=NETWORK_ID, required=True, usages=usages)
    )
    session.vnic_profiles.add(
        VnicProfile(id=PROFILE_ID, name="pipes", network_id=NETWORK_ID, network_filter_id=FILTER_ID)
    )


def _hosts(session: Session) -> None:
    facts = HostFacts(
        status=HostStatus.UP,
        cpu_name="Oven 3000",
        cpu_sockets=1,
        cpu_cores_per_socket=4,
        cpu_threads_per_core=2,
        cpu_speed_mhz=2400.5,
        memory_bytes=64 * GIB,
        memory_free_bytes=48 * GIB,
        max_scheduling_memory_bytes=47 * GIB,
        os_type="Debian",
        os_version="12.5",
        libvirt_version="9.0.0-4",
        agent_version=Version(major=4, minor=50, build=5),
        hardware=HostHardware(manufacturer="Ovens Ltd", serial_number="O-1"),
        vms_active=1,
        vms_total=2,
    )
    session.hosts.add(Host(id=HOST_ID, name="oven", cluster_id=CLUSTER_ID, address="oven.example.com", facts=facts))
    session.host_nics.add(
        HostNic(
            id=HOST_NIC_ID,
            name="eth0",
            host_id=HOST_ID,
            mac="56:6f:00:00:01:01",
            up=True,
            address="192.0.2.10",
            netmask="255.255.255.0",
            speed_bits_per_second=10_000_000_000,
            network_id=NETWORK_ID,
        )
    )


def _storage(session: Session) -> None:
    session.storage_connections.add(
        StorageConnection(
            id=CONNECTION_ID, name="larder", type=StorageType.NFS, address="larder.example.com", path="/shelf"
        )
    )
    session.storage_domains.add(
        StorageDomain(
            id=DOMAIN_ID,
            name="larder",
            status=StorageDomainStatus.ACTIVE,
            data_center_id=CENTER_ID,
            connection_id=CONNECTION_ID,
            master=True,
            facts=StorageDomainFacts(available_bytes=90 * GIB, used_bytes=10 * GIB, committed_bytes=5 * GIB),
        )
    )
    session.disk_profiles.add(DiskProfile(id=DISK_PROFILE_ID, name="larder", storage_domain_id=DOMAIN_ID))
    for disk_id, name, content in (
        (DISK_ID, "soup_disk1", DiskContentType.DATA),
        (ISO_ID, "recipe.iso", DiskContentType.ISO),
    ):
        session.disks.add(
            Disk(
                id=disk_id,
                name=name,
                storage_domain_id=DOMAIN_ID,
                image_id=sample_id(f"image {name}"),
                content_type=content,
                provisioned_size_bytes=5 * GIB,
                actual_size_bytes=GIB,
                disk_profile_id=DISK_PROFILE_ID,
                created_at=NOON,
            )
        )
    session.image_transfers.add(
        ImageTransfer(
            id=TRANSFER_ID,
            disk_id=DISK_ID,
            direction=TransferDirection.UPLOAD,
            host_id=HOST_ID,
            transfer_url="https://oven.example.com:54322/images/x",
        )
    )


def _machines(session: Session) -> None:
    if session.templates.find(id=BLANK_TEMPLATE_ID) is None:
        session.templates.add(
            Template(id=BLANK_TEMPLATE_ID, name="Blank", created_at=NOON, base_template_id=BLANK_TEMPLATE_ID)
        )
    session.templates.add(
        Template(id=TEMPLATE_ID, name="broth", cluster_id=CLUSTER_ID, created_at=NOON, base_template_id=TEMPLATE_ID)
    )
    hardware = Hardware(
        cpu=CpuTopology(sockets=1, cores=2, threads=1),
        os_type="stove",
        initialization=Initialization(host_name="soup", custom_script="password: secret"),
        small_icon_id=ICON_ID,
        placement_host_ids=(HOST_ID,),
    )
    facts = VmFacts(
        status=VmStatus.UP,
        host_id=HOST_ID,
        start_time=NOON + timedelta(minutes=1),
        fqdn="soup.example.com",
        guest_os="Stove OS 3",
        reported_devices=(
            ReportedDevice(name="eth0", mac="56:6f:00:00:00:01", ip_addresses=("192.0.2.1", "2001:db8::1")),
        ),
        graphics=(GraphicsFacts(protocol="vnc", address="192.0.2.10", port=5900),),
        cpu_user_percent=12.5,
        memory_used_bytes=GIB // 2,
        elapsed_seconds=60,
    )
    session.vms.add(
        Vm(
            id=VM_ID,
            name="soup",
            description="Tomato & <basil>",
            cluster_id=CLUSTER_ID,
            template_id=TEMPLATE_ID,
            original_template_id=TEMPLATE_ID,
            hardware=hardware,
            cpu_profile_id=CPU_PROFILE_ID,
            created_at=NOON,
            facts=facts,
        )
    )
    properties = (
        CustomProperty(name="containerImage", value="docker.io/library/salad:1"),
        CustomProperty(name="volumeMap", value="/a:/b,/c:/d"),
    )
    session.vms.add(
        Vm(
            id=CONTAINER_ID,
            name="salad",
            cluster_id=CLUSTER_ID,
            kind=VmKind.CONTAINER,
            created_at=NOON,
            hardware=Hardware(custom_properties=properties),
        )
    )
    _devices(session)


def _devices(session: Session) -> None:
    session.nics.add(Nic(id=NIC_ID, name="nic1", vm_id=VM_ID, mac="56:6f:00:00:00:01", vnic_profile_id=PROFILE_ID))
    session.nics.add(Nic(id=sample_id("nic broth"), name="nic1", template_id=TEMPLATE_ID, vnic_profile_id=PROFILE_ID))
    session.cdroms.add(Cdrom(id=sample_id("cdrom soup"), vm_id=VM_ID, file_id=ISO_ID))
    session.disk_attachments.add(DiskAttachment(disk_id=DISK_ID, vm_id=VM_ID, bootable=True))
    for name, vm_id in (("soup", VM_ID), ("salad", CONTAINER_ID)):
        session.snapshots.add(
            Snapshot(
                id=sample_id(f"snapshot {name}"),
                description="Active VM",
                vm_id=vm_id,
                type=SnapshotType.ACTIVE,
                date=NOON,
                disks=(SnapshotDisk(disk_id=DISK_ID, image_id=sample_id("image soup_disk1"), bootable=True),)
                if vm_id == VM_ID
                else (),
            )
        )


def _people(session: Session) -> None:
    session.users.add(am.User(id=ADMIN_ID, name="admin", principal="admin"))
    session.users.add(am.User(id=USER_ID, name="cook", principal="cook", email="cook@example.com"))
    if session.permits.find(id="1") is None:
        session.permits.add(am.Permit(id="1", name="create_vm", administrative=False))
    session.roles.add(am.Role(id=ROLE_ID, name="Chef", permit_ids=frozenset({"1"})))
    subject = am.Subject(type=am.ObjectType.VM, id=VM_ID)
    session.permissions.add(am.Permission(id=PERMISSION_ID, role_id=ROLE_ID, user_id=USER_ID, subject=subject))


def _groups(session: Session) -> None:
    root = session.tags.find(parent_id=None)
    if root is None:
        root = gm.Tag(id=sample_id("tag root"), name="root")
        session.tags.add(root)
    session.tags.add(gm.Tag(id=TAG_ID, name="hot", parent_id=root.id))
    session.taggings.add(TAG_ID, gm.TaggedType.VM, VM_ID)
    session.affinity_labels.add(
        gm.AffinityLabel(id=LABEL_ID, name="left", vm_ids=frozenset({VM_ID}), host_ids=frozenset({HOST_ID}))
    )
    session.affinity_groups.add(
        gm.AffinityGroup(
            id=GROUP_ID,
            name="together",
            cluster_id=CLUSTER_ID,
            vms_rule=gm.AffinityRule(enabled=True, positive=True),
            vm_ids=frozenset({VM_ID, CONTAINER_ID}),
        )
    )


def _history(session: Session) -> None:
    session.jobs.add(
        Job(
            id=JOB_ID,
            description="Cooking soup",
            status=JobStatus.STARTED,
            start_time=NOON,
            last_updated=NOON,
            owner_id=ADMIN_ID,
            correlation_id="cooking-1",
        )
    )
    session.steps.add(
        Step(id=STEP_ID, job_id=JOB_ID, description="Stirring", status=JobStatus.STARTED, start_time=NOON)
    )
    for number in range(3):
        session.events.append(
            Event(
                id=0,
                code=34,
                severity=Severity.NORMAL,
                time=NOON + timedelta(seconds=number),
                description=f"VM soup was stirred {number} times",
                correlation_id="cooking-1",
                vm_id=VM_ID,
                user_id=ADMIN_ID,
            )
        )
