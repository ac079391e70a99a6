# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Adding a machine: all that it is made of but disks, which come by themselves."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.access.permissions import give_creator
from covirt.engine.commands.audit import AuditMessage
from covirt.engine.commands.change import Change
from covirt.engine.commands.names import check_name
from covirt.engine.commands.secrets.secrets import names_in
from covirt.engine.commands.secrets.using import require_secrets
from covirt.engine.commands.vms.checks import check_hardware, kind_of
from covirt.engine.commands.vms.common import about, subject_of
from covirt.engine.commands.vms.errors import CpuProfileElsewhere, TemplateHasDisks, VmNameInUse
from covirt.engine.commands.vms.gathering import image_of
from covirt.engine.commands.vms.messages import ADDED
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.cluster import Cluster
from covirt.engine.model.hardware import Hardware, VmKind
from covirt.engine.model.network import MacPool
from covirt.engine.model.template import Template
from covirt.engine.model.vm import BLANK_TEMPLATE_ID, Cdrom, Snapshot, SnapshotType, Vm
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session
from covirt.engine.vms.errors import KindOfTemplate
from covirt.engine.vms.kinds import KIND_NAMES
from covirt.engine.vms.mac_addresses import free_mac, pool_size

VM_MANAGER_ID: Final = "def00006-0000-0000-0000-def000000006"  # oVirt's id of the role UserVmManager
_LONGEST_NAME: Final = 255


def add_vm(
    change: Change, wanted: Vm, *, with_disks: bool = False, nics_of: str | None = None, told: AuditMessage = ADDED
) -> str:
    """Its id, new unless ``wanted`` has one. The kind is that of its custom properties, for good; kind and time are
    given here. ``with_disks``: who calls copies those of the template. ``nics_of``: a machine, instead of the
    template."""
    change.require(Right.CREATE_VM, Subject(type=ObjectType.CLUSTER, id=wanted.cluster_id))
    check_vm_name(change.session, wanted, action="add")
    cluster = change.session.clusters.get(wanted.cluster_id)
    template = change.session.templates.get(wanted.template_id)
    hardware = _never_started(wanted.hardware)
    vm = replace(
        wanted,
        id=wanted.id or str(uuid.uuid4()),
        kind=kind_of(hardware),
        hardware=hardware,
        created_at=datetime.now(UTC),
    )
    _check_template(change, template, vm, with_disks=with_disks)
    like = change.session.vms.get(nics_of) if nics_of else template
    if vm.hardware.placement_host_ids != like.hardware.placement_host_ids:
        change.require(Right.EDIT_ADMIN_VM_PROPERTIES, Subject(type=ObjectType.CLUSTER, id=vm.cluster_id))
    check_cpu_profile(change.session, vm, action="add")
    check_hardware(change.session, vm.hardware, cluster, vm.kind, action="add")
    require_image(change, vm)
    require_secrets(change, names_in(vm.hardware), action="add VM")
    change.session.vms.add(vm)
    _add_parts(change.session, vm, cluster, {"vm_id": nics_of} if nics_of else {"template_id": vm.template_id})
    give_creator(change, VM_MANAGER_ID, subject_of(vm.id))
    change.tell(told, about(vm), vm=vm.name)
    return vm.id


def _never_started(hardware: Hardware) -> Hardware:
    """What it was made of may have been."""
    settings = hardware.initialization
    return hardware if settings is None else replace(hardware, initialization=replace(settings, used=False))


def require_image(change: Change, vm: Vm) -> None:
    """Whoever names a container image must have a right to that disk. Raises MissingPermit."""
    image = image_of(change.session, vm) if vm.kind is VmKind.CONTAINER else None
    if image is not None:
        change.require(Right.ATTACH_DISK, Subject(type=ObjectType.DISK, id=image.id))


def check_vm_name(session: Session, vm: Vm, *, action: str) -> None:
    """Raises BadName, VmNameInUse."""
    check_name("VM", vm.name, longest=_LONGEST_NAME)
    other = session.vms.find(name=vm.name)
    if other is not None and other.id != vm.id:
        raise VmNameInUse(action=action)


def check_cpu_profile(session: Session, vm: Vm, *, action: str) -> None:
    """Raises NoSuchObject, CpuProfileElsewhere."""
    profile = session.cpu_profiles.get(vm.cpu_profile_id) if vm.cpu_profile_id is not None else None
    if profile is not None and profile.cluster_id != vm.cluster_id:
        raise CpuProfileElsewhere(action=action, profile=profile.name)


def _check_template(change: Change, template: Template, vm: Vm, *, with_disks: bool) -> None:
    if template.id == BLANK_TEMPLATE_ID:
        return
    change.require(Right.CREATE_VM, Subject(type=ObjectType.TEMPLATE, id=template.id))
    if template.kind is not vm.kind:
        raise KindOfTemplate(kind=KIND_NAMES[vm.kind], template_name=template.name, other=KIND_NAMES[template.kind])
    if not with_disks and change.session.disk_attachments.find(template_id=template.id) is not None:
        raise TemplateHasDisks(template_name=template.name)


def _add_parts(session: Session, vm: Vm, cluster: Cluster, nics_of: Mapping[str, str]) -> None:
    session.cdroms.add(Cdrom(id=str(uuid.uuid4()), vm_id=vm.id))
    session.snapshots.add(
        Snapshot(
            id=str(uuid.uuid4()),
            description="Active VM",
            vm_id=vm.id,
            type=SnapshotType.ACTIVE,
            date=vm.created_at,
        )
    )
    for nic in session.nics.list(ListQuery(where=dict(nics_of))):
        mac = new_mac(session, session.mac_pools.get(cluster.mac_pool_id))
        session.nics.add(replace(nic, id=str(uuid.uuid4()), vm_id=vm.id, template_id=None, mac=mac))


def new_mac(session: Session, pool: MacPool) -> str:
    """A free one of the pool; where the search begins is left to chance, so that one that has just been given back is
    not at once another's. Raises NoFreeMac."""
    size = pool_size(pool)
    start = random.randrange(size) if size else 0  # noqa: S311 - it need not be hard to guess
    return free_mac(pool, lambda mac: session.nics.find(mac=mac) is not None, start=start)
