# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a start needs of the database: the machine as its host shall have it, and the hosts to choose from."""

import secrets
from collections.abc import Callable, Iterable
from typing import Final

from covirt.engine.commands.vms.errors import DiskIsLocked, StorageIsAway
from covirt.engine.model.cluster import BiosType, Cluster
from covirt.engine.model.disk import Disk, DiskStatus
from covirt.engine.model.hardware import BootDevice, VmKind
from covirt.engine.model.host import Host
from covirt.engine.model.storage_domain import StorageDomainStatus
from covirt.engine.model.vm import Nic, Vm, VmStatus
from covirt.engine.scheduler.facts import HostView, Situation, VmView
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session
from covirt.engine.vms.container_settings import container_settings
from covirt.engine.vms.cpu_models import libvirt_model
from covirt.engine.vms.domain import Domain, DomainDisk, DomainNic, VolumePlace, volume_of
from covirt.hostapi.vm import SECRETS_EXTENSION

_CLOSED: Final = 8  # characters that VNC has of a password


def domain_of(session: Session, vm: Vm, *, boot_devices: tuple[BootDevice, ...] = (), paused: bool = False) -> Domain:
    """Raises DiskIsLocked and StorageIsAway."""
    cluster = session.clusters.get(vm.cluster_id)
    bios = vm.hardware.bios_type
    return Domain(
        vm=vm,
        level=str(cluster.version),
        bios=cluster.bios_type if bios is BiosType.CLUSTER_DEFAULT else bios,
        cpu_model=libvirt_model(cluster.cpu_type),
        disks=disks_of(session, vm),
        nics=tuple(domain_nic(session, nic) for nic in session.nics.list(ListQuery(where={"vm_id": vm.id}))),
        disc=_disc(session, vm),
        boot_devices=boot_devices or vm.hardware.boot_devices,
        paused=paused or vm.hardware.start_paused,
        closed_password=secrets.token_urlsafe(_CLOSED)[:_CLOSED],
    )


def disks_of(session: Session, vm: Vm) -> tuple[DomainDisk, ...]:
    """In the order in which they were attached. Raises DiskIsLocked, StorageIsAway."""
    attached = session.disk_attachments.list(ListQuery(where={"vm_id": vm.id}))
    disks = session.disks.by_ids({each.disk_id for each in attached})
    return tuple(
        DomainDisk(disk=disks[each.disk_id], attachment=each, pool_id=pool_of(session, disks[each.disk_id]))
        for each in attached
        if each.active
    )


def pool_of(session: Session, disk: Disk) -> str:
    if disk.status is not DiskStatus.OK:
        raise DiskIsLocked(disk=disk.name, status=disk.status)
    domain = session.storage_domains.get(disk.storage_domain_id)
    if domain.status is not StorageDomainStatus.ACTIVE or domain.data_center_id is None:
        raise StorageIsAway(domain=domain.name, status=domain.status)
    return domain.data_center_id


def domain_nic(session: Session, nic: Nic) -> DomainNic:
    if nic.vnic_profile_id is None:
        return DomainNic(nic=nic)
    profile = session.vnic_profiles.get(nic.vnic_profile_id)
    network = session.networks.get(profile.network_id)
    found = session.network_filters.find(id=profile.network_filter_id) if profile.network_filter_id else None
    return DomainNic(nic=nic, bridge=network.vdsm_name, mtu=network.mtu, filter_name=found.name if found else "")


def _disc(session: Session, vm: Vm) -> VolumePlace | None:
    """What is in its CD-ROM; of a container, its image, which a custom property may name."""
    drive = session.cdroms.find(vm_id=vm.id)
    disk = session.disks.find(id=drive.file_id) if drive and drive.file_id else None
    if disk is None and vm.kind is VmKind.CONTAINER:
        disk = image_of(session, vm)
    return volume_of(disk, pool_of(session, disk)) if disk else None


def image_of(session: Session, vm: Vm) -> Disk | None:
    """The disk that a container's custom property names as its image."""
    settings = container_settings(vm.hardware.custom_properties, action="run")
    return container_image(session, vm, settings.image)


