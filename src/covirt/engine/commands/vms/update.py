# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changing a machine. What one that runs cannot take on waits for its next start."""

from dataclasses import replace

from covirt.engine.auth.permits import Right
from covirt.engine.commands.change import Change
from covirt.engine.commands.secrets.secrets import names_in
from covirt.engine.commands.secrets.using import require_secrets
from covirt.engine.commands.vms.add import check_cpu_profile, check_vm_name, require_image
from covirt.engine.commands.vms.checks import check_hardware, kind_of
from covirt.engine.commands.vms.common import about, is_running, require_down, subject_of
from covirt.engine.commands.vms.errors import OtherDataCenter
from covirt.engine.commands.vms.messages import UPDATED
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.hardware import Hardware
from covirt.engine.model.vm import Snapshot, SnapshotType, Vm
from covirt.engine.store.session import Session
from covirt.engine.vms.errors import KindIsFixed
from covirt.engine.vms.kinds import KIND_NAMES


def update_vm(change: Change, vm: Vm) -> None:
    """``vm``: as it shall be. Raises KindIsFixed, and what adding raises."""
    change.require(Right.EDIT_VM_PROPERTIES, subject_of(vm.id))
    change.require_unlocked(vm.id)
    before = change.session.vms.get(vm.id)
    if kind_of(vm.hardware) is not before.kind and before.hardware.custom_properties != vm.hardware.custom_properties:
        raise KindIsFixed(name=before.name, kind=KIND_NAMES[before.kind])
    check_vm_name(change.session, vm, action="edit")
    if vm.cluster_id != before.cluster_id:
        _check_move(change, before, vm)
        if vm.cpu_profile_id == before.cpu_profile_id:  # it stays behind
            vm = replace(vm, cpu_profile_id=None)
    check_cpu_profile(change.session, vm, action="edit")
    if vm.hardware.placement_host_ids != before.hardware.placement_host_ids:
        change.require(Right.EDIT_ADMIN_VM_PROPERTIES, subject_of(vm.id))
    cluster = change.session.clusters.get(vm.cluster_id)
    if vm.hardware != before.hardware or vm.cluster_id != before.cluster_id:
        check_hardware(change.session, vm.hardware, cluster, vm.kind, action="edit")
    if vm.hardware.custom_properties != before.hardware.custom_properties:
        require_image(change, vm)
        require_secrets(change, names_in(vm.hardware), action="edit VM")
    waits = is_running(before) and _at_start(vm.hardware) != _at_start(before.hardware)
    if waits and not before.next_run:
        keep_running_hardware(change.session, before)
    change.session.vms.update(replace(vm, next_run=before.next_run or waits))
    change.tell(UPDATED, about(before), vm=vm.name)


def keep_running_hardware(session: Session, vm: Vm) -> None:
    """What it runs with is kept with the snapshot that tells what it is now."""
    active = active_snapshot(session, vm.id)
    if active is not None:
        session.snapshots.update(replace(active, hardware=vm.hardware))


def forget_running_hardware(session: Session, vm: Vm) -> None:
    """At a start: it has what is wanted of it."""
    if not vm.next_run:
        return
    session.vms.update(replace(vm, next_run=False))
    active = active_snapshot(session, vm.id)
    if active is not None:
        session.snapshots.update(replace(active, hardware=None))


def active_snapshot(session: Session, vm_id: str) -> Snapshot | None:
    return session.snapshots.find(vm_id=vm_id, type=SnapshotType.ACTIVE)


def _at_start(hardware: Hardware) -> Hardware:
    """Without what only the engine looks at, which counts at once."""
    return replace(
        hardware,
        delete_protected=False,
        priority=1,
        memory_guaranteed_bytes=0,
        placement_host_ids=(),
        affinity=Hardware().affinity,
        small_icon_id=None,
        large_icon_id=None,
        start_paused=False,
    )


def _check_move(change: Change, before: Vm, vm: Vm) -> None:
    require_down(before, "edit")
    change.require(Right.CREATE_VM, Subject(type=ObjectType.CLUSTER, id=vm.cluster_id))
    clusters = change.session.clusters
    if clusters.get(vm.cluster_id).data_center_id != clusters.get(before.cluster_id).data_center_id:
        raise OtherDataCenter
