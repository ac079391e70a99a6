# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Virtual machines and containers."""

from collections.abc import Sequence
from dataclasses import replace

from covirt.engine.api.call import Call
from covirt.engine.api.changes import vms as changes
from covirt.engine.api.node import Node, Value
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.access import PERMISSIONS_BELOW_VM
from covirt.engine.api.resources.affinity import LABELS_OF_VM, TAGS_OF_VM
from covirt.engine.api.resources.disks import ATTACHMENTS_OF_VM
from covirt.engine.api.resources.hardware import hardware_values
from covirt.engine.api.resources.loading import by_id, empty, found, nothing
from covirt.engine.api.resources.snapshots import SNAPSHOTS
from covirt.engine.api.resources.statistics import VM_STATISTICS
from covirt.engine.api.resources.values import named, reference
from covirt.engine.api.resources.vm_devices import CDROMS_OF_VM, CONSOLES, NICS_OF_VM, REPORTED_DEVICES
from covirt.engine.model.vm import SnapshotType, Vm, VmFacts, VmStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.vms.kinds import done_actions


def vm_node(vm: Vm) -> Node:
    values: dict[str, Value] = {
        **named(vm),
        **hardware_values(vm.hardware),
        **_facts(vm.facts),
        "cluster": reference("Cluster", vm.cluster_id),
        "template": reference("Template", vm.template_id),
        "original_template": reference("Template", vm.original_template_id),
        "instance_type": reference("InstanceType", vm.instance_type_id),
        "cpu_profile": reference("CpuProfile", vm.cpu_profile_id),
        "origin": vm.origin,
        "creation_time": vm.created_at,
        "next_run_configuration_exists": vm.next_run,
        "run_once": False,
        "has_illegal_images": False,
    }
    if vm.image_locked:
        values["status"] = str(VmStatus.IMAGE_LOCKED)
    return Node(type="Vm", id=vm.id, values=values, actions=done_actions(vm.kind))


def _shown(call: Call, items: Sequence[tuple[str, Vm]]) -> Sequence[Node]:
    """What runs now, unless the caller asks for what its next run will be."""
    vms = [vm for _, vm in items]
    waiting = tuple(vm.id for vm in vms if vm.next_run)
    if waiting and not call.params.next_run:
        query = ListQuery(where={"vm_id": waiting, "type": SnapshotType.ACTIVE})
        running = {each.vm_id: each.hardware for each in call.session.snapshots.list(query)}
        vms = [replace(vm, hardware=running.get(vm.id) or vm.hardware) for vm in vms]
    return [vm_node(vm) for vm in vms]


def _facts(facts: VmFacts) -> dict[str, Value]:
    guest: dict[str, Value] = {"family": "Linux", "distribution": facts.guest_os}
    return {
        "status": str(facts.status),
        "status_detail": facts.status_detail or facts.pause_code or None,
        "host": reference("Host", facts.host_id),
        "start_time": facts.start_time,
        "stop_time": facts.stop_time,
        "stop_reason": facts.stop_reason or facts.exit_message or None,
        "fqdn": facts.fqdn or None,
        "guest_operating_system": guest if facts.guest_os else None,
    }


VMS = Collection(
    path="vms",
    type="Vm",
    show=_shown,
    list=found(lambda session: session.vms),
    get=by_id(lambda session: session.vms),
    searchable=True,
    add=changes.add_vm,
    update=changes.update_vm,
    remove=changes.remove_vm,
    actions=changes.VM_ACTIONS,
    children=(
        Collection(**empty("applications", "Application"), below=nothing),
        CDROMS_OF_VM,
        ATTACHMENTS_OF_VM,
        CONSOLES,
        Collection(**empty("hostdevices", "HostDevice"), below=nothing),
        LABELS_OF_VM,
        NICS_OF_VM,
        Collection(**empty("numanodes", "VirtualNumaNode"), below=nothing),
        PERMISSIONS_BELOW_VM,
        REPORTED_DEVICES,
        Collection(**empty("sessions", "Session"), below=nothing),
        SNAPSHOTS,
        VM_STATISTICS,
        TAGS_OF_VM,
        Collection(**empty("watchdogs", "Watchdog"), below=nothing),
    ),
)