def container_image(session: Session, vm: Vm, wanted: str) -> Disk | None:
    """The disk that has the container image, by its id, its name, its digest or the reference that was imported; None
    for what is none, which is then the name of an image that hosts have of themselves."""
    if not wanted:
        return None
    found = session.disks.find(id=wanted.lower())
    if found is not None:
        return found
    center = session.clusters.get(vm.cluster_id).data_center_id
    domains = session.storage_domains.list(ListQuery(where={"data_center_id": center}))
    ids = {domain.id for domain in domains}
    by_name = session.disks.list(ListQuery(where={"name": wanted}))
    images = session.container_images.by_ids(disk.id for disk in by_name)  # a disk that is none may be called alike
    called = session.disks.by_ids(session.container_images.called(wanted))
    named = [*(disk for disk in by_name if disk.id in images), *called.values()]
    return next((disk for disk in named if disk.storage_domain_id in ids), None)


def vm_view(session: Session, vm: Vm, domain: Domain) -> VmView:
    """The machine, for the choice of a host."""
    nics = [nic for nic in domain.nics if nic.nic.plugged and nic.bridge]
    container = vm.kind is VmKind.CONTAINER
    settings = container_settings(vm.hardware.custom_properties, action="run") if container else None
    volumes = [disk.volume for disk in domain.disks] + ([domain.disc] if domain.disc else [])
    domains = session.storage_domains.by_ids({each.domain_id for each in volumes})
    return VmView(
        id=vm.id,
        name=vm.name,
        kind=vm.kind,
        cpus=vm.hardware.cpu.total,
        memory_bytes=vm.hardware.memory_bytes,
        networks=tuple(sorted({(nic.bridge, nic.bridge) for nic in nics})),
        domains=tuple(sorted((each.id, each.name) for each in domains.values())),
        runtime=settings.runtime if settings else None,
        secrets=bool(settings and settings.secrets),
        host_ids=vm.hardware.placement_host_ids,
    )


def situation_of(session: Session, vm: Vm, cluster: Cluster, is_up: Callable[[str], bool]) -> Situation:
    """``is_up``: whether a host answers at this moment."""
    hosts = session.hosts.list(ListQuery(where={"cluster_id": cluster.id}))
    reach = _reach(session, cluster)
    placed = session.vms.list(ListQuery(where={"host_id": tuple(host.id for host in hosts)})) if hosts else ()
    by_host: dict[str, list[Vm]] = {}
    for other in placed:
        if other.id != vm.id and other.facts.host_id:
            by_host.setdefault(other.facts.host_id, []).append(other)
    groups = session.affinity_groups.list(ListQuery(where={"cluster_id": cluster.id}))
    return Situation(
        hosts=tuple(_host_view(host, by_host.get(host.id, ()), reach(host.id), is_up) for host in hosts),
        groups=tuple(group for group in groups if vm.id in group.vm_ids),
        labels=tuple(label for label in session.affinity_labels.list() if vm.id in label.vm_ids),
    )


def _reach(session: Session, cluster: Cluster) -> Callable[[str], frozenset[str]]:
    """Which of the data center's domains a host reaches: those of others' own directories it does not."""
    domains = session.storage_domains.list(ListQuery(where={"data_center_id": cluster.data_center_id}))
    connections = session.storage_connections.by_ids({each.connection_id for each in domains})
    owners = {
        each.id: connections[each.connection_id].host_id for each in domains if each.connection_id in connections
    }
    return lambda host_id: frozenset(domain_id for domain_id, owner in owners.items() if owner in (None, host_id))


def _host_view(
    host: Host, guests: Iterable[Vm], domain_ids: frozenset[str], is_up: Callable[[str], bool]
) -> HostView:
    guests, facts = list(guests), host.facts
    # What a host says of its free memory does not count those that it has just begun to start.
    pending = sum(vm.hardware.memory_bytes for vm in guests if vm.facts.status is VmStatus.WAIT_FOR_LAUNCH)
    threads = facts.cpu_threads or facts.cpu_sockets * facts.cpu_cores_per_socket * facts.cpu_threads_per_core
    return HostView(
        id=host.id,
        name=host.name,
        status=facts.status,
        connected=is_up(host.id),
        cpus=threads,
        used_cpus=sum(vm.hardware.cpu.total for vm in guests),
        memory_bytes=(facts.max_scheduling_memory_bytes or facts.memory_free_bytes) - pending,
        total_memory_bytes=facts.memory_bytes,
        networks=frozenset(facts.networks),
        domain_ids=domain_ids,
        containers=facts.containers,
        containers_reason=facts.containers_reason,
        runtimes=frozenset(facts.container_runtimes),
        secrets=SECRETS_EXTENSION in facts.extensions,
        vm_ids=frozenset(vm.id for vm in guests),
    )
